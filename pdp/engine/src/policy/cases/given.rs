//! The input of a case: an example, with values set and taken away.

use std::collections::BTreeMap;

use countersign_sdk_types::RiskScore;
use countersign_sdk_types::contract::Input;
use countersign_sdk_types::strict::{self, Limits};
use serde_json::{Map, Value as Json};

use super::members::{Fault, Read, entries, json, list, members, text};
use crate::yaml::Node;

/// The example that comes along.
const GOLDEN: &str = "golden";

/// What an example may say.
pub(super) const BASE: [&str; 4] = ["base", "input", "set", "remove"];

/// An input on its way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document(Json);

/// The examples that the cases of a file may begin with.
pub(super) struct Bases(BTreeMap<String, Document>);

/// What is set and what is taken away.
pub(super) struct Change<'a> {
    set: Vec<(&'a str, &'a Node)>,
    remove: Vec<&'a Node>,
}

impl Bases {
    /// The golden example, and what the file adds: each from one before it, or whole.
    pub(super) fn read(node: Option<&Node>) -> Read<Self> {
        let golden = serde_json::from_str(crate::input::GOLDEN).unwrap_or(Json::Null);
        let mut bases = Self(BTreeMap::from([(GOLDEN.to_owned(), Document(golden))]));
        for (name, node) in node.map(entries).transpose()?.unwrap_or_default() {
            let [base, input, set, remove] = members(node, BASE)?;
            let document = match (base, input) {
                (Some(_), Some(input)) => return Err(Fault::at(input, "an example has a `base` or a whole `input`, not both")),
                (_, Some(input)) => Document(json(input)?),
                (base, None) => bases.document(base)?,
            };
            let document = Change::read(set, remove)?.applied(document)?;
            document.clone().input(node)?;
            if bases.0.insert(name.clone(), document).is_some() {
                return Err(Fault::at(node, &format!("`{name}` is there already")));
            }
        }
        Ok(bases)
    }

    /// The example of that name, or the golden one.
    pub(super) fn document(&self, name: Option<&Node>) -> Read<Document> {
        let asked = name.map_or(Ok(GOLDEN), text)?;
        let unknown = |node: &Node| {
            let known = self.0.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Fault::at(node, &format!("no example is named `{asked}`; there is {known}"))
        };
        match (self.0.get(asked), name) {
            (Some(document), _) => Ok(document.clone()),
            (None, Some(node)) => Err(unknown(node)),
            (None, None) => Err(Fault { line: None, text: "the golden example cannot be read".to_owned() }),
        }
    }
}

impl<'a> Change<'a> {
    pub(super) fn read(set: Option<&'a Node>, remove: Option<&'a Node>) -> Read<Self> {
        let set = set.map(entries).transpose()?.unwrap_or_default().iter().map(|(path, value)| (path.as_str(), value)).collect();
        let remove = remove.map(list).transpose()?.unwrap_or_default().iter().collect();
        Ok(Self { set, remove })
    }

    pub(super) fn applied(&self, mut document: Document) -> Read<Document> {
        for path in &self.remove {
            document = document.without(path)?;
        }
        for (path, value) in &self.set {
            document = document.set(value, path, json(value)?)?;
        }
        let set: Vec<&str> = self.set.iter().map(|(path, _)| *path).collect();
        Ok(document.with_level(&set))
    }
}

impl Document {
    /// The document with a value at a path. Objects on the way are made.
    pub(super) fn set(mut self, node: &Node, path: &str, value: Json) -> Read<Self> {
        let steps = steps(node, path)?;
        let mut at = &mut self.0;
        for step in &steps {
            let taken =
                || Fault::at(node, &format!("nothing can be set at `{path}`: above `{step}` is no object, or a list that is too short"));
            at = match at {
                Json::Array(items) => step.parse::<usize>().ok().and_then(|place| items.get_mut(place)).ok_or_else(taken)?,
                Json::Object(members) => members.entry(step.as_str()).or_insert_with(|| Json::Object(Map::new())),
                _ => return Err(taken()),
            };
        }
        *at = value;
        Ok(self)
    }

    /// The document without what is at a path. It must be there: a typing error would take nothing away.
    fn without(mut self, node: &Node) -> Read<Self> {
        let path = text(node)?;
        let steps = steps(node, path)?;
        let removed = steps.split_last().and_then(|(last, above)| {
            let above = above.iter().try_fold(&mut self.0, |at, step| at.get_mut(step))?;
            above.as_object_mut()?.remove(last)
        });
        removed.map(|_| self).ok_or_else(|| Fault::at(node, &format!("the example has no `{path}`")))
    }

    /// Where the score was set, the level follows it, as in every input that is decided about; unless it was set too.
    pub(super) fn with_level(mut self, set: &[&str]) -> Self {
        if set.contains(&"context.risk_score") && !set.contains(&"context.risk.level") {
            let score = self.0.pointer("/context/risk_score").and_then(Json::as_u64).and_then(|score| u8::try_from(score).ok());
            let level = score.and_then(|score| RiskScore::new(score).ok()).and_then(|score| serde_json::to_value(score.level()).ok());
            if let (Some(level), Some(place)) = (level, self.0.pointer_mut("/context/risk/level")) {
                *place = level;
            }
        }
        self
    }

    /// The input, where it is one of contract 1.
    pub(super) fn input(self, node: &Node) -> Read<Input> {
        let refused = |why: String| Fault::at(node, &format!("what is asked about is no input of contract 1: {why}"));
        let bytes = serde_json::to_vec(&self.0).unwrap_or_default();
        let input: Input = strict::from_slice(&bytes, Limits::REQUEST).map_err(|error| refused(error.to_string()))?;
        // A member that the contract does not name is passed over in requests; here it is a typing error.
        let kept = serde_json::to_value(&input).map_err(|error| refused(error.to_string()))?;
        match stranger(&self.0, &kept) {
            Some(path) => Err(refused(format!("it holds no `{path}`"))),
            None => Ok(input),
        }
    }
}

/// The path of a member that was not kept.
fn stranger(given: &Json, kept: &Json) -> Option<String> {
    given.as_object()?.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| match kept.get(name) {
        None => Some(name.clone()),
        Some(kept) => stranger(value, kept).map(|path| format!("{name}.{path}")),
    })
}

/// The steps of a path such as `context.known["device.compliant"]`.
fn steps(node: &Node, path: &str) -> Read<Vec<String>> {
    let wrong = || Fault::at(node, &format!("`{path}` is no path such as `user.role` or `context.known[\"device.compliant\"]`"));
    let (mut steps, mut rest) = (Vec::new(), path);
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).ok_or_else(wrong)?;
        if !name.is_empty() {
            steps.push(name.to_owned());
        }
        rest = after;
        while let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, after) = quoted.split_once("\"]").filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
            steps.push(name.to_owned());
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(next) if !next.is_empty() && !next.starts_with(['.', '[']) && !steps.is_empty() => rest = next,
            None if rest.is_empty() && !steps.is_empty() => return Ok(steps),
            _ => return Err(wrong()),
        }
    }
}
