//! What an answer must be, by the specification and by the case.

use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use super::case::{Case, EVALUATIONS, Expected, SEARCH};
use super::wire::Answer;

type Checked = Result<(), String>;

fn require(holds: bool, why: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(why()) }
}

pub(super) fn status(answer: &Answer, allowed: &[u16]) -> Checked {
    require(allowed.contains(&answer.status), || {
        let body: String = answer.text.chars().take(200).collect();
        format!("status {} is none of {allowed:?}: {body}", answer.status)
    })
}

pub(super) fn echo(answer: &Answer, id: &str) -> Checked {
    let echoed = answer.headers.get("x-request-id").and_then(|value| value.to_str().ok());
    require(echoed == Some(id), || format!("`X-Request-ID` is {echoed:?} and not `{id}`"))
}

/// Form and content of a success. Pages are followed by whoever can ask for them.
pub(super) fn answer(answer: &Answer, case: &Case) -> Checked {
    shape(answer, case)?;
    if case.follow_pages {
        return Ok(());
    }
    let json = json(answer)?;
    match &case.expected {
        Expected::Nothing | Expected::Unknown(_) => Ok(()),
        Expected::Decision(decision) => {
            let said = decision_of(json)?;
            require(case.structural_only || said == *decision, || format!("decision is {said}: {}", answer.text))
        }
        Expected::Decisions(decisions) => {
            let list = json.get("evaluations").and_then(Value::as_array).ok_or("there is no list `evaluations`")?;
            let said: Vec<bool> = list.iter().map(decision_of).collect::<Result<_, _>>()?;
            let is_right = if case.structural_only { said.len() == decisions.len() } else { said == *decisions };
            require(is_right, || format!("decisions are {said:?} and not {decisions:?}"))
        }
        Expected::Contains(_) | Expected::Exactly(_) => found(&results(answer).cloned().collect::<Vec<_>>(), case),
    }
}

/// What every answer of an API has.
pub(super) fn shape(answer: &Answer, case: &Case) -> Checked {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    require(kind.split(';').next().map(str::trim) == Some("application/json"), || format!("content type is `{kind}`"))?;
    let json = json(answer)?;
    if case.endpoint.starts_with(SEARCH) {
        return search_shape(answer, json);
    }
    let many = json.get("evaluations");
    match many {
        None => decision_of(json).map(drop),
        Some(many) => {
            require(case.endpoint == EVALUATIONS, || "an evaluation has `evaluations`".to_owned())?;
            require(json.get("decision").is_none(), || "a batch has a `decision` of its own".to_owned())?;
            many.as_array().ok_or("`evaluations` is no list")?.iter().try_for_each(|item| decision_of(item).map(drop))
        }
    }
}

fn search_shape(answer: &Answer, json: &Value) -> Checked {
    let results = json.get("results").and_then(Value::as_array).ok_or("there is no list `results`")?;
    let is_named = |result: &Value| {
        let is_text = |name: &str| result.get(name).is_some_and(Value::is_string);
        is_text("name") || (is_text("type") && is_text("id"))
    };
    require(results.iter().all(is_named), || "a result has neither `type` and `id` nor `name`".to_owned())?;
    let Some(page) = json.get("page") else { return Ok(()) };
    require(page.get("next_token").is_some_and(Value::is_string), || "`page` has no `next_token`".to_owned())?;
    for name in ["count", "total"] {
        let is_count = page.get(name).is_none_or(|count| count.as_f64().is_some_and(|count| count >= 0.0));
        require(is_count, || format!("`page.{name}` is no number from 0"))?;
    }
    let at = |name: &str| answer.text.find(&format!("\"{name}\""));
    require(at("page") < at("results"), || "`page` does not come before `results`".to_owned())
}

fn json(answer: &Answer) -> Result<&Value, String> {
    answer.json.as_ref().ok_or_else(|| "the answer is no JSON".to_owned())
}

fn decision_of(json: &Value) -> Result<bool, String> {
    json.get("decision").and_then(Value::as_bool).ok_or_else(|| "there is no boolean `decision`".to_owned())
}

/// Asked again, the answer is the same, but for what names the answer itself.
pub(super) fn same(first: &Answer, again: &Answer) -> Checked {
    let content = |answer: &Answer| {
        let mut json = answer.json.clone().unwrap_or_default();
        forget_context(&mut json);
        json
    };
    require(content(first) == content(again), || format!("asked again it answers {}", again.text))
}

fn forget_context(json: &mut Value) {
    if let Some(object) = json.as_object_mut() {
        object.remove("context");
        object.remove("page");
        object.values_mut().for_each(forget_context);
    }
    json.as_array_mut().into_iter().flatten().for_each(forget_context);
}

pub(super) fn results(answer: &Answer) -> impl Iterator<Item = &Value> {
    answer.json.iter().filter_map(|json| json.get("results")?.as_array()).flatten()
}

/// The token of the next page; none after the last.
pub(super) fn next_token(answer: &Answer) -> Result<Option<String>, String> {
    let Some(page) = answer.json.as_ref().and_then(|json| json.get("page")) else { return Ok(None) };
    let token = page.get("next_token").and_then(Value::as_str).ok_or("`page` has no `next_token`")?;
    Ok(Some(token.to_owned()).filter(|token| !token.is_empty()))
}

/// Whether everything was found that the case lists, and nothing else where it lists everything.
pub(super) fn found(results: &[Value], case: &Case) -> Checked {
    let name = |entity: &Value| ["type", "id", "name"].map(|part| entity.get(part).and_then(Value::as_str).map(ToOwned::to_owned));
    let found: Vec<_> = results.iter().map(name).collect();
    let (Expected::Contains(listed) | Expected::Exactly(listed)) = &case.expected else { return Ok(()) };
    let missing = listed.iter().find(|entity| !found.contains(&name(entity)));
    require(case.structural_only || missing.is_none(), || format!("{} is not found", missing.map(Value::to_string).unwrap_or_default()))?;
    let is_whole = listed.is_empty() || matches!(case.expected, Expected::Exactly(_));
    require(!is_whole || case.structural_only || found.len() == listed.len(), || {
        format!("{} results where {} are expected", found.len(), listed.len())
    })
}
