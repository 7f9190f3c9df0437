//! The entity directory: the data document `data.entities`. It lies beside the policy, is part of its revision, and is read by policies as data.
//!
//! A search looks for its candidates here. In every evaluation it completes what a request says of a subject or a resource; what the request states wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use countersign_sdk_types::Entity;
use countersign_sdk_types::contract::Input;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most entities of a directory.
pub const MAX_ENTITIES: usize = 100_000;
/// The longest type, id or name, in bytes.
pub const MAX_NAME: usize = 1024;

/// The name of the document under `data`.
const DOCUMENT: &str = "entities";

/// Entities of one role, by type and then by id, each with its properties.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Kinds(BTreeMap<String, BTreeMap<String, Map<String, Value>>>);

/// Everything that a search can find.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entities {
    /// Who may ask.
    pub subjects: Kinds,
    /// What may be asked for.
    pub resources: Kinds,
    /// What can be done with a resource, by the resource's type.
    pub actions: BTreeMap<String, BTreeSet<String>>,
}

impl Entities {
    /// Reads the directory in a policy's data; empty where there is none.
    ///
    /// # Errors
    /// When the document is not of its shape, or holds too much.
    pub fn of(data: &Value) -> Result<Self, String> {
        let Some(document) = data.get(DOCUMENT) else { return Ok(Self::default()) };
        let refused = |why: String| format!("the entity directory `data.{DOCUMENT}` is refused: {why}");
        if !document.is_object() {
            return Err(refused("it is no object".to_owned()));
        }
        let entities = Self::deserialize(document).map_err(|error| refused(error.to_string()))?;
        let names: Vec<&String> = entities.names().collect();
        match () {
            () if names.len() > MAX_ENTITIES => Err(refused(format!("it has more than {MAX_ENTITIES} entities"))),
            () if names.iter().any(|name| name.is_empty() || name.len() > MAX_NAME) => {
                Err(refused(format!("a name in it is empty or longer than {MAX_NAME} bytes")))
            }
            () => Ok(entities),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let entities = [&self.subjects, &self.resources].into_iter().flat_map(|kinds| &kinds.0);
        let entities = entities.flat_map(|(kind, of)| std::iter::once(kind).chain(of.keys()));
        entities.chain(self.actions.iter().flat_map(|(kind, names)| std::iter::once(kind).chain(names)))
    }

    /// The names of the actions on resources of this type, in order, after this one; after `""` come all.
    pub fn actions_after<'a>(&'a self, kind: &str, after: &str) -> impl Iterator<Item = &'a String> + use<'a> {
        let after = Bound::Excluded(after.to_owned());
        self.actions.get(kind).into_iter().flat_map(move |names| names.range((after.clone(), Bound::Unbounded)))
    }

    /// Adds what the directory says and the request did not.
    pub(crate) fn complete(&self, input: &mut Input) {
        self.subjects.complete(&mut input.subject);
        self.resources.complete(&mut input.resource);
    }
}

impl Kinds {
    /// The ids of this type, in order, after this one; after `""` come all.
    pub fn ids_after<'a>(&'a self, kind: &str, after: &str) -> impl Iterator<Item = &'a String> + use<'a> {
        let after = Bound::Excluded(after.to_owned());
        self.0.get(kind).into_iter().flat_map(move |of| of.range((after.clone(), Bound::Unbounded)).map(|(id, _)| id))
    }

    fn complete(&self, entity: &mut Entity) {
        let Some(known) = self.0.get(&entity.kind).and_then(|of| of.get(&entity.id)) else { return };
        for (name, value) in known {
            if !entity.properties.contains_key(name) {
                entity.properties.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
