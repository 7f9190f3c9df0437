//! What a case wants of the policy, and what of it did not come true.

use countersign_sdk_types::contract::Verdict;
use serde_json::Value as Json;

use super::super::PolicyError;
use super::members::{Fault, Read, entries, json, list, members, text};
use crate::yaml::{Node, Value};

/// What is wanted. What is not said may be anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Wanted {
    effect: Option<String>,
    acr: Option<String>,
    max_age: Option<u64>,
    is_final: Option<bool>,
    /// Each stands in a reason.
    reasons: Vec<String>,
    /// All that each says, an obligation says too.
    obligations: Vec<Json>,
    /// Stands in the sentence that says why there is no verdict.
    error: Option<String>,
}

pub(super) const EXPECT: [&str; 7] = ["effect", "acr", "max_age", "final", "reasons", "obligations", "error"];
pub(super) const EFFECTS: [&str; 3] = ["allow", "deny", "step_up"];

impl Wanted {
    /// An effect, or a map that says more.
    pub(super) fn read(node: &Node) -> Read<Self> {
        if !matches!(node.value, Value::Map(_)) {
            return Ok(Self { effect: Some(effect(node)?), ..Self::default() });
        }
        let [said, acr, max_age, is_final, reasons, obligations, error] = members(node, EXPECT)?;
        let texts = |node: &Node| list(node)?.iter().map(|item| text(item).map(str::to_owned)).collect::<Read<Vec<_>>>();
        let owned = |node: Option<&Node>| node.map(|node| text(node).map(str::to_owned)).transpose();
        let wanted = Self {
            effect: said.map(effect).transpose()?,
            acr: owned(acr)?,
            max_age: max_age
                .map(|node| json(node)?.as_u64().ok_or_else(|| Fault::at(node, "a number of seconds was expected")))
                .transpose()?,
            is_final: is_final
                .map(|node| json(node)?.as_bool().ok_or_else(|| Fault::at(node, "`true` or `false` was expected")))
                .transpose()?,
            reasons: reasons.map(texts).transpose()?.unwrap_or_default(),
            obligations: obligations.map(all_obligations).transpose()?.unwrap_or_default(),
            error: owned(error)?,
        };
        match (&wanted.effect, &wanted.error) {
            (None, None) => Err(Fault::at(node, "`expect` says neither an `effect` nor an `error`")),
            (Some(_), Some(_)) => Err(Fault::at(node, "an `error` is no verdict, so there is no `effect`")),
            _ => Ok(wanted),
        }
    }

    /// What did not come true, a sentence each.
    pub(crate) fn unmet(&self, given: &Result<Verdict, PolicyError>) -> Vec<String> {
        match (given, &self.error) {
            (Ok(verdict), None) => self.unmet_by(verdict),
            (Ok(verdict), Some(error)) => {
                vec![format!("the verdict is {}, and an error with `{error}` was expected", verdict.effect.as_str())]
            }
            (Err(given), Some(wanted)) if given.to_string().contains(wanted.as_str()) => Vec::new(),
            (Err(given), Some(wanted)) => vec![format!("{given}, and an error with `{wanted}` was expected")],
            (Err(given), None) => vec![given.to_string()],
        }
    }

    fn unmet_by(&self, verdict: &Verdict) -> Vec<String> {
        let mut unmet = Vec::new();
        let mut compare = |what: &str, given: String, wanted: Option<String>| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != given) {
                unmet.push(format!("{what} is {given}, not {wanted}"));
            }
        };
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        compare("the effect", verdict.effect.as_str().to_owned(), self.effect.clone());
        compare("`acr`", or_none(verdict.acr.as_ref().map(ToString::to_string)), self.acr.clone());
        compare("`max_age`", or_none(verdict.max_age.map(|age| age.to_string())), self.max_age.map(|age| age.to_string()));
        compare("`final`", verdict.is_final.to_string(), self.is_final.map(|is_final| is_final.to_string()));
        let missing = self.reasons.iter().filter(|wanted| !verdict.reasons.iter().any(|reason| reason.contains(wanted.as_str())));
        unmet.extend(missing.map(|wanted| format!("no reason says `{wanted}`")));
        let given: Vec<Json> = verdict.obligations.iter().filter_map(|obligation| serde_json::to_value(obligation).ok()).collect();
        let missing = self.obligations.iter().filter(|wanted| !given.iter().any(|given| holds(given, wanted)));
        unmet.extend(missing.map(|wanted| format!("there is no obligation {wanted}")));
        if !unmet.is_empty() && !verdict.reasons.is_empty() {
            unmet.push(format!("because {}", verdict.reasons.join("; ")));
        }
        unmet
    }
}

fn effect(node: &Node) -> Read<String> {
    let said = text(node)?;
    if EFFECTS.contains(&said) { Ok(said.to_owned()) } else { Err(Fault::at(node, "an effect is `allow`, `deny` or `step_up`")) }
}

fn all_obligations(node: &Node) -> Read<Vec<Json>> {
    list(node)?.iter().map(|item| entries(item).and_then(|_| json(item))).collect()
}

/// Whether all that is wanted is given, in objects also beside more.
fn holds(given: &Json, wanted: &Json) -> bool {
    match (given, wanted) {
        (Json::Object(given), Json::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| given.get(name).is_some_and(|given| holds(given, wanted)))
        }
        _ => given == wanted,
    }
}
