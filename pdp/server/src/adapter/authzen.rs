//! AuthZEN Authorization API 1.0: evaluation, evaluations, the three searches, and the metadata that says so.
//!
//! A deny is an answer with status 200; only what the caller got wrong, or what we cannot do, is an HTTP error, and its body is one sentence.

mod body;
pub(super) mod caller;
mod edge;
pub(super) mod evaluation;
pub(super) mod evaluations;
mod metadata;
mod obligations;
mod search;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_sdk_types::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use self::metadata::Metadata;
pub(crate) use self::obligations::offered;
use self::search::Seal;
use crate::config::{Authzen, AuthzenUse, Enforcer};
use crate::serve::Decider;

/// Searches that run at once; more are told to come again. Each may take as long as a page may.
const MOST_SEARCHES: usize = 8;

/// What AuthZEN's handlers share.
#[derive(Debug)]
pub struct Offer {
    settings: Authzen,
    /// The types of obligations that a caller may say it supports.
    obligations: BTreeSet<String>,
    metadata: Option<Metadata>,
    seal: Seal,
    searches: Semaphore,
}

impl Offer {
    /// Makes the metadata, and a key for the tokens of pages.
    ///
    /// # Errors
    /// When the metadata cannot be signed, or there is no randomness.
    pub fn new(settings: Authzen, enforcers: &[Enforcer], now: Timestamp) -> Result<Self, String> {
        let obligations = offered(&settings.obligations);
        let is_searched = enforcers.iter().any(|enforcer| enforcer.authzen == AuthzenUse::Search);
        let metadata = Metadata::new(&settings, &obligations, is_searched, now)?;
        Ok(Self { settings, obligations, metadata, seal: Seal::new()?, searches: Semaphore::new(MOST_SEARCHES) })
    }
}

/// The routes.
pub fn router() -> Router<Arc<Decider>> {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation::evaluate))
        .route("/access/v1/evaluations", post(evaluations::evaluate))
        .route("/access/v1/search/subject", post(search::subjects))
        .route("/access/v1/search/resource", post(search::resources))
        .route("/access/v1/search/action", post(search::actions))
        .route("/countersign/v1/edge/evaluation", post(edge::evaluate))
        .route("/countersign/v1/edge/records", post(edge::records))
        .layer(middleware::from_fn(uncached))
        .route("/countersign/v1/snapshot", get(edge::snapshot))
        .route(metadata::WELL_KNOWN, get(metadata::serve))
        .route(metadata::WELL_KNOWN_OF_A_PATH, get(metadata::serve))
        .method_not_allowed_fallback(not_allowed)
}

async fn not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not offered here; `Allow` names those that are")
}

/// A decision holds for one request.
async fn uncached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An HTTP error with one sentence for whoever wrote the caller, or with a decision that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// The id of the decision that it came to, all the same.
    pub(super) decided: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), decided: None }
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.decided {
            None => (self.status, self.message).into_response(),
            // Whoever reads a decision without a look at the status reads a no.
            Some(id) => (self.status, Json(json!({"decision": false, "context": {"reason": self.message, "id": id}}))).into_response(),
        }
    }
}
