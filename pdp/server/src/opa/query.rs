//! Ad-hoc queries: `GET /v1/query?q=` and `POST /v1/query`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Opa;
use super::asked::{Asked, Input, Subject};
use super::failure::Failure;
use super::wire;

#[derive(Debug, Serialize)]
struct QueryAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

pub(super) async fn get(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let mut asked = Asked::of(&opa, &request)?;
    let query = asked.params.query.take().ok_or_else(|| Failure::parameter("missing parameter 'q'"))?;
    answer(&opa, asked, query, Input::default()).await
}

pub(super) async fn post(State(opa): State<Arc<Opa>>, request: Request) -> Result<Response, Failure> {
    let mut asked = Asked::of(&opa, &request)?;
    let bytes = wire::body(request, opa.options.largest_body).await?;
    let Some(Value::Object(mut members)) = wire::document(&bytes, "body")? else {
        return Err(Failure::parameter("error(s) occurred while decoding request: body is not an object with `query`"));
    };
    let Some(Value::String(query)) = members.remove("query") else {
        return Err(Failure::parameter("error(s) occurred while decoding request: `query` is not a text"));
    };
    let document = members.remove("input").filter(|input| !input.is_null());
    asked.input_read();
    answer(&opa, asked, query, Input { document, size: bytes.len() }).await
}

async fn answer(opa: &Opa, mut asked: Asked, query: String, input: Input) -> Result<Response, Failure> {
    let answered = asked.evaluate(opa, Subject::Query(query), input).await?;
    let metrics = asked.params.metrics.then(|| asked.metrics());
    Ok(asked.form.answer(&QueryAnswer { metrics, result: answered.result }))
}
