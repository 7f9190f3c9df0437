//! Rules that hide parts of an event: a pointer erases, an object says whether to erase or to replace (OPA, decision logs).

use serde_json::{Map, Value};

use super::event::Event;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mask {
    part: Part,
    steps: Vec<String>,
    /// What to put there; none erases.
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Input,
    Result,
    /// Not written here, so there is nothing to hide in it.
    NdBuiltinCache,
}

/// Why something is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MaskError {
    #[error("mask is not a list of rules")]
    NoList,
    #[error("mask rule is neither a pointer nor an object with `op` and `path`")]
    Shape,
    #[error("mask rule `{0}` is not a pointer below `/input`, `/result` or `/nd_builtin_cache`")]
    Pointer(String),
    #[error("mask rule has the operation `{0}`; there are `remove` and `upsert`")]
    Operation(String),
}

/// Reads all rules; one that cannot be read is a failure of all.
pub(super) fn parse(rules: &Value) -> Result<Vec<Mask>, MaskError> {
    rules.as_array().ok_or(MaskError::NoList)?.iter().map(Mask::parse).collect()
}

impl Mask {
    fn parse(rule: &Value) -> Result<Self, MaskError> {
        match rule {
            Value::String(path) => Self::new(path, None),
            Value::Object(members) => Self::of_members(members),
            _ => Err(MaskError::Shape),
        }
    }

    fn of_members(members: &Map<String, Value>) -> Result<Self, MaskError> {
        let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(MaskError::Shape);
        let value = match text("op")? {
            "remove" => None,
            "upsert" => Some(members.get("value").cloned().unwrap_or_default()),
            other => return Err(MaskError::Operation(other.to_owned())),
        };
        Self::new(text("path")?, value)
    }

    fn new(path: &str, value: Option<Value>) -> Result<Self, MaskError> {
        let wrong = || MaskError::Pointer(path.to_owned());
        let mut steps = path.strip_prefix('/').ok_or_else(wrong)?.split('/').map(unescaped);
        let part = match steps.next().as_deref() {
            Some("input") => Part::Input,
            Some("result") => Part::Result,
            Some("nd_builtin_cache") => Part::NdBuiltinCache,
            _ => return Err(wrong()),
        };
        Ok(Self { part, steps: steps.collect(), value })
    }

    fn pointer(&self) -> String {
        let part = match self.part {
            Part::Input => "input",
            Part::Result => "result",
            Part::NdBuiltinCache => "nd_builtin_cache",
        };
        let escaped = self.steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")));
        std::iter::once(format!("/{part}")).chain(escaped).collect()
    }

    /// Hides what is there. A rule about what is not there changes nothing.
    pub(super) fn apply(&self, event: &mut Event) {
        let whole = match self.part {
            Part::Input => &mut event.input,
            Part::Result => &mut event.result,
            Part::NdBuiltinCache => return,
        };
        let done = match (&self.value, self.steps.as_slice()) {
            (None, []) => whole.take().is_some(),
            (Some(value), []) => whole.replace(value.clone()).is_some(),
            (None, steps) => whole.as_mut().is_some_and(|document| remove(document, steps)),
            (Some(value), steps) => whole.as_mut().is_some_and(|document| upsert(document, steps, value)),
        };
        match (done, &self.value) {
            (true, None) => event.erased.push(self.pointer()),
            (true, Some(_)) => event.masked.push(self.pointer()),
            (false, _) => {}
        }
    }
}

/// RFC 6901. A step is a name, whatever percent signs are in it.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn remove(document: &mut Value, steps: &[String]) -> bool {
    let Some((last, way)) = steps.split_last() else { return false };
    let parent = way.iter().try_fold(document, |at, step| child(at, step));
    match parent {
        Some(Value::Object(members)) => members.remove(last).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(at) if at < items.len() => {
                items.remove(at);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Missing objects on the way are made.
fn upsert(document: &mut Value, steps: &[String], value: &Value) -> bool {
    let Some((last, way)) = steps.split_last() else { return false };
    let mut at = document;
    for step in way {
        if let Value::Object(members) = at
            && !members.contains_key(step)
        {
            members.insert(step.clone(), Value::Object(Map::new()));
        }
        let Some(next) = child(at, step) else { return false };
        at = next;
    }
    match at {
        Value::Object(members) => {
            members.insert(last.clone(), value.clone());
            true
        }
        Value::Array(items) => last.parse::<usize>().ok().and_then(|at| items.get_mut(at)).map(|item| *item = value.clone()).is_some(),
        _ => false,
    }
}

fn child<'a>(at: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match at {
        Value::Object(members) => members.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
