//! The smallest change of an input that a policy allows: one path set otherwise, then two, then three, the cheapest first. It looks at edges of what the policy
//! compares, so what it finds is a change that works; that it finds none proves nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::Input;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Policy;
use super::edges::{Edges, Setting, made};

/// The most inputs that are asked about.
pub const MOST_TRIES: usize = 20_000;
/// The most changes that are told of.
const MOST_FOUND: usize = 5;
/// The most settings that are combined in threes.
const MOST_IN_THREES: usize = 60;

/// Who can make a change come true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The subject: by a proof, from another place or device, at another time.
    Subject,
    /// Whoever keeps the directory, the issuer or what is known of the resource.
    Organization,
    /// It would be another request.
    Request,
}

impl Who {
    /// Who can change what is at a path; `None` where it would be another subject, which is no change of theirs.
    #[must_use]
    pub fn can_change(path: &[String]) -> Option<Self> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        match steps.as_slice() {
            ["context", "caller", ..] | ["action" | "resource" | "request", ..] => Some(Self::Request),
            ["context", "risk_score" | "risk" | "ip" | "place" | "time" | "known", ..]
            | ["device", ..]
            | ["session", "acr_satisfied" | "auth_time"]
            | ["token", "acr" | "amr"] => Some(Self::Subject),
            ["user", "role" | "roles"] | ["token", "scopes" | "claims", ..] | ["subject", "properties", ..] => Some(Self::Organization),
            ["context", ..] => Some(Self::Request),
            _ => None,
        }
    }

    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "the subject",
            Self::Organization => "whoever keeps the directory",
            Self::Request => "another request",
        }
    }
}

/// One part of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it becomes.
    #[serde(flatten)]
    pub to: Setting,
    /// What it is; `None` where there is nothing.
    pub from: Option<Value>,
    /// Who can make it so.
    pub by: Who,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// The smallest changes that are allowed, the cheapest first; all of one size.
    pub found: Vec<Vec<Step>>,
    /// How many inputs were asked about.
    pub tried: usize,
    /// Everything up to three changes was tried.
    pub is_exhaustive: bool,
}

/// Looks for the smallest changes that a policy allows.
#[must_use]
pub fn nearest(policy: &Policy, input: &Input, budget: Duration) -> Nearest {
    let steps = steps(policy, input);
    let mut search = Search { policy, input, budget, steps: &steps, found: Vec::new(), tried: 0 };
    let triples = steps.len().min(MOST_IN_THREES);
    let is_whole = search.of_size(1, steps.len()) && search.of_size(2, steps.len()) && search.of_size(3, triples);
    let is_exhaustive = is_whole && (triples == steps.len() || !search.found.is_empty());
    Nearest { found: search.found, tried: search.tried, is_exhaustive }
}

/// Every single change, the cheapest first: who can make it, then how far it is.
fn steps(policy: &Policy, input: &Input) -> Vec<Step> {
    let document = serde_json::to_value(input).unwrap_or_default();
    let settings = Edges::of(&[policy.source()]).settings(input);
    let step = |to: Setting| {
        let by = Who::can_change(&to.path)?;
        let from = to.path.iter().try_fold(&document, |value, step| value.as_object()?.get(step)).cloned();
        Some(Step { to, from, by })
    };
    let mut steps: Vec<Step> = settings.into_iter().flatten().filter_map(step).collect();
    steps.sort_by_key(|step| (step.by, distance(step)));
    steps
}

/// How far apart two values are: numbers by their difference, everything else alike, and what is gone last.
fn distance(step: &Step) -> u64 {
    match (&step.from, &step.to.value) {
        (Some(Value::Number(from)), Some(Value::Number(to))) => {
            from.as_i64().zip(to.as_i64()).map_or(u64::MAX, |(from, to)| from.abs_diff(to))
        }
        (_, Some(_)) => 1,
        (_, None) => u64::MAX,
    }
}

struct Search<'a> {
    policy: &'a Policy,
    input: &'a Input,
    budget: Duration,
    steps: &'a [Step],
    found: Vec<Vec<Step>>,
    tried: usize,
}

impl Search<'_> {
    /// Tries all changes of a size, unless smaller ones were found. False where the tries ended.
    fn of_size(&mut self, size: usize, of: usize) -> bool {
        if !self.found.is_empty() {
            return true;
        }
        let steps = self.steps.get(..of).unwrap_or_default();
        // By the sum of places in the order of cost: cheap ones with each other before dear ones with anything.
        let most = of.saturating_mul(size);
        for sum in 0..most {
            if !self.sum(steps, size, 0, sum, &mut Vec::new()) {
                return false;
            }
            if self.found.len() >= MOST_FOUND {
                return true;
            }
        }
        true
    }

    fn sum(&mut self, steps: &[Step], size: usize, from: usize, sum: usize, chosen: &mut Vec<usize>) -> bool {
        if size == 0 {
            return sum != 0 || self.attempt(chosen);
        }
        // What is chosen later stands later: the rest of the sum must leave room for it.
        for at in from..steps.len().min(sum / size + 1) {
            if size == 1 && at != sum {
                continue;
            }
            chosen.push(at);
            let goes_on = self.sum(steps, size - 1, at + 1, sum - at, chosen);
            chosen.pop();
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn attempt(&mut self, chosen: &[usize]) -> bool {
        let steps: Vec<&Step> = chosen.iter().filter_map(|at| self.steps.get(*at)).collect();
        let paths: BTreeSet<&Vec<String>> = steps.iter().map(|step| &step.to.path).collect();
        let is_known = |found: &Vec<Step>| found.iter().all(|step| paths.contains(&step.to.path));
        if paths.len() < steps.len() || self.found.len() >= MOST_FOUND || self.found.iter().any(is_known) {
            return true;
        }
        if self.tried >= MOST_TRIES {
            return false;
        }
        let settings: Vec<Setting> = steps.iter().map(|step| step.to.clone()).collect();
        let Some(changed) = made(self.input, &settings) else { return true };
        self.tried += 1;
        if self.policy.evaluate_within(&changed, self.budget).is_ok_and(|verdict| verdict.effect == Effect::Allow) {
            self.found.push(steps.into_iter().cloned().collect());
        }
        true
    }
}
