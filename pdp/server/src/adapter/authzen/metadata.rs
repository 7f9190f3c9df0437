//! `GET /.well-known/authzen-configuration` (§9): what is offered and where. Made once, at start; it names only what is offered.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_sdk_types::Timestamp;
use serde_json::{Map, Value, json};

use super::{Refusal, obligations};
use crate::config::Authzen;
use crate::openapi::Metadata as Described;
use crate::serve::Decider;

/// Where it is for an identifier without a path.
pub(super) const WELL_KNOWN: &str = "/.well-known/authzen-configuration";
/// The same for an identifier with one, which comes after it.
pub(super) const WELL_KNOWN_OF_A_PATH: &str = "/.well-known/authzen-configuration/{*path}";

const EVALUATIONS: [(&str, &str); 2] =
    [("access_evaluation_endpoint", "/access/v1/evaluation"), ("access_evaluations_endpoint", "/access/v1/evaluations")];
const SEARCHES: [(&str, &str); 3] = [
    ("search_subject_endpoint", "/access/v1/search/subject"),
    ("search_resource_endpoint", "/access/v1/search/resource"),
    ("search_action_endpoint", "/access/v1/search/action"),
];

/// The document, and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    path: String,
    document: Bytes,
}

impl Metadata {
    /// Nothing without an identifier: whoever compares it (§9.2.3) would have nothing to compare.
    pub(super) fn new(
        settings: &Authzen,
        obligations: &BTreeSet<String>,
        is_searched: bool,
        now: Timestamp,
    ) -> Result<Option<Self>, String> {
        let Some(identifier) = &settings.identifier else { return Ok(None) };
        let mut members = members(identifier, obligations, is_searched);
        if let Some(key) = &settings.signing_key {
            let mut claims = members.clone();
            claims.insert("iss".to_owned(), json!(identifier));
            let signed = key.sign(claims, now).map_err(|error| format!("authzen.signing_key: {error}"))?;
            members.insert("signed_metadata".to_owned(), Value::from(signed));
        }
        let (_, rest) = identifier.split_once("://").unwrap_or_default();
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default();
        let document = serde_json::to_vec(&members).map_err(|error| error.to_string())?;
        Ok(Some(Self { path: format!("{WELL_KNOWN}{path}"), document: Bytes::from(document) }))
    }
}

fn members(identifier: &str, obligations: &BTreeSet<String>, is_searched: bool) -> Map<String, Value> {
    let searches = SEARCHES.iter().filter(|_| is_searched);
    let endpoints = EVALUATIONS.iter().chain(searches).map(|(name, path)| ((*name).to_owned(), json!(format!("{identifier}{path}"))));
    let mut members: Map<String, Value> = endpoints.collect();
    members.insert("policy_decision_point".to_owned(), json!(identifier));
    members.insert(obligations::SUPPORTED.to_owned(), json!(obligations));
    members
}

/// Serves the document at its one address.
#[utoipa::path(
    get,
    path = "/.well-known/authzen-configuration",
    operation_id = "metadata",
    responses(
        (status = 200, body = Described, description = "What is offered, and where."),
        (status = 404, body = String, content_type = "text/plain; charset=utf-8", description = "The decision point has no identifier, or another."),
    ),
    security(())
)]
pub(super) async fn serve(State(decider): State<Arc<Decider>>, OriginalUri(uri): OriginalUri) -> Result<Response, Refusal> {
    let metadata = decider.authzen.metadata.as_ref().filter(|metadata| metadata.path == uri.path());
    let metadata = metadata.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no decision point of that identifier is here"))?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, metadata.document.clone()).into_response())
}

#[cfg(test)]
mod tests;
