//! What edges ask and tell: a snapshot, a decision with its facts, and the lines of what they decided by themselves.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::record::EdgeBatch;
use countersign_sdk_types::EvaluationResponse;
use countersign_sdk_types::strict::{self, Limits};
use futures_util::StreamExt as _;
use serde_json::json;

use super::Refusal;
use super::body::{Document, Members};
use super::caller::Caller;
use super::evaluation::{parse, render};
use crate::config::AuthzenUse;
use crate::edge::NotKept;
use crate::metrics::Door;
use crate::pipeline::Question;
use crate::serve::Decider;

/// The `Content-Type` of a signed snapshot.
const SNAPSHOT: &str = "application/jose";

fn edge(caller: &Caller) -> Result<(), Refusal> {
    caller.may(AuthzenUse::Evaluate)?;
    if caller.0.is_edge {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, format!("`{}` is no edge; `pep.edge` says who is", caller.0.pep.id)))
}

/// `GET /countersign/v1/snapshot`.
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
pub(super) async fn evaluate(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    Document(members): Document,
) -> Result<Json<EvaluationResponse>, Refusal> {
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
    Ok(Json(response))
}

/// `POST /countersign/v1/edge/records`: batches, each a line of JSON, as they come. Each is kept when it is there; that all were is said at the end.
pub(super) async fn records(State(decider): State<Arc<Decider>>, caller: Caller, body: Body) -> Result<StatusCode, Refusal> {
    edge(&caller)?;
    let (mut chunks, mut lines) = (body.into_data_stream(), Lines::default());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::malformed("the body broke off"))?;
        for line in lines.read(&chunk)? {
            keep(&decider, &caller, &line).await?;
        }
    }
    if lines.rest.is_empty() { Ok(StatusCode::NO_CONTENT) } else { Err(Refusal::malformed("the last line has no end")) }
}

async fn keep(decider: &Decider, caller: &Caller, line: &[u8]) -> Result<(), Refusal> {
    let batch: EdgeBatch = strict::from_slice(line, Limits::REQUEST).map_err(|error| Refusal::malformed(error.to_string()))?;
    match decider.edges.keep(&decider.pdp, &caller.0.pep.id, batch).await {
        Ok(_) => Ok(()),
        Err(NotKept::Malformed(why)) => Err(Refusal::malformed(why)),
        Err(NotKept::Unavailable) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the lines could not be kept")),
    }
}

/// The most bytes of one body of batches.
const MOST_RECORDS: usize = 8 * 1024 * 1024;

/// Lines of a body that is still on its way.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    seen: usize,
}

impl Lines {
    /// The lines that end in this piece.
    fn read(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        self.seen = self.seen.saturating_add(piece.len());
        let mut ended = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if self.rest.len() > Limits::REQUEST.bytes || self.seen > MOST_RECORDS {
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "a line, or all of them, are too long"));
            }
            if part.ends_with(b"\n") {
                ended.push(std::mem::take(&mut self.rest));
            }
        }
        Ok(ended)
    }
}
