//! Reads YAML strictly: each name once, no name that nobody knows, and values as JSON has them.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::yaml::{Node, Value};

/// What is wrong with a file of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn at(node: &Node, text: &str) -> Self {
        Self { line: Some(node.line), text: text.to_owned() }
    }
}

pub(super) type Read<T> = Result<T, Fault>;

/// Names, each at most once.
#[derive(Default)]
pub(super) struct Unique<'a>(BTreeSet<&'a str>);

impl<'a> Unique<'a> {
    pub(super) fn take(&mut self, node: &Node, name: &'a str) -> Read<&'a str> {
        if self.0.insert(name) { Ok(name) } else { Err(Fault::at(node, &format!("`{name}` is said twice"))) }
    }
}

/// The members of a map that may have these, in their order.
pub(super) fn members<'a, const N: usize>(node: &'a Node, known: [&str; N]) -> Read<[Option<&'a Node>; N]> {
    let mut found = [None; N];
    for (name, member) in entries(node)? {
        let place = known.iter().position(|known| known == name).and_then(|at| found.get_mut(at));
        let known = || known.map(|name| format!("`{name}`")).join(", ");
        *place.ok_or_else(|| Fault::at(member, &format!("`{name}` is not known here; known are {}", known())))? = Some(member);
    }
    Ok(found)
}

/// The members of a map, each name once.
pub(super) fn entries(node: &Node) -> Read<&[(String, Node)]> {
    let Value::Map(entries) = &node.value else { return Err(Fault::at(node, "a map was expected")) };
    let mut seen = Unique::default();
    entries.iter().try_for_each(|(name, member)| seen.take(member, name).map(drop))?;
    Ok(entries)
}

pub(super) fn list(node: &Node) -> Read<&[Node]> {
    if let Value::List(items) = &node.value { Ok(items) } else { Err(Fault::at(node, "a list was expected")) }
}

/// A list that says something.
pub(super) fn whole_list(node: &Node) -> Read<&[Node]> {
    let items = list(node)?;
    if items.is_empty() { Err(Fault::at(node, "the list is empty")) } else { Ok(items) }
}

pub(super) fn text(node: &Node) -> Read<&str> {
    match &node.value {
        Value::Text(text) | Value::Plain(text) if !text.is_empty() => Ok(text),
        _ => Err(Fault::at(node, "a text was expected")),
    }
}

/// A value as YAML 1.2 reads its JSON: `null`, truths and numbers where they stand unquoted, and text else.
pub(super) fn json(node: &Node) -> Read<Json> {
    Ok(match &node.value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Plain(text) => plain(text),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Read<_>>()?),
        Value::Map(_) => {
            let members = entries(node)?.iter().map(|(name, member)| Ok((name.clone(), json(member)?)));
            Json::Object(members.collect::<Read<Map<_, _>>>()?)
        }
    })
}

fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => text.parse::<serde_json::Number>().map_or_else(|_| Json::from(text), Json::Number),
    }
}
