//! What the platform asks: `/livez` (the process runs), `/readyz` (a policy is active, keys are loaded, the process is not draining) and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::{CONTENT_TYPE, Metrics};

/// Says whether the decision point can decide, or in one sentence why it cannot.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
struct Operations {
    draining: Arc<AtomicBool>,
    ready: Readiness,
    metrics: Arc<Metrics>,
}

/// The endpoints, for the document of the listener.
#[derive(utoipa::OpenApi)]
#[openapi(paths(live, readiness, measured))]
pub(crate) struct Described;

/// The router of the operations listener, with what the rest of the process says of itself.
pub fn router(draining: Arc<AtomicBool>, ready: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new().route("/livez", get(live)).route("/readyz", get(readiness)).route("/metrics", get(measured)).with_state(Operations {
        draining,
        ready,
        metrics,
    })
}

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", responses((status = 200, body = String, content_type = "text/plain", description = "It does.")))]
async fn live() -> &'static str {
    "ok"
}

/// Whether it can decide: a policy is active, keys are loaded, it is not draining.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It can."),
        (status = 503, body = String, content_type = "text/plain", description = "It cannot, and why."),
    )
)]
async fn readiness(State(operations): State<Operations>) -> (StatusCode, String) {
    if operations.draining.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned());
    }
    match (operations.ready)() {
        Ok(()) => (StatusCode::OK, "ready".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// The metrics, as OpenMetrics text.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8", description = "The metrics."),
        (status = 500, description = "They cannot be written."),
    )
)]
async fn measured(State(operations): State<Operations>) -> Response {
    match operations.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests;
