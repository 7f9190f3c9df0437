//! What edges ask and tell: a snapshot, a decision with its facts, and the lines of what they decided by themselves.

mod lines;

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::record::EdgeBatch;
use countersign_sdk_types::EvaluationResponse;
use countersign_sdk_types::strict;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use futures_util::StreamExt as _;
use serde_json::json;

use self::lines::{BATCH, DEFLATE, Lines};
use super::Refusal;
use super::body::{Document, Members};
use super::caller::Caller;
use super::evaluation::{parse, render};
use crate::config::AuthzenUse;
use crate::edge::NotKept;
use crate::metrics::Door;
use crate::openapi::{Asked, Decided, NotAsked};
use crate::pipeline::Question;
use crate::serve::Decider;

/// The `Content-Type` of a signed snapshot.
const SNAPSHOT: &str = "application/jose";
/// From here on an answer is worth compressing, in bytes.
const WORTH: usize = 512;

fn edge(caller: &Caller) -> Result<(), Refusal> {
    caller.may(AuthzenUse::Evaluate)?;
    if caller.0.is_edge {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, format!("`{}` is no edge; `pep.edge` says who is", caller.0.pep.id)))
}

/// `GET /countersign/v1/snapshot`.
#[utoipa::path(
    get,
    path = "/countersign/v1/snapshot",
    operation_id = "snapshot",
    summary = "What an edge decides by, signed.",
    description = "A compact JWS. For enforcement points that are edges.",
    responses(
        (status = 200, body = String, content_type = "application/jose", description = "The snapshot.", headers(("ETag" = String))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        NotAsked
    )
)]
pub(super) async fn snapshot(State(decider): State<Arc<Decider>>, caller: Caller, headers: HeaderMap) -> Result<Response, Refusal> {
    edge(&caller)?;
    let document = decider.edges.snapshot(&decider.pdp, &caller.0.pep, &decider.authzen.obligations);
    let document = document.map_err(|error| {
        tracing::error!(error, "no snapshot could be made");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no snapshot could be made")
    })?;
    let tag = (header::ETAG, document.tag.clone());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == document.tag.as_bytes());
    if known {
        return Ok((StatusCode::NOT_MODIFIED, [tag]).into_response());
    }
    Ok(([tag, (header::CONTENT_TYPE, SNAPSHOT.to_owned())], document.text.clone()).into_response())
}

/// `POST /countersign/v1/edge/evaluation`: an evaluation, and with an allow the facts that it rests on.
#[utoipa::path(
    post,
    path = "/countersign/v1/edge/evaluation",
    operation_id = "edge_evaluation",
    summary = "Asks one question, and for the facts that an allow rests on.",
    description = "The answer of an evaluation. With an allow to an edge that watches, `context.facts`, whose form is the edge's own.",
    request_body = Asked,
    responses((status = 200, body = Decided, description = "The answer."), NotAsked)
)]
pub(super) async fn evaluate(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    headers: HeaderMap,
    Document(members): Document,
) -> Result<Response, Refusal> {
    edge(&caller)?;
    let (check, wanted) = parse(&decider, &caller.0.pep, Members(&members).question()?)?;
    let most = decider.edges.terms().facts;
    let ttl = wanted.lease.as_ref().map_or(most, |lease| lease.ttl.min(most));
    let watch = wanted.lease.as_ref().and_then(|lease| lease.watch.clone());
    let (answer, granted) = decider.pdp.check_for_edge(Door::Authzen, Question { raw: Ok(check), wanted }, ttl).await;
    let mut response = render(&answer)?;
    // Facts are for who hears when they end.
    if let (Some((granted, shown)), Some(watch), true) = (granted, watch, response.decision) {
        decider.pdp.hub.leased(Some(&watch), &granted.lease.depends_on, decider.pdp.clock.now().after(granted.lease.ttl));
        decider.edges.issue(&caller.0.pep.id, &answer.id, granted.lease.revision.clone(), *shown);
        response.context.insert("facts".to_owned(), json!(granted));
    }
    answered(&headers, &response)
}

/// The answer: deflated for who takes that, because facts are as long as they are, and come often.
fn answered(headers: &HeaderMap, response: &EvaluationResponse) -> Result<Response, Refusal> {
    let unwritten = || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written");
    let plain = serde_json::to_vec(response).map_err(|_| unwritten())?;
    let json = (header::CONTENT_TYPE, "application/json");
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if plain.len() < WORTH || !accepted.split(',').any(|coding| coding.trim() == DEFLATE) {
        return Ok(([json], plain).into_response());
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain).map_err(|_| unwritten())?;
    let packed = encoder.finish().map_err(|_| unwritten())?;
    Ok(([json, (header::CONTENT_ENCODING, DEFLATE)], packed).into_response())
}

#[utoipa::path(
    post,
    path = "/countersign/v1/edge/records",
    operation_id = "edge_records",
    summary = "Tells what an edge decided by itself.",
    description = "Batches of lines, each a line of JSON, as they come; plain, or with `Content-Encoding: deflate`.",
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 204, description = "All of them are kept."),
        (status = 415, description = "They are in another coding."),
        NotAsked
    )
)]
/// `POST /countersign/v1/edge/records`: batches, each a line of JSON, as they come. Each is kept when it is there; that all were is said at the end.
pub(super) async fn records(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    edge(&caller)?;
    let (mut lines, mut chunks) = (Lines::of(&headers)?, body.into_data_stream());
    while let Some(chunk) = chunks.next().await {
        lines.came(chunk.map_err(|_| Refusal::malformed("the body broke off"))?);
        while let Some(line) = lines.next()? {
            keep(&decider, &caller, &line).await?;
        }
    }
    lines.end()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keep(decider: &Decider, caller: &Caller, line: &[u8]) -> Result<(), Refusal> {
    let batch: EdgeBatch = strict::from_slice(line, BATCH).map_err(|error| Refusal::malformed(error.to_string()))?;
    match decider.edges.keep(&decider.pdp, &caller.0.pep.id, batch).await {
        Ok(_) => Ok(()),
        Err(NotKept::Malformed(why)) => Err(Refusal::malformed(why)),
        Err(NotKept::Unavailable) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the lines could not be kept")),
    }
}
