//! What went wrong, in OPA's words and form (REST API, errors).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::rego::{Code, EvalError};
use serde::Serialize;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
}

/// Its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Body {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Detail>,
}

/// One error of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Location>,
}

/// Where in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Location {
    file: String,
    row: u32,
    col: u32,
}

impl Failure {
    const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, body: Body { code, message, errors: Vec::new() } }
    }

    /// The caller's request cannot be read.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message.into())
    }

    /// The caller is nobody who may ask.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "request rejected by administrative policy".to_owned())
    }

    /// There is no such resource.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "resource_not_found", message.into())
    }

    /// There is no such document, where that is an error.
    pub(crate) fn undefined(what: &str, reference: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "undefined_document", format!("{what}: {reference}"))
    }

    /// The API has it, and it is not done here.
    pub(crate) fn method(message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_operation", message.to_owned())
    }

    /// OPA can do it, and this cannot.
    pub(crate) fn not_implemented(message: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "invalid_operation", message.to_owned())
    }

    /// Our own fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message.into())
    }

    /// An evaluation failed.
    pub(crate) fn evaluation(error: &EvalError) -> Self {
        let failure = Self::internal("error(s) occurred while evaluating query");
        failure.with(Detail { code: error.code().as_str(), message: text(error), location: None })
    }

    /// A query of the caller cannot be read, or failed.
    pub(crate) fn query(error: &EvalError) -> Self {
        let what = match error.code() {
            Code::Parse => "error(s) occurred while parsing query",
            Code::Compile | Code::Type | Code::Unsafe | Code::Recursion => "error(s) occurred while compiling query",
            _ => return Self::evaluation(error),
        };
        let location = Some(Location { file: String::new(), row: 1, col: 1 });
        Self::parameter(what).with(Detail { code: error.code().as_str(), message: text(error), location })
    }

    fn with(mut self, detail: Detail) -> Self {
        self.body.errors.push(detail);
        self
    }
}

fn text(error: &EvalError) -> String {
    match error {
        EvalError::Failed { text, .. } => text.clone(),
        EvalError::Budget => "caller cancelled query execution: it used up its time".to_owned(),
        EvalError::Panic => error.to_string(),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec_pretty(&self.body).unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
