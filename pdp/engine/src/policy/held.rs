//! Which rules of a policy hold for an input, and what of the input each reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use countersign_sdk_types::Timestamp;
use countersign_sdk_types::contract::Input;
use regorus::Value;
use serde::Serialize;

use super::edges::name;
use super::rewrite::{package, rules};
use super::{Moment, Policy, PolicyError, document};

/// The most rules that are asked about.
const MOST_RULES: usize = 500;

/// A rule, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    /// Its full name, such as `data.authz.allow`.
    pub rule: String,
    /// The file that begins it.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// Its value; `None` where it is undefined.
    pub value: Option<serde_json::Value>,
    /// Why it has none, where its evaluation failed.
    pub failed: Option<String>,
    /// What of the input it reads by itself, and what is there.
    pub reads: BTreeMap<String, Option<serde_json::Value>>,
}

impl Held {
    /// Whether it came to something: neither nothing, nor false, nor an empty set.
    #[must_use]
    pub fn holds(&self) -> bool {
        match &self.value {
            None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => false,
            Some(serde_json::Value::Array(all)) => !all.is_empty(),
            Some(serde_json::Value::Object(all)) => !all.is_empty(),
            Some(_) => true,
        }
    }
}

impl Policy {
    /// Asks each rule by itself, in the order of the files. Functions are asked by the rules that call them.
    ///
    /// # Errors
    /// When the input cannot be said in Rego's values.
    pub fn held(&self, input: &Input, budget: Duration) -> Result<Vec<Held>, PolicyError> {
        let failed = |error: &dyn std::fmt::Display| PolicyError::Failed(error.to_string());
        let json = serde_json::to_value(input).map_err(|error| failed(&error))?;
        let said = document::value(input).map_err(|error| failed(&error))?;
        let moment = Moment { now: Timestamp(input.context.time), seed: [0; 32] };
        let mut held = self.outlined(&json);
        for rule in &mut held {
            match self.ask(Some(&rule.rule), &said, moment, budget).and_then(|value| spoken(&value)) {
                Ok(value) => rule.value = value,
                Err(error) => rule.failed = Some(error.to_string()),
            }
        }
        Ok(held)
    }

    /// The rules as the text has them, those of one name taken together.
    fn outlined(&self, input: &serde_json::Value) -> Vec<Held> {
        let (mut known, mut outlined) = (BTreeMap::new(), Vec::<Held>::new());
        let mut functions = BTreeSet::new();
        for file in &self.source.files {
            let Some(package) = package(&file.text) else { continue };
            for rule in rules(&file.text) {
                let name_of_rule = format!("data.{package}.{}", rule.name);
                if rule.is_function || functions.contains(&name_of_rule) {
                    functions.insert(name_of_rule);
                    continue;
                }
                let at = *known.entry(name_of_rule.clone()).or_insert_with(|| {
                    let line = file.text.get(..rule.at).unwrap_or_default().matches('\n').count() + 1;
                    let file = file.path.clone();
                    outlined.push(Held { rule: name_of_rule, file, line, value: None, failed: None, reads: BTreeMap::new() });
                    outlined.len() - 1
                });
                if let Some(held) = outlined.get_mut(at) {
                    let value = |path: &[String]| path.iter().try_fold(input, |value, step| value.as_object()?.get(step)).cloned();
                    held.reads.extend(rule.reads.iter().filter(|path| !path.is_empty()).map(|path| (name(path), value(path))));
                }
            }
        }
        outlined.retain(|held| !functions.contains(&held.rule));
        outlined.truncate(MOST_RULES);
        outlined
    }
}

/// The value as JSON; nothing for what is undefined.
fn spoken(value: &Value) -> Result<Option<serde_json::Value>, PolicyError> {
    if *value == Value::Undefined {
        return Ok(None);
    }
    let json = value.to_json_str().map_err(|error| PolicyError::Shape(error.to_string()))?;
    serde_json::from_str(&json).map(Some).map_err(|error| PolicyError::Shape(error.to_string()))
}
