//! Values of the evaluator as JSON.

use regorus::Value;
use serde_json::{Map, Value as Json};

use super::rewrite::unescaped;

/// As OPA writes it: sets are sorted arrays, names of members that are no text are written as JSON. `None` for what is undefined.
pub(crate) fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Null => Some(Json::Null),
        Value::Bool(flag) => Some(Json::Bool(*flag)),
        Value::Number(_) => serde_json::from_str(&value.to_json_str().ok()?).ok(),
        Value::String(text) => Some(Json::String(text.to_string())),
        Value::Array(items) => Some(Json::Array(items.iter().filter_map(json).collect())),
        Value::Set(items) => Some(Json::Array(items.iter_sorted().filter_map(json).collect())),
        Value::Object(members) => {
            Some(Json::Object(members.iter().filter_map(|(name, member)| Some((text(name)?, json(member)?))).collect::<Map<_, _>>()))
        }
        _ => None,
    }
}

fn text(name: &Value) -> Option<String> {
    match name {
        Value::String(text) => Some(unescaped(text).to_owned()),
        other => Some(json(other)?.to_string()),
    }
}
