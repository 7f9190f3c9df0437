//! How fresh a decision must be to have seen a change: told with every change that was made, so that no endpoint can forget it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign_sdk_types::Consistency;
use serde_json::{Map, Value};

use super::ControlService;
use super::problem::Problem;

/// The header with the consistency of a change. Questions take it as their `at_least`.
pub(crate) const CONSISTENCY: HeaderName = HeaderName::from_static("x-countersign-consistency");

/// No answer of ours is as long.
const LONGEST: usize = 8 * 1024 * 1024;

/// Tells it in the header, and where the body is an object, as its member `consistency`. The change is visible by now, so that the position is its own or later.
pub(super) async fn tell(State(service): State<Arc<ControlService>>, request: Request, next: Next) -> Response {
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let response = next.run(request).await;
    if !is_change || !response.status().is_success() {
        return response;
    }
    let consistency = Consistency { chain: service.chain, seq: service.store.position() }.to_string();
    let Ok(told) = HeaderValue::from_str(&consistency) else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONSISTENCY, told);
    let Ok(bytes) = to_bytes(body, LONGEST).await else { return Problem::internal("the answer broke off").into_response() };
    let body = match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(mut members) => {
            members.insert("consistency".to_owned(), Value::String(consistency));
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(Value::Object(members).to_string())
        }
        Err(_) => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}
