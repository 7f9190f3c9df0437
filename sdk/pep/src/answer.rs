//! What a client sees when it may not pass. The wire carries the level and the age only, never a reason.

use axum_core::body::Body;
use countersign_sdk_client::{Deny, StepUp};
use countersign_sdk_types::{DecisionId, DenialCode, Fault};
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, LOCATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

/// Who asks: a person who can be led through a ceremony, or a program that is told what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Browser,
    Program,
}

impl Asker {
    pub(crate) fn of(parts: &Parts) -> Self {
        let is = |name: &str, wanted: &str| parts.headers.get(name).is_some_and(|value| value.as_bytes() == wanted.as_bytes());
        let html = || parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"));
        let page = parts.method == Method::GET && !parts.headers.contains_key(AUTHORIZATION);
        let navigates = if parts.headers.contains_key("sec-fetch-mode") { is("sec-fetch-mode", "navigate") } else { html() };
        if page && navigates { Self::Browser } else { Self::Program }
    }
}

/// Where a script sends its page, that cannot follow a redirect itself.
const PAGE: &str = "x-countersign-page";

/// The id of the decision, by which an operator finds it (`countersign why`). It says nothing by itself.
const DECISION: &str = "x-countersign-decision";

pub(crate) fn step_up(step_up: &StepUp, asker: Asker) -> Response<Body> {
    let response = match (asker, step_up.ceremony()) {
        (Asker::Browser, Some(url)) => refuse(StatusCode::FOUND, Some((LOCATION, url.to_string()))),
        (_, page) => {
            let mut response = refuse(StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, challenge(step_up))));
            if let Some(Ok(page)) = page.map(|url| HeaderValue::try_from(url.to_string())) {
                response.headers_mut().insert(PAGE, page);
            }
            response
        }
    };
    named(response, step_up.decision_id())
}

fn named(mut response: Response<Body>, decision: Option<&DecisionId>) -> Response<Body> {
    if let Some(Ok(id)) = decision.map(|id| HeaderValue::try_from(id.as_str())) {
        response.headers_mut().insert(DECISION, id);
    }
    response
}

/// RFC 9470 §3. A level has no quotes or backslashes in it ([`countersign_sdk_types::Acr`]).
fn challenge(step_up: &StepUp) -> String {
    let age = step_up.max_age().map(|age| format!(", max_age=\"{}\"", age.0)).unwrap_or_default();
    let what = "error=\"insufficient_user_authentication\", error_description=\"a different authentication level is required\"";
    format!("Bearer {what}, acr_values=\"{}\"{age}", step_up.acr())
}

pub(crate) fn deny(deny: &Deny) -> Response<Body> {
    named(denied(deny), deny.decision_id())
}

fn denied(deny: &Deny) -> Response<Body> {
    match deny.code() {
        Some(DenialCode::NoCredentials) => refuse(StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, "Bearer".to_owned()))),
        Some(code) if code.fault() == Fault::Unauthenticated => {
            refuse(StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".to_owned())))
        }
        Some(code) if code.fault() == Fault::Unavailable => unavailable(),
        _ => refuse(StatusCode::FORBIDDEN, None),
    }
}

pub(crate) fn unavailable() -> Response<Body> {
    refuse(StatusCode::SERVICE_UNAVAILABLE, None)
}

pub(crate) fn ambiguous() -> Response<Body> {
    refuse(StatusCode::BAD_REQUEST, None)
}

fn refuse(status: StatusCode, header: Option<(HeaderName, String)>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match header.map(|(name, text)| (name, HeaderValue::try_from(text))) {
        Some((name, Ok(value))) => drop(response.headers_mut().insert(name, value)),
        // A text that cannot be a header leaves a refusal without it.
        Some((_, Err(_))) | None => {}
    }
    response
}
