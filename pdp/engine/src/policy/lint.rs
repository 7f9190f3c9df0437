//! What a policy does that its author may not have meant: it reads what the input never holds, or it lets through what it refuses, once something optional is
//! missing. Neither keeps a policy from being activated.

use std::collections::{BTreeMap, BTreeSet};

use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::{Input, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rewrite::{literals, places};
use super::{Policy, PolicyError, PolicyFile, PolicySource, Problem};

/// Contract 1, as a schema.
pub(super) const SCHEMA: &str = include_str!("../../../../policies/schema/input.schema.json");
/// The most optional values that are taken away, and the most values that each is tried with: a policy that reads more is warned about less.
const MOST_PATHS: usize = 64;
const MOST_VALUES: usize = 64;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lint {
    /// Places that read what the input never holds: what depends on them is undefined for good.
    pub unknown: Vec<Problem>,
    /// What is refused with a value and allowed without any.
    pub fails_open: Vec<FailsOpen>,
}

/// A refusal that depends on something that may be missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailsOpen {
    /// The file that reads it first.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What may be missing, such as `input.token.claims.department`.
    pub path: String,
    /// A value with which the same request is not allowed.
    pub refused_with: Value,
    /// What the policy says then.
    pub reasons: Vec<String>,
}

impl std::fmt::Display for FailsOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, path, refused_with, reasons } = self;
        write!(f, "{file}:{line}: with `{path}` = {refused_with} a request is refused")?;
        if !reasons.is_empty() {
            write!(f, " ({})", reasons.join("; "))?;
        }
        f.write_str(", and without it the same request is allowed")
    }
}

/// Looks at a policy.
///
/// # Errors
/// When it does not compile.
pub fn lint(source: &PolicySource) -> Result<Lint, PolicyError> {
    let policy = Policy::compile(source)?;
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|error| PolicyError::Failed(error.to_string()))?;
    let served: Vec<&PolicyFile> = source.files.iter().filter(|file| !file.path.ends_with("_test.rego")).collect();
    let mut lint = Lint::default();
    let mut optional: BTreeMap<Vec<String>, (String, usize)> = BTreeMap::new();
    for file in &served {
        for place in places(&file.text).unwrap_or_default() {
            let line = file.text.get(..place.at).unwrap_or_default().matches('\n').count() + 1;
            match look(&schema, &place.path) {
                Looked::Always => {}
                Looked::Sometimes => {
                    optional.entry(place.path).or_insert_with(|| (file.path.clone(), line));
                }
                Looked::Never { known, instead } => lint.unknown.push(unknown(file, line, &place.path, known, &instead)),
            }
        }
    }
    let values = values(served.iter().map(|file| file.text.as_str()));
    for (path, (file, line)) in optional.into_iter().take(MOST_PATHS) {
        lint.fails_open.extend(missing(&policy, &path, &values).map(|(refused_with, reasons)| FailsOpen {
            file,
            line,
            path: format!("input.{}", path.join(".")),
            refused_with,
            reasons,
        }));
    }
    Ok(lint)
}

fn unknown(file: &PolicyFile, line: usize, path: &[String], known: usize, instead: &[String]) -> Problem {
    let (read, within) = (path.join("."), path.get(..known).unwrap_or_default());
    let holds = if instead.is_empty() { String::new() } else { format!("; `{}` holds {}", within_input(within), listed(instead)) };
    Problem { file: Some(file.path.clone()), line: Some(line), text: format!("the input never holds `input.{read}`{holds}") }
}

fn within_input(within: &[String]) -> String {
    std::iter::once("input").chain(within.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether the input holds something at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    Always,
    Sometimes,
    /// As far as `known` steps it may; then only these names are there.
    Never {
        known: usize,
        instead: Vec<String>,
    },
}

pub(super) fn look(schema: &Value, path: &[String]) -> Looked {
    let (mut at, mut is_certain) = (vec![schema], true);
    for (known, step) in path.iter().enumerate() {
        let mut found = Vec::new();
        let mut is_open = false;
        for schema in &at {
            let named = schema.get("properties").and_then(|members| members.get(step));
            let required = schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == step));
            is_certain &= required;
            match (named, schema.get("additionalProperties")) {
                (Some(named), _) => found.push(named),
                (None, Some(Value::Bool(false))) => {}
                (None, other) => {
                    let is_object = schema.get("type").is_none_or(|kind| kind == "object");
                    is_open |= is_object && (other.is_some() || schema.get("properties").is_none());
                }
            }
        }
        if found.is_empty() {
            return if is_open { Looked::Sometimes } else { Looked::Never { known, instead: names(&at) } };
        }
        at = found.into_iter().flat_map(alternatives).collect();
        is_certain &= at.len() == 1;
    }
    if is_certain { Looked::Always } else { Looked::Sometimes }
}

/// What a value may be.
pub(super) fn alternatives(schema: &Value) -> Vec<&Value> {
    schema.get("oneOf").and_then(Value::as_array).map_or_else(|| vec![schema], |all| all.iter().collect())
}

fn names(schemas: &[&Value]) -> Vec<String> {
    let members = schemas.iter().filter_map(|schema| schema.get("properties").and_then(Value::as_object));
    members.flat_map(|members| members.keys().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What an optional value is tried with: all that the policy compares anything with, and what it compares nothing with.
fn values<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let mut values = vec![json!(true), json!(false), json!(0), json!(100), json!(""), json!("anything"), json!([]), json!({})];
    for value in texts.flat_map(literals) {
        if !values.contains(&value) {
            let listed = json!([value]);
            values.push(value);
            values.push(listed);
        }
    }
    values.truncate(MOST_VALUES);
    values
}

/// A value with which a request is refused that is allowed without any, and what the policy says then.
fn missing(policy: &Policy, path: &[String], values: &[Value]) -> Option<(Value, Vec<String>)> {
    bases().into_iter().find_map(|base| {
        let without: Input = serde_json::from_value(removed(base.clone(), path)).ok()?;
        let allows = |verdict: &Verdict| verdict.effect == Effect::Allow;
        policy.evaluate(&without).ok().filter(allows)?;
        values.iter().find_map(|value| {
            let with: Input = serde_json::from_value(set(base.clone(), path, value.clone())?).ok()?;
            // An error is a deny too, and says nothing of a rule.
            let verdict = policy.evaluate(&with).ok().filter(|verdict| !allows(verdict))?;
            Some((value.clone(), verdict.reasons))
        })
    })
}

/// Requests that policies tend to allow.
pub(super) fn bases() -> Vec<Value> {
    let Ok(golden) = serde_json::from_str::<Value>(crate::input::GOLDEN) else { return Vec::new() };
    let mut calm = golden.clone();
    for (pointer, value) in [("/context/risk_score", json!(0)), ("/context/risk/level", json!("low"))] {
        if let Some(place) = calm.pointer_mut(pointer) {
            *place = value;
        }
    }
    vec![calm, golden]
}

/// The document without a value. A place that is not known is unknown as a whole: that is how its absence looks.
pub(super) fn removed(mut document: Value, path: &[String]) -> Value {
    if path.starts_with(&["context".to_owned(), "place".to_owned()]) {
        if let Some(context) = document.get_mut("context").and_then(Value::as_object_mut) {
            context.insert("place".to_owned(), json!({"unknown": "no_database"}));
        }
        return document;
    }
    if let Some((last, above)) = path.split_last() {
        let parent = above.iter().try_fold(&mut document, |value, step| value.get_mut(step)).and_then(Value::as_object_mut);
        parent.map(|parent| parent.remove(last));
    }
    document
}

/// The document with a value; nothing where something else is in the way.
pub(super) fn set(mut document: Value, path: &[String], value: Value) -> Option<Value> {
    let mut at = &mut document;
    for step in path {
        at = at.as_object_mut()?.entry(step.clone()).or_insert_with(|| json!({}));
    }
    *at = value;
    Some(document)
}

#[cfg(test)]
mod tests {
    //! Each finding on a policy that has it, and none on one that has not.

    use super::*;

    fn linted(text: &str) -> Lint {
        let file = ("authz.rego".to_owned(), format!("package authz\nimport rego.v1\n{text}").into_bytes());
        lint(&PolicySource::from_files("authz", [file]).unwrap()).unwrap()
    }

    #[track_caller]
    fn unknown(text: &str, expected: &[&str]) {
        let found: Vec<String> = linted(text).unknown.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[track_caller]
    fn fails_open(text: &str, expected: &[&str]) {
        let found: Vec<String> = linted(text).fails_open.into_iter().map(|found| found.path).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_the_input_never_holds_is_named_with_what_it_does() {
        unknown(
            "allow if input.usr.role == \"admin\"",
            &["authz.rego:3: the input never holds `input.usr.role`; `input` holds `action`, `context`, `contract`, `device`, `request`, \
               `resource`, `session`, `subject`, `tenant`, `token`, `user`"],
        );
        unknown(
            "default allow := false\nallow if input.user.name == \"a\"",
            &["authz.rego:4: the input never holds `input.user.name`; `input.user` holds `id`, `role`, `roles`"],
        );
        unknown("allow if input.user.role.name == \"a\"", &["authz.rego:3: the input never holds `input.user.role.name`"]);
        unknown(
            "allow if input.context.place.known.town == \"a\"",
            &[
                "authz.rego:3: the input never holds `input.context.place.known.town`; `input.context.place.known` holds `anonymizer`, `asn`, `at`, \
             `city`, `country`, `operator`, `radius`, `time_zone`",
            ],
        );
    }

    #[test]
    fn what_it_may_hold_is_none() {
        for path in [
            "user.roles[_]",
            "token.claims.department",
            "context.anything",
            "resource.properties.owner.id",
            "request.headers[\"accept\"][0]",
            "context.place.known.country",
            "context.place.unknown",
            "context.known[\"user\"]",
            "context.risk.reasons[_].signal",
        ] {
            unknown(&format!("allow if input.{path} == \"x\""), &[]);
        }
    }

    #[test]
    fn a_refusal_that_needs_an_optional_value_fails_open() {
        let deny = "default allow := false\nallow if not deny\n";
        fails_open(&format!("{deny}deny if input.token.claims.suspended == true"), &["input.token.claims.suspended"]);
        fails_open(&format!("{deny}deny if input.resource.properties.class == \"secret\""), &["input.resource.properties.class"]);
        fails_open(&format!("{deny}deny if input.context.place.known.country in {{\"KP\"}}"), &["input.context.place.known.country"]);
        fails_open(&format!("{deny}deny if \"banned\" in input.token.claims.groups"), &["input.token.claims.groups"]);
    }

    #[test]
    fn a_refusal_that_holds_without_it_does_not() {
        let deny = "default allow := false\nallow if not deny\n";
        fails_open(&format!("{deny}deny if not input.token.claims.active == true"), &[]);
        fails_open("default allow := false\nallow if input.token.claims.active == true", &[]);
        fails_open(&format!("{deny}deny if input.context.risk_score >= 30"), &[]);
    }

    #[test]
    fn the_starter_policy_has_no_finding() {
        let files = [
            ("access.rego".to_owned(), include_bytes!("../../../../policies/starter/access.rego").to_vec()),
            ("data.json".to_owned(), include_bytes!("../../../../policies/starter/data.json").to_vec()),
        ];
        assert_eq!(lint(&PolicySource::from_files("authz", files).unwrap()).unwrap(), Lint::default());
    }
}
