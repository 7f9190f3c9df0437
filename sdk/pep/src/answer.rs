//! What a client sees when it may not pass. The wire carries the level and the age only, never a reason.
//!
//! | client | step-up | no token, or none that is accepted | another no | something of ours |
//! |---|---|---|---|---|
//! | navigation of a browser | 302 to the ceremony, 303 where the method changes something; without one as a program | 401 | 403 | 503 |
//! | program, script | 401 with the challenge of RFC 9470, `X-Countersign-Page` where there is a ceremony | 401 with a challenge | 403 | 503 |
//! | gRPC over HTTP/2 | trailers only, `grpc-status` 16 | 16 | 7 | 14 |
//! | WebSocket handshake | 401 with the challenge | 401 with a challenge | 403 | 503 |
//! | preflight | 403 | 403 | 403 | 503 |

use axum_core::body::Body;
use countersign_sdk_client::{Allow, Deny, StepUp};
use countersign_sdk_types::{DecisionId, DenialCode, Fault};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::asker::{Asker, Kind};

/// Where a script sends its page, that cannot follow a redirect itself.
const PAGE: HeaderName = HeaderName::from_static("x-countersign-page");

/// The id of the decision, by which an operator finds it (`countersign why`). It says nothing by itself.
const DECISION: HeaderName = HeaderName::from_static("x-countersign-decision");

/// What the client's next proof of its key must name (RFC 9449 §9).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

pub(crate) fn step_up(step_up: &StepUp, asker: Asker) -> Response<Body> {
    let page = step_up.ceremony().map(ToString::to_string);
    let mut response = match (asker.kind, page) {
        (Kind::Navigation, Some(page)) => {
            // 302 lets some browsers repeat a POST; 303 never does (RFC 9110 §15.4.4).
            let status = if asker.is_safe { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
            let mut response = refuse(status, asker);
            put(&mut response, LOCATION, &page);
            response
        }
        (_, page) => {
            let mut response = challenged(&challenge(step_up, asker), step_up.dpop_nonce(), asker);
            let page = page.filter(|_| asker.kind == Kind::Program);
            page.iter().for_each(|page| put(&mut response, PAGE, page));
            response
        }
    };
    name(&mut response, step_up.decision_id());
    response
}

/// RFC 9470 §3. A level has no quotes or backslashes in it ([`countersign_sdk_types::Acr`]).
fn challenge(step_up: &StepUp, asker: Asker) -> String {
    let age = step_up.max_age().map(|age| format!(", max_age=\"{}\"", age.0)).unwrap_or_default();
    let what = "error=\"insufficient_user_authentication\", error_description=\"a different authentication level is required\"";
    format!("{} {what}, acr_values=\"{}\"{age}", asker.scheme.as_str(), step_up.acr())
}

pub(crate) fn deny(deny: &Deny, asker: Asker) -> Response<Body> {
    let mut response = match deny.code() {
        Some(code) if code.fault() == Fault::Unauthenticated => {
            let challenge = format!("{}{}", asker.scheme.as_str(), error(code));
            challenged(&challenge, deny.dpop_nonce(), asker)
        }
        Some(code) if code.fault() == Fault::Unavailable => unavailable(asker),
        _ => refuse(StatusCode::FORBIDDEN, asker),
    };
    name(&mut response, deny.decision_id());
    response
}

/// What was wrong with what was presented, if anything was.
const fn error(code: DenialCode) -> &'static str {
    match code {
        DenialCode::NoCredentials => "",
        DenialCode::InvalidProof => " error=\"invalid_dpop_proof\"",
        DenialCode::UseNonce => " error=\"use_dpop_nonce\"",
        _ => " error=\"invalid_token\"",
    }
}

/// An allow whose obligations are not carried out is a deny.
pub(crate) fn undone(allow: &Allow, asker: Asker) -> Response<Body> {
    let mut response = refuse(StatusCode::FORBIDDEN, asker);
    name(&mut response, allow.decision_id());
    response
}

/// Nobody can say whether the request may pass.
pub(crate) fn unavailable(asker: Asker) -> Response<Body> {
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, asker);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Two readers could read two things.
pub(crate) fn ambiguous(asker: Asker) -> Response<Body> {
    refuse(StatusCode::BAD_REQUEST, asker)
}

/// What the client can change by proving something. A preflight proves nothing.
fn challenged(challenge: &str, nonce: Option<&str>, asker: Asker) -> Response<Body> {
    if asker.kind == Kind::Preflight {
        return refuse(StatusCode::FORBIDDEN, asker);
    }
    let mut response = refuse(StatusCode::UNAUTHORIZED, asker);
    put(&mut response, WWW_AUTHENTICATE, challenge);
    nonce.iter().for_each(|nonce| put(&mut response, NONCE, nonce));
    response
}

fn refuse(status: StatusCode, asker: Asker) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if asker.kind == Kind::Grpc {
        let (number, message) = grpc_status(status);
        // Trailers only: the status of HTTP says that the call was answered, and the answer is no. A client of HTTP/1.1 reads the status of HTTP.
        if asker.is_multiplexed {
            *response.status_mut() = StatusCode::OK;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(number));
        headers.insert("grpc-message", HeaderValue::from_static(message));
    }
    response
}

/// The codes of gRPC, by number as they go over the wire.
const fn grpc_status(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("3", "the request cannot be read"),
        StatusCode::UNAUTHORIZED => ("16", "authentication is required"),
        StatusCode::SERVICE_UNAVAILABLE => ("14", "no decision can be made now"),
        _ => ("7", "access was refused"),
    }
}

fn name(response: &mut Response<Body>, decision: Option<&DecisionId>) {
    decision.iter().for_each(|id| put(response, DECISION, id.as_str()));
}

/// A text that cannot be a header leaves a refusal without it.
fn put(response: &mut Response<Body>, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(name, value);
    }
}
