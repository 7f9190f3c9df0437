//! `countersign.v1.DecisionPoint`: AuthZEN's questions over gRPC, and the watch. A message becomes the members that the HTTP door reads, and from there on there
//! is one way; `sdk/proto/countersign/v1/decision_point.proto` is the contract.
//!
//! A deny is an answer with status `OK`. Any other status is no decision, and never an allow.

mod members;
mod message;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use countersign_sdk_types::strict::Limits;
use countersign_sdk_types::{Epoch, EvaluationResponse, Millis, WatchName};
use futures_util::StreamExt as _;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use super::authzen::Refusal;
use super::authzen::caller::{Caller, find};
use super::authzen::evaluation;
use super::authzen::evaluations::{self, Evaluated};
use crate::config::AuthzenUse;
use crate::front_door::Line;
use crate::grpc;
use crate::serve::Decider;
use crate::tls::ClientCertificate;
use crate::watch::{Full, Told, follow};

use message::{EvaluateRequest, EvaluateResponse, EvaluationsRequest, EvaluationsResponse, WatchEvent, WatchRequest};

/// The name of the service, for health checks.
pub const SERVICE: &str = "countersign.v1.DecisionPoint";
/// Calls that are answered at once; more are refused at once.
const AT_ONCE: usize = 256;
/// The largest question to be followed by a watch: a name and a position.
const LARGEST_WATCH: usize = 1024;
/// By which an operator finds a decision that could not be made.
const DECISION: &str = "x-countersign-decision";

struct Service {
    decider: Arc<Decider>,
    places: Semaphore,
}

/// The routes of the service.
pub fn router(decider: Arc<Decider>) -> Router {
    let service = Service { decider, places: Semaphore::new(AT_ONCE) };
    Router::new()
        .route("/countersign.v1.DecisionPoint/Evaluate", post(evaluate))
        .route("/countersign.v1.DecisionPoint/Evaluations", post(evaluate_all))
        .route("/countersign.v1.DecisionPoint/Watch", post(watch))
        .with_state(Arc::new(service))
}

async fn evaluate(State(service): State<Arc<Service>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let answered = async {
        let _place = service.places.try_acquire().map_err(|_| overloaded())?;
        let (caller, asked) = read::<EvaluateRequest>(&service.decider, peer, request, Limits::REQUEST.bytes).await?;
        let members = members::question(asked)?;
        told(&evaluation::one(&service.decider, &caller, &members).await.map_err(status)?)
    };
    answered.await.map_or_else(grpc::refuse, grpc::reply)
}

async fn evaluate_all(State(service): State<Arc<Service>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let answered = async {
        let _place = service.places.try_acquire().map_err(|_| overloaded())?;
        let (caller, asked) = read::<EvaluationsRequest>(&service.decider, peer, request, Limits::REQUEST.bytes).await?;
        if asked.evaluations.is_empty() {
            // Over HTTP that is one question; here there is a call of its own for it.
            return Err(Status::invalid_argument("`evaluations` is empty"));
        }
        let members = members::questions(asked)?;
        match evaluations::many(&service.decider, &caller, &members).await.map_err(status)? {
            Evaluated::Many { evaluations } => {
                let evaluations = evaluations.iter().map(told).collect::<Result<_, _>>()?;
                Ok(EvaluationsResponse { evaluations })
            }
            Evaluated::One(_) => Err(Status::internal("one answer to many questions")),
        }
    };
    answered.await.map_or_else(grpc::refuse, grpc::reply)
}

async fn watch(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    line: Option<Extension<Line>>,
    request: Request,
) -> Response {
    let opened = async {
        let (caller, asked) = read::<WatchRequest>(&service.decider, peer, request, LARGEST_WATCH).await?;
        caller.may(AuthzenUse::Evaluate).map_err(status)?;
        let WatchRequest { watch, heartbeat_ms, last_event_id } = asked;
        let name = Some(watch).filter(|name| !name.is_empty()).map(WatchName::try_from).transpose();
        let name = name.map_err(|_| Status::invalid_argument("`watch` is no name of 1 to 64 letters, digits, `-`, `_` and `.`"))?;
        let heartbeat = (heartbeat_ms != 0).then(|| Millis(heartbeat_ms.into()));
        let last = Some(last_event_id).filter(|last| !last.is_empty()).map(|last| position(&last));
        follow(&service.decider.pdp.hub, name, last, heartbeat).map_err(|Full| Status::resource_exhausted("too many watches are open"))
    };
    let following = match opened.await {
        Ok(following) => following,
        Err(status) => return grpc::refuse(status),
    };
    let following = match line {
        Some(Extension(line)) => following.on(&line),
        None => following,
    };
    let mut last = String::new();
    grpc::replies(following.map(move |told| {
        Ok(match told {
            Told::Event(event) => {
                last = event.at.to_string();
                WatchEvent::of(last.clone(), &event.event)
            }
            Told::Alive => WatchEvent::alive(last.clone()),
        })
    }))
}

/// A position that cannot be read is one that no stream ever told: it is answered by a reset.
fn position(text: &str) -> Epoch {
    text.parse().unwrap_or(Epoch { life: 0, seq: u64::MAX })
}

/// Who calls, and then what: of a stranger nothing is read.
async fn read<M: Message + Default + 'static>(
    decider: &Decider,
    peer: SocketAddr,
    request: Request,
    largest: usize,
) -> Result<(Caller, M), Status> {
    let certificate = request.extensions().get::<ClientCertificate>();
    let stranger = |_| Status::unauthenticated("the caller is not a known enforcement point");
    let enforcer = find(request.headers(), certificate, peer.ip(), &decider.enforcers).map_err(stranger)?;
    let caller = Caller(enforcer.clone());
    Ok((caller, grpc::read(request, largest).await?))
}

fn told(answer: &EvaluationResponse) -> Result<EvaluateResponse, Status> {
    let inexact = |_| Status::internal("the answer has a number that has no exact form here");
    Ok(EvaluateResponse { decision: answer.decision, context: Some(members::message(&answer.context).map_err(inexact)?) })
}

fn overloaded() -> Status {
    Status::resource_exhausted("too many calls at once")
}

/// What would have been an HTTP error.
fn status(refusal: Refusal) -> Status {
    let code = match refusal.status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    };
    let mut status = Status::new(code, refusal.message);
    if let Some(id) = refusal.decided.and_then(|id| id.parse().ok()) {
        status.metadata_mut().insert(DECISION, id);
    }
    status
}

#[cfg(test)]
mod tests;
