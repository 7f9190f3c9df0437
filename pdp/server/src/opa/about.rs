//! What the listener says of itself: its modules, its configuration without secrets, the state of its bundles and of its log, and what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_pdp_engine::policy::PolicyFile;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;

use super::Opa;
use super::failure::Failure;
use super::wire::Form;
use crate::metrics::CONTENT_TYPE;

/// A module. The abstract syntax tree that OPA adds is not told here.
#[derive(Debug, Serialize)]
struct Policy<'a> {
    id: &'a str,
    raw: &'a str,
}

impl<'a> From<&'a PolicyFile> for Policy<'a> {
    fn from(file: &'a PolicyFile) -> Self {
        Self { id: &file.path, raw: &file.text }
    }
}

#[derive(Debug, Serialize)]
struct Told<T> {
    result: T,
}

/// `GET /v1/policies`
pub(super) async fn policies(State(opa): State<Arc<Opa>>, request: Request) -> Response {
    let active = opa.activation.now();
    let all: Vec<_> = active.modules.iter().map(Policy::from).collect();
    form(&request).answer(&Told { result: all })
}

/// `GET /v1/policies/{id}`
pub(super) async fn policy(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let id = request.uri().path().strip_prefix("/v1/policies/").unwrap_or_default();
    let id = percent_decode_str(id).decode_utf8().map_err(|_| Failure::parameter("policy id is not UTF-8"))?;
    let active = opa.activation.now();
    let found = active.modules.iter().find(|module| module.path == id);
    let found = found.ok_or_else(|| Failure::not_found(format!("storage_not_found_error: policy id {:?}", id.as_ref())))?;
    Ok(form(&request).answer(&Told { result: Policy::from(found) }))
}

/// `GET /v1/config`
pub(super) async fn config(State(opa): State<Arc<Opa>>, request: Request) -> Response {
    let result = json!({
        "labels": *opa.labels,
        "default_decision": format!("/{}", opa.options.default_decision.join("/")),
        "bundles": opa.options.resources,
        "decision_logs": opa.options.log_resource.as_ref().map(|resource| json!({"resource": resource})),
    });
    form(&request).answer(&Told { result })
}

/// `GET /v1/status`
pub(super) async fn status(State(opa): State<Arc<Opa>>, request: Request) -> Response {
    let bundles: BTreeMap<_, _> = opa.bundles.status().into_iter().map(|status| (status.name().to_owned(), status)).collect();
    let plugins: BTreeMap<_, _> = opa.plugin_states().into_iter().map(|(name, state)| (name, json!({"state": state}))).collect();
    let result = json!({
        "labels": *opa.labels,
        "bundles": bundles,
        "plugins": plugins,
        "decision_logs": opa.log.as_ref().map(super::log::DecisionLog::status),
    });
    form(&request).answer(&Told { result })
}

/// `GET /metrics`: as on the operations listener.
pub(super) async fn measured(State(opa): State<Arc<Opa>>) -> Response {
    match opa.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `GET /`: for a person who looks what this is.
pub(super) async fn index() -> &'static str {
    "Countersign answers OPA's clients here: see /v1/data, /v1/policies, /health.\n"
}

fn form(request: &Request) -> Form {
    Form::of(request.uri(), request.headers())
}
