//! Stands before the payroll: notes who came and what came of it, and puts a refusal into words for people.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use countersign_sdk_pep::ClientAddress;

use super::{Application, pages};
use crate::attack::AGENT;
use crate::backstage::Place;
use crate::timeline::{Outcome, Visit, Who};

const DECISION: &str = "x-countersign-decision";

pub(super) fn named(mut response: Response, decision: &str) -> Response {
    if let Ok(id) = HeaderValue::try_from(decision) {
        response.headers_mut().insert(DECISION, id);
    }
    response
}

/// Programs keep the bare status; people get a page.
pub(super) async fn witnessed(State(application): State<Arc<Application>>, request: Request, next: Next) -> Response {
    let (headers, address) = (request.headers().clone(), request.extensions().get::<ClientAddress>().map(|address| address.0));
    let response = next.run(request).await;
    let decision = response.headers().get(DECISION).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty()).map(ToOwned::to_owned);
    let outcome = outcome(response.status());
    let visit = visit(&application, &headers, address, outcome, decision.clone());
    application.timeline.saw(visit);
    if !reads(&headers) || matches!(outcome, Outcome::Allowed | Outcome::Asked) {
        return response;
    }
    let decision = decision.unwrap_or_default();
    let mut page = pages::refused(&application, &headers, outcome, &decision);
    *page.status_mut() = response.status();
    named(page, &decision)
}

fn visit(application: &Application, headers: &HeaderMap, address: Option<IpAddr>, outcome: Outcome, decision: Option<String>) -> Visit {
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    Visit {
        at: application.backstage.clock(),
        who: if agent == Some(AGENT.as_bytes()) { Who::Attacker } else { Who::Alice },
        place: address.map_or(Place::Paris, Place::of),
        outcome,
        risk: decision.as_deref().and_then(|decision| application.backstage.why(decision)).and_then(|why| why.risk),
        decision,
    }
}

fn outcome(status: StatusCode) -> Outcome {
    match status {
        _ if status.is_success() => Outcome::Allowed,
        _ if status.is_redirection() => Outcome::Asked,
        StatusCode::UNAUTHORIZED => Outcome::Unknown,
        _ if status.is_server_error() => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

fn reads(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}
