//! `POST /access/v1/evaluations` (§7): many questions with common defaults, in order, and as many as their semantic wants.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::Decision;
use countersign_sdk_types::strict::Limits;
use countersign_sdk_types::{DenialCode, EvaluationResponse, Wanted};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body::{Document, Members};
use super::caller::Caller;
use super::{Refusal, evaluation};
use crate::config::AuthzenUse;
use crate::metrics::Door;
use crate::pipeline::Question;
use crate::serve::Decider;

/// The members that an item takes from the request where it has none of its own; whole, never in part.
const DEFAULTS: [&str; 4] = ["subject", "action", "resource", "context"];

/// What all questions of a batch may be together, with the defaults in each that takes them: a short list would else be as much work, and as long a record,
/// as a thousand large requests.
const MOST_BYTES: usize = 32 * Limits::REQUEST.bytes;

/// Until when the questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn of(members: Members<'_>) -> Result<Self, Refusal> {
        let chosen = members.object("options")?.and_then(|options| options.get("evaluations_semantic"));
        match chosen.map(Value::as_str) {
            None | Some(Some("execute_all")) => Ok(Self::ExecuteAll),
            Some(Some("deny_on_first_deny")) => Ok(Self::DenyOnFirstDeny),
            Some(Some("permit_on_first_permit")) => Ok(Self::PermitOnFirstPermit),
            Some(_) => Err(Refusal::malformed("`options.evaluations_semantic` is not one that is known")),
        }
    }

    const fn goes_on(self, is_permit: bool) -> bool {
        match self {
            Self::ExecuteAll => true,
            Self::DenyOnFirstDeny => is_permit,
            Self::PermitOnFirstPermit => !is_permit,
        }
    }
}

/// What came of a request: where it has no items, it is one question.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::adapter) enum Evaluated {
    /// The one answer.
    One(EvaluationResponse),
    /// An answer for each item that was asked.
    Many {
        /// In their order.
        evaluations: Vec<EvaluationResponse>,
    },
}

/// Answers many questions.
pub(super) async fn evaluate(
    State(decider): State<Arc<Decider>>,
    caller: Caller,
    Document(members): Document,
) -> Result<Json<Evaluated>, Refusal> {
    many(&decider, &caller, &members).await.map(Json)
}

/// The one way to many decisions, whichever wire the questions came by.
pub(in crate::adapter) async fn many(decider: &Decider, caller: &Caller, members: &Map<String, Value>) -> Result<Evaluated, Refusal> {
    caller.may(AuthzenUse::Evaluate)?;
    let request = Members(members);
    let semantic = Semantic::of(request)?;
    let items = items(request, decider.authzen.settings.most_evaluations)?;
    if items.is_empty() {
        return evaluation::one(decider, caller, members).await.map(Evaluated::One);
    }
    for name in DEFAULTS {
        request.object(name)?;
    }
    if spelled_out(&items, members) > MOST_BYTES {
        return Err(Refusal::malformed(format!("the defaults in each item that takes them make more than {MOST_BYTES} bytes")));
    }
    let evaluations = decide(decider, caller, semantic, items.into_iter().map(|item| with_defaults(item, members))).await;
    Ok(Evaluated::Many { evaluations })
}

fn items(request: Members<'_>, most: usize) -> Result<Vec<&Map<String, Value>>, Refusal> {
    let items = match request.0.get("evaluations") {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Refusal::malformed("`evaluations` is no list")),
    };
    if items.len() > most {
        return Err(Refusal::malformed(format!("`evaluations` has more than {most} items")));
    }
    let object = |(at, item): (usize, &'_ Value)| item.as_object().is_some().then_some(()).ok_or(at);
    if let Err(at) = items.iter().enumerate().try_for_each(object) {
        return Err(Refusal::malformed(format!("`evaluations[{at}]` is no object")));
    }
    Ok(items.iter().filter_map(Value::as_object).collect())
}

/// How many bytes the defaults are, counted in each item that takes them.
fn spelled_out(items: &[&Map<String, Value>], request: &Map<String, Value>) -> usize {
    let size = |name: &str| request.get(name).map_or(0, |value| value.to_string().len());
    DEFAULTS.iter().map(|name| size(name) * items.iter().filter(|item| !item.contains_key(*name)).count()).sum()
}

fn with_defaults(item: &Map<String, Value>, request: &Map<String, Value>) -> Map<String, Value> {
    let member = |name: &str| item.get(name).or_else(|| request.get(name)).map(|value| (name.to_owned(), value.clone()));
    DEFAULTS.into_iter().filter_map(member).collect()
}

/// A question that is malformed is answered in its place; the others are asked.
async fn decide(
    decider: &Decider,
    caller: &Caller,
    semantic: Semantic,
    items: impl Iterator<Item = Map<String, Value>>,
) -> Vec<EvaluationResponse> {
    let parse = |item: Map<String, Value>| evaluation::parse(decider, &caller.0.pep, Members(&item).question()?);
    let parsed: Vec<_> = items.map(parse).collect();
    let refusals: Vec<Option<Refusal>> = parsed.iter().map(|parsed| parsed.as_ref().err().cloned()).collect();
    let denied = |refusal: Refusal| Denial::new(DenialCode::MalformedRequest, refusal.message);
    let questions = parsed.into_iter().map(|parsed| match parsed {
        Ok((check, wanted)) => Question { raw: Ok(check), wanted },
        Err(refusal) => Question { raw: Err(denied(refusal)), wanted: Wanted::default() },
    });
    let goes_on = |decision: &Decision| semantic.goes_on(matches!(decision, Decision::Allow(_)));
    let answers = decider.pdp.check_all(Door::Authzen, questions.collect(), goes_on, decider.authzen.settings.deadline).await;
    let told = answers.iter().zip(refusals).map(|(answer, refusal)| {
        let rendered = refusal.map_or_else(|| evaluation::render(answer), Err);
        rendered.unwrap_or_else(|refusal| failed(&refusal, &answer.id))
    });
    told.collect()
}

/// What would have been an HTTP error, in its place among the others.
fn failed(refusal: &Refusal, id: &str) -> EvaluationResponse {
    let error = json!({"status": refusal.status.as_u16(), "message": refusal.message});
    EvaluationResponse { decision: false, context: Map::from_iter([("error".to_owned(), error), ("id".to_owned(), json!(id))]) }
}

#[cfg(test)]
mod tests {
    //! Semantics and defaults.

    use axum::http::StatusCode;

    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn defaults_are_whole_objects() {
        let request =
            map(&json!({"resource": {"type": "record", "id": "1", "properties": {"a": 1}}, "action": {"name": "read"}, "foo": 1}));
        let item = map(&json!({"resource": {"id": "2"}, "evaluations": []}));
        assert_eq!(Value::from(with_defaults(&item, &request)), json!({"resource": {"id": "2"}, "action": {"name": "read"}}));
    }

    #[test]
    fn a_default_counts_in_each_item_that_takes_it() {
        let request = map(&json!({"context": {"note": "x".repeat(10_000)}}));
        let (takes, brings) = (Map::new(), map(&json!({"context": {}})));
        assert_eq!(spelled_out(&[&brings, &brings], &request), 0);
        let one = spelled_out(&[&takes], &request);
        assert!((10_000..10_100).contains(&one), "{one}");
        assert!(spelled_out(&[&takes; 1000], &request) == 1000 * one && 1000 * one > MOST_BYTES);
        assert!(spelled_out(&[&takes; 100], &request) < MOST_BYTES);
    }

    #[test]
    fn a_null_of_an_item_is_no_absence() {
        let (request, item) = (map(&json!({"subject": {"type": "user", "id": "a"}})), map(&json!({"subject": null})));
        let merged = with_defaults(&item, &request);
        assert_eq!(Members(&merged).question().unwrap_err().message, "`subject` is no object");
    }

    #[test]
    fn only_known_semantics_are_taken() {
        let of = |options: Value| Semantic::of(Members(&map(&json!({"options": options}))));
        assert_eq!(of(json!({"other": 1})), Ok(Semantic::ExecuteAll));
        assert_eq!(of(json!({"evaluations_semantic": "deny_on_first_deny"})), Ok(Semantic::DenyOnFirstDeny));
        for unknown in [json!({"evaluations_semantic": "bogus"}), json!({"evaluations_semantic": null}), json!(null), json!([])] {
            assert_eq!(of(unknown.clone()).map_err(|refusal| refusal.status), Err(StatusCode::BAD_REQUEST), "{unknown}");
        }
    }

    #[test]
    fn lists_are_bounded_and_hold_objects() {
        let items_of = |list: Value| items(Members(&map(&json!({"evaluations": list}))), 2).map(|items| items.len());
        assert_eq!(items_of(json!([])), Ok(0));
        assert_eq!(items_of(json!([{}, {}])), Ok(2));
        for refused in [json!([{}, {}, {}]), json!({}), json!(null), json!([{}, 5])] {
            assert!(items_of(refused.clone()).is_err(), "{refused}");
        }
    }
}
