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

/// The router of the operations listener, with what the rest of the process says of itself.
pub fn router(draining: Arc<AtomicBool>, ready: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(measured))
        .with_state(Operations { draining, ready, metrics })
}

async fn readiness(State(operations): State<Operations>) -> (StatusCode, String) {
    if operations.draining.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned());
    }
    match (operations.ready)() {
        Ok(()) => (StatusCode::OK, "ready".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn measured(State(operations): State<Operations>) -> Response {
    match operations.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests;
