//! Built-ins over text that the library lacks.

use regorus::Value;

use super::call::{Builtin, Call, Failure, MAX_TEXT};

pub(super) const TABLE: &[Builtin] = &[Builtin::new("internal.template_string", 1, template)];

/// What a template string becomes: texts as they are, other values as Rego writes them, `<undefined>` for an empty set of values.
fn template(call: &Call<'_>) -> Result<Value, Failure> {
    call.bounded()?;
    let parts = call.value(0)?.as_array().map_err(|_| call.operand("an array is expected"))?;
    let mut written = String::new();
    for part in parts.iter() {
        match part {
            Value::Set(values) if values.is_empty() => written.push_str("<undefined>"),
            Value::Set(values) if values.len() == 1 => values.iter().for_each(|value| write(value, &mut written, true)),
            Value::Set(_) => return Err(call.operand("an expression of a template string has more than one value")),
            other => write(other, &mut written, true),
        }
        call.within(written.len(), MAX_TEXT)?;
    }
    Ok(Value::from(written))
}

/// A value as Rego writes it; a text at the top without its quotes.
pub(super) fn write(value: &Value, to: &mut String, bare: bool) {
    match value {
        Value::String(text) if bare => to.push_str(text),
        Value::Array(items) => list(items.iter(), ["[", "]"], to),
        Value::Set(items) if items.is_empty() => to.push_str("set()"),
        Value::Set(items) => list(items.iter_sorted(), ["{", "}"], to),
        Value::Object(members) => {
            to.push('{');
            for (at, (name, member)) in members.iter_sorted().enumerate() {
                to.push_str(if at == 0 { "" } else { ", " });
                write(name, to, false);
                to.push_str(": ");
                write(member, to, false);
            }
            to.push('}');
        }
        other => to.push_str(&other.to_json_str().unwrap_or_default()),
    }
}

fn list<'a>(items: impl Iterator<Item = &'a Value>, [open, close]: [&str; 2], to: &mut String) {
    to.push_str(open);
    for (at, item) in items.enumerate() {
        to.push_str(if at == 0 { "" } else { ", " });
        write(item, to, false);
    }
    to.push_str(close);
}
