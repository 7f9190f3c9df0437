//! `POST /access/v1/search/{subject,resource,action}` (§8): who may, with what, or what, page by page.
//!
//! A page ends when it is full, when it looked at as many candidates as it may, or at its deadline. Whichever it was, a token says where the next one begins: an
//! answer without a token is complete.

mod seal;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::record::SearchKind;
use countersign_sdk_types::{Action, Entity, EvaluationRequest, Fault};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(super) use self::seal::Seal;

use self::seal::Query;
use super::body::{Document, Members};
use super::caller::Caller;
use super::{Refusal, evaluation, obligations};
use crate::config::AuthzenUse;
use crate::pipeline::{Bounds, Ended, Found, Hit, Search};
use crate::serve::Decider;

/// Who may do it.
pub(super) async fn subjects(decider: State<Arc<Decider>>, caller: Caller, document: Document) -> Result<Response, Refusal> {
    search(decider, caller, document, SearchKind::Subject).await
}

/// With what it may be done.
pub(super) async fn resources(decider: State<Arc<Decider>>, caller: Caller, document: Document) -> Result<Response, Refusal> {
    search(decider, caller, document, SearchKind::Resource).await
}

/// What may be done.
pub(super) async fn actions(decider: State<Arc<Decider>>, caller: Caller, document: Document) -> Result<Response, Refusal> {
    search(decider, caller, document, SearchKind::Action).await
}

async fn search(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    Document(members): Document,
    kind: SearchKind,
) -> Result<Response, Refusal> {
    caller.may(AuthzenUse::Search)?;
    let members = Members(&members);
    let (asked, wanted) = (question(members, kind)?, Wanted::of(members)?);
    let Ok(_turn) = decider.authzen.searches.try_acquire() else { return Ok(busy()) };
    let searched = match kind {
        SearchKind::Subject => asked.subject.kind.clone(),
        SearchKind::Resource | SearchKind::Action => asked.resource.kind.clone(),
    };
    let (raw, of_answer) = evaluation::parse(&decider, &caller.0.pep, asked)?;
    if of_answer.lease.is_some() {
        return Err(Refusal::malformed("what a search finds is not leased"));
    }
    if let Some(floor) = of_answer.at_least {
        decider.pdp.reach(floor, decider.pdp.deadline).await.map_err(|denial| failed(&denial))?;
    }
    let query = Query::of(kind, &raw);
    let after = wanted.token.as_deref().map(|token| decider.authzen.seal.open(token, &query)).transpose()?.unwrap_or_default();
    let most = decider.authzen.settings.most_candidates;
    let results = wanted.limit.map_or(most, |limit| limit.min(most));
    let bounds = Bounds { results, candidates: most, deadline: decider.authzen.settings.deadline };
    let found = decider.pdp.search(Search { kind, raw, after }, bounds).await.map_err(|denial| failed(&denial))?;
    let next_token = found.next.as_deref().map(|next| decider.authzen.seal.close(next, &query)).transpose()?;
    Ok(Json(Answer::of(&found, next_token, &wanted, kind, &searched)).into_response())
}

/// The whole question, with a name in the place of what is searched for.
fn question(members: Members<'_>, kind: SearchKind) -> Result<EvaluationRequest, Refusal> {
    let any = |entity: Entity| Entity { id: ANY.to_owned(), ..entity };
    let subject = match kind {
        SearchKind::Subject => any(members.kind("subject")?),
        SearchKind::Resource | SearchKind::Action => members.entity("subject")?,
    };
    let action = match kind {
        // One that is given all the same is ignored, whatever it is.
        SearchKind::Action => Action { name: ANY.to_owned(), properties: Map::new() },
        SearchKind::Subject | SearchKind::Resource => members.action()?,
    };
    let resource = match kind {
        SearchKind::Resource => any(members.kind("resource")?),
        SearchKind::Subject | SearchKind::Action => members.entity("resource")?,
    };
    Ok(EvaluationRequest { subject, action, resource, context: members.context()? })
}

/// The name of what is searched for, in a record.
const ANY: &str = "*";

/// What the caller wants of a page.
struct Wanted {
    is_paged: bool,
    token: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    fn of(members: Members<'_>) -> Result<Self, Refusal> {
        let Some(page) = members.object("page")? else { return Ok(Self { is_paged: false, token: None, limit: None }) };
        let token = match page.get("token") {
            None => None,
            Some(Value::String(token)) => Some(token.clone()).filter(|token| !token.is_empty()),
            Some(_) => return Err(Refusal::malformed("`page.token` is no text")),
        };
        let limit = match page.get("limit") {
            None => None,
            Some(limit) => {
                let limit = limit.as_u64().ok_or_else(|| Refusal::malformed("`page.limit` is no whole number from 0"))?;
                Some(usize::try_from(limit).unwrap_or(usize::MAX))
            }
        };
        Ok(Self { is_paged: true, token, limit })
    }
}

/// In this order: a reader that streams knows first whether more is to come.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Page>,
    context: Value,
    results: Vec<Value>,
}

#[derive(Serialize)]
struct Page {
    next_token: String,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Value>,
}

impl Answer {
    fn of(found: &Found, next_token: Option<String>, wanted: &Wanted, kind: SearchKind, searched: &str) -> Self {
        // Of an answer that is not complete the caller hears in any case.
        let page = (wanted.is_paged || next_token.is_some()).then(|| Page {
            next_token: next_token.unwrap_or_default(),
            count: found.hits.len(),
            properties: ended_by(found.ended).map(|why| json!({"ended_by": why})),
        });
        let results = found.hits.iter().map(|hit| result(hit, kind, searched)).collect();
        Self { page, context: json!({"id": found.id}), results }
    }
}

/// What ended a page before it was full.
const fn ended_by(ended: Ended) -> Option<&'static str> {
    match ended {
        Ended::Complete | Ended::Results => None,
        Ended::Candidates => Some("candidates"),
        Ended::Deadline => Some("deadline"),
    }
}

fn result(hit: &Hit, kind: SearchKind, searched: &str) -> Value {
    let mut result = match kind {
        SearchKind::Action => Map::from_iter([("name".to_owned(), json!(hit.name))]),
        SearchKind::Subject | SearchKind::Resource => {
            Map::from_iter([("type".to_owned(), json!(searched)), ("id".to_owned(), json!(hit.name))])
        }
    };
    let context = obligations::carried(&hit.obligations);
    if !context.is_empty() {
        result.insert("context".to_owned(), Value::Object(context));
    }
    Value::Object(result)
}

fn busy() -> Response {
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many searches are under way");
    ([(header::RETRY_AFTER, "1")], refusal).into_response()
}

fn failed(denial: &Denial) -> Refusal {
    match denial.fault() {
        Fault::Malformed => Refusal::malformed(denial.to_string()),
        _ => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, denial.code().as_str()),
    }
}

#[cfg(test)]
mod tests;
