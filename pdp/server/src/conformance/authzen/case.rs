//! A case, whichever format it comes in. Members that are not there take what most cases have.

use serde_json::{Map, Value};

/// The largest file that is read as JSON is bounded by whoever hands it in; this is the most cases of it.
const MOST_CASES: usize = 100_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Auth {
    /// The caller of the command line, where one is given.
    Usual,
    /// The caller of the command line, which must be given.
    Needed,
    /// Nobody.
    None,
    /// Somebody who is not known.
    Invalid,
    /// Something that this version does not know.
    Unknown(String),
}

/// What an answer must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// Nothing in particular.
    Nothing,
    /// This decision.
    Decision(bool),
    /// These decisions, in order.
    Decisions(Vec<bool>),
    /// At least these results; none where none are listed.
    Contains(Vec<Value>),
    /// Exactly these results, in any order.
    Exactly(Vec<Value>),
    /// Something that this version does not know.
    Unknown(String),
}

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) endpoint: String,
    pub(super) content_type: String,
    pub(super) body: String,
    pub(super) auth: Auth,
    pub(super) status: Vec<u16>,
    pub(super) expected: Expected,
    /// The form of the answer is checked and no decision in it.
    pub(super) structural_only: bool,
    pub(super) repeat: bool,
    pub(super) x_request_id: bool,
    pub(super) follow_pages: bool,
}

pub(super) const EVALUATION: &str = "/access/v1/evaluation";
pub(super) const EVALUATIONS: &str = "/access/v1/evaluations";
pub(super) const SEARCH: &str = "/access/v1/search/";

/// Reads the cases of a file.
///
/// # Errors
/// When it is no JSON, or of neither format.
pub(super) fn read(file: &[u8]) -> Result<Vec<Case>, String> {
    let file: Value = serde_json::from_slice(file).map_err(|error| format!("the file is no JSON: {error}"))?;
    let cases = match &file {
        Value::Array(modules) => modules.iter().enumerate().map(|(at, module)| from_module(module, at)).collect::<Result<Vec<_>, _>>()?,
        Value::Object(lists) => lists.iter().map(|(name, list)| from_list(name, list)).collect::<Result<Vec<_>, _>>()?.concat(),
        _ => return Err("the file holds neither a list of modules nor lists of decisions".to_owned()),
    };
    if cases.is_empty() || cases.len() > MOST_CASES {
        return Err(format!("the file holds no case, or more than {MOST_CASES}"));
    }
    Ok(cases)
}

fn from_module(module: &Value, at: usize) -> Result<Case, String> {
    let module = module.as_object().ok_or_else(|| format!("case {at} is no object"))?;
    let text = |name: &str| module.get(name).and_then(Value::as_str);
    let flag = |name: &str| module.get(name).and_then(Value::as_bool).unwrap_or(false);
    let name = text("test").or(text("name")).or(text("title")).map_or_else(|| format!("case {at}"), ToOwned::to_owned);
    let payload = module.get("payload").filter(|payload| !payload.is_null());
    let endpoint = text("endpoint").map_or_else(|| endpoint_of(payload).to_owned(), ToOwned::to_owned);
    let expected = expected(module.get("expect").or(module.get("expected")).unwrap_or(&Value::Null), false);
    Ok(Case {
        method: text("method").unwrap_or("POST").to_owned(),
        content_type: text("content_type").unwrap_or("application/json").to_owned(),
        body: text("raw_body")
            .or(text("payload_text"))
            .map_or_else(|| payload.map(Value::to_string).unwrap_or_default(), ToOwned::to_owned),
        auth: auth(module.get("auth")),
        status: statuses(module.get("status")).ok_or_else(|| format!("`status` of {name} is neither a number nor a list of numbers"))?,
        expected,
        structural_only: flag("structural_only"),
        repeat: flag("repeat"),
        x_request_id: flag("x_request_id"),
        follow_pages: flag("follow_pages"),
        endpoint,
        name,
    })
}

fn from_list(name: &str, list: &Value) -> Result<Vec<Case>, String> {
    let list = list.as_array().ok_or_else(|| format!("`{name}` is no list of decisions"))?;
    list.iter().enumerate().map(|(at, item)| from_decision(name, at, item)).collect()
}

fn from_decision(list: &str, at: usize, item: &Value) -> Result<Case, String> {
    let name = format!("{list}[{at}]");
    let request = item.get("request").ok_or_else(|| format!("{name} has no `request`"))?;
    let expected = expected(item.get("expected").ok_or_else(|| format!("{name} has no `expected`"))?, true);
    Ok(Case {
        endpoint: endpoint_of(Some(request)).to_owned(),
        method: "POST".to_owned(),
        content_type: "application/json".to_owned(),
        body: request.to_string(),
        auth: auth(item.get("auth")),
        status: vec![200],
        structural_only: false,
        repeat: false,
        x_request_id: false,
        // Whoever lists every result wants all pages.
        follow_pages: matches!(expected, Expected::Exactly(_)),
        expected,
        name,
    })
}

/// What a request is about, by its form: a batch has evaluations, and a search lacks what it searches for.
fn endpoint_of(request: Option<&Value>) -> &'static str {
    let has = |name: &str, member: &str| request.and_then(|request| request.get(name)).is_some_and(|entity| entity.get(member).is_some());
    match () {
        () if request.is_some_and(|request| request.get("evaluations").is_some()) => EVALUATIONS,
        () if !has("subject", "id") && has("subject", "type") => "/access/v1/search/subject",
        () if !has("resource", "id") && has("resource", "type") => "/access/v1/search/resource",
        () if !has("action", "name") && has("subject", "id") && has("resource", "id") => "/access/v1/search/action",
        () => EVALUATION,
    }
}

fn expected(expected: &Value, is_whole: bool) -> Expected {
    let decision = |value: &Value| value.as_bool().or_else(|| value.get("decision").and_then(Value::as_bool));
    let decisions = |list: &Vec<Value>| list.iter().map(decision).collect::<Option<Vec<bool>>>().map(Expected::Decisions);
    let results = |list: &Vec<Value>| if is_whole { Expected::Exactly(list.clone()) } else { Expected::Contains(list.clone()) };
    let lists = |name: &str| expected.get(name).and_then(Value::as_array);
    lists("results")
        .map(results)
        .or_else(|| lists("evaluations").or(expected.as_array()).and_then(decisions))
        .or_else(|| decision(expected).map(Expected::Decision))
        .unwrap_or_else(|| otherwise(expected))
}

/// An expectation that cannot be read must not hold by itself.
fn otherwise(expected: &Value) -> Expected {
    let is_empty = expected.is_null() || expected.as_object().is_some_and(Map::is_empty);
    if is_empty { Expected::Nothing } else { Expected::Unknown(expected.to_string().chars().take(100).collect()) }
}

fn auth(auth: Option<&Value>) -> Auth {
    match auth {
        None | Some(Value::Null) => Auth::Usual,
        Some(Value::String(text)) => match text.as_str() {
            "none" | "missing" => Auth::None,
            "invalid" | "wrong" => Auth::Invalid,
            "bearer" | "valid" | "required" => Auth::Needed,
            other => Auth::Unknown(other.to_owned()),
        },
        Some(Value::Bool(true)) => Auth::Needed,
        Some(Value::Bool(false)) => Auth::None,
        Some(other) => Auth::Unknown(other.to_string()),
    }
}

fn statuses(status: Option<&Value>) -> Option<Vec<u16>> {
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    match status {
        None | Some(Value::Null) => Some(vec![200]),
        Some(Value::Array(list)) => list.iter().map(number).collect(),
        Some(one) => number(one).map(|one| vec![one]),
    }
}

/// The body with the token of the next page.
pub(super) fn with_token(body: &str, token: &str) -> Option<String> {
    let mut request: Map<String, Value> = serde_json::from_str(body).ok()?;
    let page = request.entry("page").or_insert_with(|| Value::Object(Map::new()));
    page.as_object_mut()?.insert("token".to_owned(), Value::from(token));
    Some(Value::Object(request).to_string())
}
