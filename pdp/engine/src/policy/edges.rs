//! Inputs at the edges of what policies compare: next to a threshold, in and out of a set, without what is optional. Where the answers of two policies part,
//! some such input shows it, though no logged request came near. Bounded, and the same policies always give the same inputs.

mod made;
mod pool;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::Input;
use serde::Serialize;
use serde_json::Value;

use super::lint::{self, SCHEMA};
use super::nearest::nearest;
use super::outcome::Outcome;
use super::{Policy, PolicySource};
use pool::Pool;

pub use made::made;

/// The most paths that are varied, and the most values that each takes.
const MOST_PATHS: usize = 64;
const MOST_VALUES: usize = 96;
/// The most pairs of paths that are varied together.
const MOST_PAIRS: usize = 2_000;

/// An input from which others are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// What it is, for people.
    pub name: String,
    /// The input.
    pub input: Input,
}

/// Inputs to set out from: the golden example, the same at rest, and where a policy does not allow that one, the nearest that it allows.
#[must_use]
pub fn bases(policies: [&Policy; 2], budget: Duration) -> Vec<Base> {
    let examples = lint::bases().into_iter().filter_map(|document| serde_json::from_value::<Input>(document).ok());
    let names = ["the golden example without risk", "the golden example"];
    let mut bases: Vec<Base> = names.into_iter().zip(examples).map(|(name, input)| Base { name: name.to_owned(), input }).collect();
    for (policy, whose) in policies.into_iter().zip(["old", "new"]) {
        let Some(calm) = bases.first().map(|base| base.input.clone()) else { break };
        if Outcome::of(policy, &calm, budget).effect == Effect::Allow {
            continue;
        }
        let found = nearest(policy, &calm, budget).found.into_iter().next().unwrap_or_default();
        let settings: Vec<Setting> = found.into_iter().map(|step| step.to).collect();
        let told = settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let allowed = made(&calm, &settings).filter(|_| !settings.is_empty());
        let known = |input: &Input| bases.iter().any(|base| base.input == *input);
        if let Some(input) = allowed.filter(|input| !known(input)) {
            bases.push(Base { name: format!("the nearest to it that the {whose} revision allows ({told})"), input });
        }
    }
    bases
}

/// One path of the input, set to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Such as `context.risk_score`.
    #[serde(serialize_with = "written")]
    pub path: Vec<String>,
    /// What it is set to; `None` where it is taken away.
    pub value: Option<Value>,
}

impl Setting {
    /// The path as policies write it.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.path)
    }
}

fn written<S: serde::Serializer>(path: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name(path))
}

/// A path as policies write it.
pub(super) fn name(path: &[String]) -> String {
    let is_plain = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    path.iter().fold(String::new(), |all, step| match step {
        step if !is_plain(step) => format!("{all}[{}]", Value::from(step.as_str())),
        step if all.is_empty() => step.clone(),
        step => format!("{all}.{step}"),
    })
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}", self.name()),
            None => write!(f, "no {}", self.name()),
        }
    }
}

/// What some policies compare, by the path of the input that they compare it with.
#[derive(Debug)]
pub struct Edges {
    schema: Value,
    paths: BTreeMap<Vec<String>, Vec<Value>>,
    /// Paths that matter to one rule, those of the rules that read least first.
    pairs: Vec<(Vec<String>, Vec<String>)>,
}

impl Edges {
    /// Reads policies. They are taken together: an edge of either is an edge.
    #[must_use]
    pub fn of(sources: &[&PolicySource]) -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
        let mut edges = Self { schema, paths: BTreeMap::new(), pairs: Vec::new() };
        let pools: Vec<Pool<'_>> = sources.iter().map(|source| Pool::of(source)).collect();
        for pool in &pools {
            for (path, values) in pool.paths() {
                for leaf in values::leaves(&edges.schema, &path) {
                    let known = edges.paths.entry(leaf).or_default();
                    let new: Vec<Value> = values.iter().filter(|value| !known.contains(value)).cloned().collect();
                    known.extend(new);
                }
            }
        }
        while edges.paths.len() > MOST_PATHS {
            edges.paths.pop_last();
        }
        edges.pair(pools.iter().flat_map(Pool::together).collect());
        edges
    }

    /// Pairs of each set, the smallest set first: what one short rule reads belongs together more than what a whole policy reads.
    fn pair(&mut self, mut sets: Vec<BTreeSet<Vec<String>>>) {
        sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut seen = BTreeSet::new();
        for set in sets {
            let leaves: BTreeSet<Vec<String>> = set.iter().flat_map(|path| values::leaves(&self.schema, path)).collect();
            let leaves: Vec<&Vec<String>> = leaves.iter().filter(|leaf| self.paths.contains_key(*leaf)).collect();
            for (at, first) in leaves.iter().enumerate() {
                for second in leaves.iter().skip(at + 1) {
                    if self.pairs.len() < MOST_PAIRS && seen.insert(((*first).clone(), (*second).clone())) {
                        self.pairs.push(((*first).clone(), (*second).clone()));
                    }
                }
            }
        }
    }

    /// What each path may be set to, given the rest of an input. What it is already is left out.
    #[must_use]
    pub fn settings(&self, base: &Input) -> Vec<Vec<Setting>> {
        let base = serde_json::to_value(base).unwrap_or_default();
        self.paths.keys().map(|path| self.settings_of(path, &base)).collect()
    }

    fn settings_of(&self, path: &[String], base: &Value) -> Vec<Setting> {
        let Some(pool) = self.paths.get(path) else { return Vec::new() };
        let is = path.iter().try_fold(base, |value, step| value.as_object()?.get(step));
        let mut values = values::of(&self.schema, path, pool, base);
        values.retain(|value| value.as_ref() != is);
        values.truncate(MOST_VALUES);
        values.into_iter().map(|value| Setting { path: path.to_vec(), value }).collect()
    }

    /// Settings of one path, then of two that matter to one rule. Pairs take turns, so that a bound cuts the rarer values of each instead of whole pairs.
    pub fn combinations(&self, base: &Input) -> impl Iterator<Item = Vec<Setting>> {
        let base = serde_json::to_value(base).unwrap_or_default();
        let by_path: BTreeMap<&Vec<String>, Vec<Setting>> = self.paths.keys().map(|path| (path, self.settings_of(path, &base))).collect();
        let ones: Vec<Vec<Setting>> = by_path.values().flatten().map(|one| vec![one.clone()]).collect();
        let of = |path: &Vec<String>| by_path.get(path).cloned().unwrap_or_default();
        let pairs: Vec<(Vec<Setting>, Vec<Setting>)> = self.pairs.iter().map(|(first, second)| (of(first), of(second))).collect();
        let longest = pairs.iter().map(|(first, second)| first.len() * second.len()).max().unwrap_or(0);
        let twos = (0..longest).flat_map(move |turn| pairs.iter().filter_map(move |pair| nth(pair, turn)).collect::<Vec<_>>());
        ones.into_iter().chain(twos)
    }
}

/// The pair of values whose turn it is: along the diagonals, so that the first values of both come first.
fn nth((first, second): &(Vec<Setting>, Vec<Setting>), turn: usize) -> Option<Vec<Setting>> {
    if turn >= first.len() * second.len() {
        return None;
    }
    let mut left = turn;
    for sum in 0..first.len() + second.len() {
        let from = sum.saturating_sub(second.len().saturating_sub(1));
        let to = sum.min(first.len().saturating_sub(1));
        let here = (to + 1).saturating_sub(from);
        if left < here {
            let at = from + left;
            return Some(vec![first.get(at)?.clone(), second.get(sum - at)?.clone()]);
        }
        left -= here;
    }
    None
}

#[cfg(test)]
mod tests;
