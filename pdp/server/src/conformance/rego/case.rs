//! One case: modules and data, a query, and what it must give.

use std::cmp::Ordering;
use std::time::Duration;

use countersign_pdp_engine::policy::{Dialects, PolicyFile};
use countersign_pdp_engine::rego::{Answer, BuiltinErrors, Code, Document, EvalError, Library, Problems, Question};
use countersign_sdk_types::Timestamp;
use countersign_sdk_types::strict::{self, Limits};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::conformance::Outcome;

/// The time that the evaluation of a case may take.
const BUDGET: Duration = Duration::from_secs(5);
/// What the clock says in every case: a report is the same tomorrow.
const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);
/// The longest part of a result that a report shows.
const MAX_SHOWN: usize = 300;

/// A case of the suite. Keys that are not named here, such as compiled plans, play no part.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) note: String,
    #[serde(default)]
    pub(super) ignore: bool,
    #[serde(default)]
    modules: Option<Vec<String>>,
    #[serde(default)]
    data: Option<Json>,
    /// Absent and null differ.
    #[serde(default, deserialize_with = "present")]
    input: Option<Json>,
    #[serde(default)]
    input_term: Option<String>,
    query: String,
    #[serde(default)]
    want_result: Option<Vec<Map<String, Json>>>,
    #[serde(default)]
    want_error: Option<String>,
    #[serde(default)]
    want_error_code: Option<String>,
    #[serde(default)]
    strict_error: bool,
    #[serde(default)]
    sort_bindings: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(value).map(Some)
}

/// Why there is no result.
enum Failure {
    Compile(Problems),
    Eval(EvalError),
}

impl Case {
    pub(super) fn read(line: &str) -> Result<Self, String> {
        strict::from_slice(line.as_bytes(), Limits::DATA).map_err(|error| error.to_string())
    }

    pub(super) fn run(&self) -> Outcome {
        let wanted_error = self.want_error.is_some() || self.want_error_code.is_some();
        match (self.answers(), &self.want_result) {
            (Ok(answers), Some(wanted)) if !wanted_error => self.compare(answers, wanted),
            (Ok(answers), _) if wanted_error => failed("an error is expected", &shown(&answers)),
            (Err(failure), _) if wanted_error => self.compare_error(&failure),
            (Err(failure), _) => Outcome::Failed(failure.to_string()),
            (Ok(_), _) => Outcome::Skipped("case expects neither a result nor an error".to_owned()),
        }
    }

    fn answers(&self) -> Result<Vec<Answer>, Failure> {
        let named = |(at, text): (usize, &String)| PolicyFile { path: format!("module{at}.rego"), text: text.clone() };
        let modules: Vec<PolicyFile> = self.modules.iter().flatten().enumerate().map(named).collect();
        let empty = Json::Object(Map::new());
        let library = Library::compile(&modules, self.data.as_ref().unwrap_or(&empty), &self.dialects()).map_err(Failure::Compile)?;
        let term = self.input_term.as_deref().map(Document::term).transpose().map_err(Failure::Eval)?;
        let question = Question {
            input: term.or_else(|| self.input.clone().map(Document::from)),
            now: NOW,
            seed: [0; 32],
            budget: BUDGET,
            builtin_errors: if self.strict_error { BuiltinErrors::Fatal } else { BuiltinErrors::Undefined },
        };
        library.query(&self.query, &question).map_err(Failure::Eval)
    }

    /// Modules are today's Rego; where that is not what the case is about, the dialect before 1.0 is tried too.
    fn dialects(&self) -> Dialects {
        let about_syntax = self.want_error_code.as_deref().is_some_and(|code| code.starts_with("rego_"));
        Dialects { default: about_syntax.then_some(1), ..Dialects::default() }
    }

    /// Results are sets of bindings.
    fn compare(&self, answers: Vec<Answer>, wanted: &[Map<String, Json>]) -> Outcome {
        let mut given: Vec<Json> = answers.into_iter().map(|answer| Json::Object(answer.bindings)).collect();
        let mut wanted: Vec<Json> = wanted.iter().cloned().map(Json::Object).collect();
        if self.sort_bindings {
            given.iter_mut().chain(&mut wanted).for_each(sort_members);
        }
        for results in [&mut given, &mut wanted] {
            results.sort_by(order);
            results.dedup_by(|a, b| order(a, b) == Ordering::Equal);
        }
        let same = given.len() == wanted.len() && given.iter().zip(&wanted).all(|(a, b)| order(a, b) == Ordering::Equal);
        if same { Outcome::Passed } else { failed(&Json::Array(wanted).to_string(), &Json::Array(given).to_string()) }
    }

    /// An error must be of the expected kind: what cannot be read or has no such function fails for another reason than the case is about.
    /// Messages are not compared.
    fn compare_error(&self, failure: &Failure) -> Outcome {
        let code = failure.code();
        let expected = match self.want_error_code.as_deref() {
            Some("eval_conflict_error") => code == Code::Conflict,
            Some("eval_type_error" | "eval_builtin_error") => matches!(code, Code::Builtin | Code::Type) && !failure.is_of_a_name(),
            Some(wanted) if wanted.starts_with("rego_") => wanted == code.as_str(),
            _ => !matches!(code, Code::Parse | Code::Cancel | Code::Internal) && !failure.is_of_a_name(),
        };
        let wanted = self.want_error_code.as_deref().or(self.want_error.as_deref()).unwrap_or_default();
        if expected { Outcome::Passed } else { failed(&format!("error `{wanted}`"), &failure.to_string()) }
    }
}

impl Failure {
    fn code(&self) -> Code {
        match self {
            Self::Compile(problems) => problems.iter().next().map_or(Code::Compile, |problem| problem.code),
            Self::Eval(error) => error.code(),
        }
    }

    /// Whether a function is missing.
    fn is_of_a_name(&self) -> bool {
        let text = self.to_string();
        text.contains("is not defined") || text.contains("is refused") || text.contains("could not find function")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Compile(problems) => problems.fmt(f),
            Self::Eval(error) => error.fmt(f),
        }
    }
}

fn failed(wanted: &str, given: &str) -> Outcome {
    let cut = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
    Outcome::Failed(format!("expected {}, got {}", cut(wanted), cut(given)))
}

fn shown(answers: &[Answer]) -> String {
    Json::Array(answers.iter().map(|answer| Json::Object(answer.bindings.clone())).collect()).to_string()
}

fn sort_members(bindings: &mut Json) {
    for value in bindings.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Json::Array(items) = value {
            items.sort_by(order);
        }
    }
}

/// Rego's order over JSON: by type, numbers by value.
fn order(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => number_order(a, b),
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (Json::Array(a), Json::Array(b)) => members_order(a.iter().zip(b), a.len().cmp(&b.len())),
        (Json::Object(a), Json::Object(b)) => {
            let names = a.keys().cmp(b.keys());
            names.then_with(|| members_order(a.values().zip(b.values()), Ordering::Equal))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn number_order(a: &serde_json::Number, b: &serde_json::Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn members_order<'a>(mut pairs: impl Iterator<Item = (&'a Json, &'a Json)>, lengths: Ordering) -> Ordering {
    pairs.find_map(|(a, b)| Some(order(a, b)).filter(|order| order.is_ne())).unwrap_or(lengths)
}

const fn rank(value: &Json) -> u8 {
    match value {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        Json::String(_) => 3,
        Json::Array(_) => 4,
        Json::Object(_) => 5,
    }
}
