//! Envoy `ext_authz` over gRPC: `Check` of `envoy.service.auth.v3.Authorization`. The request is what the attributes say, and no header says otherwise.
//!
//! Every answer is a `CheckResponse`, also to what cannot be read and when nothing can be decided: Envoy may be told (`failure_mode_allow`) to let pass
//! what got no answer, and is never told to let pass a refusal.

mod parse;
mod render;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::post;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::{RawCheck, RawHttp};
use countersign_sdk_types::DenialCode;
use prost::Message as _;
use tokio::sync::Semaphore;

use super::answer;
use super::authzen::caller;
use crate::ext_authz::{CHECK, CheckRequest};
use crate::grpc;
use crate::metrics::Door;
use crate::serve::Decider;
use crate::tls::ClientCertificate;

/// Calls that are answered at once; more are refused at once.
const AT_ONCE: usize = 256;

struct Service {
    decider: Arc<Decider>,
    places: Semaphore,
}

/// The route of the service.
pub fn router(decider: Arc<Decider>) -> Router {
    let service = Service { decider, places: Semaphore::new(AT_ONCE) };
    Router::new().route(CHECK, post(check)).with_state(Arc::new(service))
}

async fn check(State(service): State<Arc<Service>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let Ok(_place) = service.places.try_acquire() else { return grpc::reply(render::overloaded()) };
    let decider = &service.decider;
    let answer = decider.pdp.check(Door::EnvoyGrpc, raw(decider, peer.ip(), request).await).await;
    let metadata = render::metadata(&answer);
    let reply = answer::reply(answer, &decider.pdp.sites, &decider.identity);
    grpc::reply(render::render(reply, metadata, &decider.identity))
}

async fn raw(decider: &Decider, peer: IpAddr, request: Request) -> Result<RawCheck, Denial> {
    let certificate = request.extensions().get::<ClientCertificate>();
    let enforcer = caller::find(request.headers(), certificate, peer, &decider.enforcers);
    let stranger = |_| Denial::new(DenialCode::NoCredentials, "the caller is not a known enforcement point");
    let pep = enforcer.map_err(stranger)?.pep.clone();
    let message: CheckRequest = grpc::read(request, grpc::LARGEST).await.map_err(|status| malformed(status.message()))?;
    Ok(RawCheck { tenant: decider.tenant.clone(), pep, http: Some(parse::http(message)?), asked: None })
}

fn malformed(why: &str) -> Denial {
    Denial::new(DenialCode::MalformedRequest, why)
}

/// The request in the bytes of a `CheckRequest`.
///
/// # Errors
/// When they are no such message, or it does not say one request.
pub fn read(message: &[u8]) -> Result<RawHttp, Denial> {
    let message = CheckRequest::decode(message).map_err(|error| malformed(&error.to_string()))?;
    parse::http(message)
}

#[cfg(test)]
pub(crate) mod tests;
