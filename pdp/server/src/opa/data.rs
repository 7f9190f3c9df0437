//! Documents: `/v1/data`, `/v0/data`, and the default decision at `/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Opa;
use super::active::Active;
use super::asked::{Answered, Asked, Input, Subject};
use super::failure::Failure;
use super::wire;

/// The answer of `/v1/data`.
#[derive(Debug, Serialize)]
struct DataAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Warning>,
    #[serde(skip_serializing_if = "String::is_empty")]
    decision_id: String,
}

#[derive(Debug, Serialize)]
struct Warning {
    code: &'static str,
    message: &'static str,
}

/// What the answer rests on.
#[derive(Debug, Serialize)]
struct Provenance {
    version: &'static str,
    build_commit: &'static str,
    build_timestamp: &'static str,
    build_hostname: &'static str,
    bundles: BTreeMap<String, Revision>,
}

#[derive(Debug, Serialize)]
struct Revision {
    revision: String,
}

impl Provenance {
    fn of(active: &Active) -> Self {
        let revision = |(name, revision): (&String, &String)| (name.clone(), Revision { revision: revision.clone() });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build_commit: "",
            build_timestamp: "",
            build_hostname: "",
            bundles: active.revisions.iter().map(revision).collect(),
        }
    }
}

/// `GET /v1/data/{path}?input=`
pub(super) async fn get(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let mut asked = Asked::of(&opa, &request)?;
    let steps = wire::steps(request.uri(), "/v1/data")?;
    let text = asked.params.input.take().unwrap_or_default();
    let input = Input { document: wire::document(text.as_bytes(), "parameter")?, size: text.len() };
    asked.input_read();
    let answered = asked.evaluate(&opa, Subject::Document(steps), input).await?;
    Ok(render(asked, answered, None))
}

/// `POST /v1/data/{path}` with `{"input": …}`
pub(super) async fn post(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let mut asked = Asked::of(&opa, &request)?;
    let steps = wire::steps(request.uri(), "/v1/data")?;
    let bytes = wire::body(request, opa.options.largest_body).await?;
    let document = match wire::document(&bytes, "body")? {
        None | Some(Value::Null) => None,
        Some(Value::Object(mut members)) => members.remove("input").filter(|input| !input.is_null()),
        Some(_) => return Err(Failure::parameter("body contains malformed input document: it is not an object with `input`")),
    };
    let warning = document.is_none().then_some(Warning { code: "api_usage_warning", message: "'input' key missing from the request" });
    asked.input_read();
    let answered = asked.evaluate(&opa, Subject::Document(steps), Input { document, size: bytes.len() }).await?;
    Ok(render(asked, answered, warning))
}

fn render(asked: Asked, answered: Answered, warning: Option<Warning>) -> Response {
    let answer = DataAnswer {
        provenance: asked.params.provenance.then(|| Provenance::of(&answered.active)),
        metrics: asked.params.metrics.then(|| asked.metrics()),
        result: answered.result,
        warning,
        decision_id: asked.decision_id,
    };
    asked.form.answer(&answer)
}

/// `POST /v0/data/{path}`: the input bare, the result bare.
pub(super) async fn post_bare(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let steps = wire::steps(request.uri(), "/v0/data")?;
    bare(&opa, request, steps).await
}

/// `POST /`: the same for the default decision.
pub(super) async fn post_default(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let steps = opa.options.default_decision.clone();
    bare(&opa, request, steps).await
}

async fn bare(opa: &Opa, request: Request, steps: Vec<String>) -> Result<Response, Failure> {
    let mut asked = Asked::of(opa, &request)?;
    let unexpected = |failure: Failure| Failure::parameter(format!("unexpected parse error for input: {}", failure.body.message));
    let bytes = wire::body(request, opa.options.largest_body).await.map_err(unexpected)?;
    let document = wire::document(&bytes, "body").map_err(unexpected)?.unwrap_or_default();
    asked.input_read();
    let input = Input { document: Some(document), size: bytes.len() };
    let answered = asked.evaluate(opa, Subject::Document(steps.clone()), input).await?;
    match answered.result {
        Some(result) => Ok(asked.form.answer(&result)),
        None => {
            let what = if answered.active.has_rules_at(&steps) { "document undefined" } else { "document missing" };
            Ok(Failure::undefined(what, &wire::reference(&steps)).into_response())
        }
    }
}
