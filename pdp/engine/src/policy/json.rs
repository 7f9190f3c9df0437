//! Values of the evaluator as JSON.

use regorus::Value;
use serde_json::{Map, Value as Json};

use super::rewrite::unescaped;

/// The deepest nesting of a value that is written.
const MAX_DEPTH: usize = 1_000;

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
        Value::String(text) => unescaped(text).map(ToOwned::to_owned),
        other => Some(json(other)?.to_string()),
    }
}

/// About how many bytes a value becomes, counted no further than just beyond `most`: a value that holds its parts many times, each of which does the
/// same, is small in memory and a text without end. One that is nested deeper than [`MAX_DEPTH`] counts as endless, too: whatever writes it goes as deep.
pub(crate) fn size_within(value: &Value, most: usize) -> usize {
    let mut total = 0;
    add_size(value, most, 0, &mut total);
    total
}

fn add_size(value: &Value, most: usize, depth: usize, total: &mut usize) {
    let own = value.as_string().map_or(16, |text| text.len());
    *total = if depth > MAX_DEPTH { usize::MAX } else { total.saturating_add(own) };
    let mut add = |part: &Value| {
        if *total <= most {
            add_size(part, most, depth + 1, total);
        }
    };
    match value {
        Value::Array(items) => items.iter().for_each(add),
        Value::Set(items) => items.iter().for_each(add),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            add(name);
            add(member);
        }),
        _ => {}
    }
}
