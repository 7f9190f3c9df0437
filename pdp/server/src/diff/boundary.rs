//! Two revisions at the edges of what they compare: made-up inputs next to each threshold and in and out of each set, asked of both. Apart from traffic, since
//! how many of them there are says nothing of how often they come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::policy::edges::{Base, Edges, Setting, bases, made};
use countersign_pdp_engine::policy::outcome::Outcome;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::contract::Input;
use serde::Serialize;

use super::tally::Change;
use super::{PATIENCE, side};
use crate::policies::STACK;

/// Examples of one change, base and set of paths, and examples in all.
const MOST_ALIKE: usize = 3;
const MOST_EXAMPLES: usize = 60;

/// What became of the inputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Boundary {
    /// How many inputs were asked about.
    pub inputs: u64,
    /// How many are answered otherwise.
    pub changed: u64,
    /// There were more inputs than may be asked about.
    pub is_cut: bool,
    /// What the inputs were made from.
    pub bases: Vec<String>,
    /// In which ways answers changed, and how often.
    pub changes: Vec<Ways>,
    /// Inputs that changed, those with the fewest settings first.
    pub examples: Vec<Edge>,
}

/// One way, and how many inputs went it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ways {
    /// From which answer to which.
    #[serde(flatten)]
    pub change: Change,
    /// How many.
    pub inputs: u64,
}

/// One input that is answered otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// From which answer to which.
    #[serde(flatten)]
    pub change: Change,
    /// What it was made from, by its place among the bases.
    pub base: usize,
    /// What was set.
    pub settings: Vec<Setting>,
    /// Why the old revision answers so.
    pub before: String,
    /// Why the new one does.
    pub after: String,
}

impl Edge {
    /// The input for people: what was set, and in what.
    #[must_use]
    pub fn in_words(&self, bases: &[String]) -> String {
        let settings = self.settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let base = bases.get(self.base).map(String::as_str).unwrap_or_default();
        if settings.is_empty() { base.to_owned() } else { format!("{settings} in {base}") }
    }
}

/// An input that waits to be asked about.
struct Question {
    base: usize,
    settings: Vec<Setting>,
    input: Input,
}

/// Asks both revisions about at most so many inputs. `progress` hears how many of how many are asked.
///
/// # Errors
/// When there is no thread to be had, or the evaluation panicked.
pub fn boundary(old: &Snapshot, new: &Snapshot, most: usize, progress: impl Fn(u64, u64) + Sync) -> Result<Boundary, String> {
    let (old, new) = (side(old), side(new));
    let policies: [&Policy; 2] = [&old.policy, &new.policy];
    let (bases, questions, is_cut) = crate::policies::deep(|| questions(policies, most))?;
    let (asked, all) = (AtomicU64::new(0), questions.len() as u64);
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = questions.len().div_ceil(workers).max(1);
    let ask_all = |questions: &[Question]| -> Vec<Option<Edge>> {
        let heard = |question| {
            let edge = ask(policies, question);
            progress(asked.fetch_add(1, Ordering::Relaxed) + 1, all);
            edge
        };
        questions.iter().map(heard).collect()
    };
    let edges: Vec<Option<Edge>> = thread::scope(|scope| {
        let ask_all = &ask_all;
        let thread = || thread::Builder::new().stack_size(STACK);
        let start = |share| thread().spawn_scoped(scope, move || ask_all(share)).map_err(|error| error.to_string());
        let started = questions.chunks(share).map(start).collect::<Result<Vec<_>, _>>()?;
        let joined = started.into_iter().map(|worker| worker.join().map_err(|_| "the evaluation panicked".to_owned()));
        Ok::<_, String>(joined.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })?;
    Ok(summary(bases, edges.into_iter().flatten().collect(), all, is_cut))
}

/// The inputs: each base as it is, then with settings. Bases share alike in how many there may be.
fn questions(policies: [&Policy; 2], most: usize) -> (Vec<Base>, Vec<Question>, bool) {
    let edges = Edges::of(&policies.map(Policy::source));
    let bases = bases(policies, PATIENCE);
    let share = most.div_ceil(bases.len().max(1));
    let (mut questions, mut is_cut) = (Vec::new(), false);
    for (at, base) in bases.iter().enumerate() {
        let combinations = std::iter::once(Vec::new()).chain(edges.combinations(&base.input));
        let mut made = combinations.filter_map(|settings| Some(Question { base: at, input: made(&base.input, &settings)?, settings }));
        questions.extend(made.by_ref().take(share));
        is_cut |= made.next().is_some();
    }
    (bases, questions, is_cut)
}

fn ask([old, new]: [&Policy; 2], question: &Question) -> Option<Edge> {
    let (before, after) = (Outcome::of(old, &question.input, PATIENCE), Outcome::of(new, &question.input, PATIENCE));
    let change = Change { from: before.effect, to: after.effect };
    let edge = || Edge { change, base: question.base, settings: question.settings.clone(), before: before.why(), after: after.why() };
    (change.from != change.to).then(edge)
}

fn summary(bases: Vec<Base>, edges: Vec<Edge>, inputs: u64, is_cut: bool) -> Boundary {
    let mut ways: BTreeMap<Change, u64> = BTreeMap::new();
    edges.iter().for_each(|edge| *ways.entry(edge.change).or_default() += 1);
    let mut changes: Vec<Ways> = ways.into_iter().map(|(change, inputs)| Ways { change, inputs }).collect();
    changes.sort_by(|a, b| b.inputs.cmp(&a.inputs).then_with(|| a.change.cmp(&b.change)));
    let bases = bases.into_iter().map(|base| base.name).collect();
    Boundary { inputs, changed: edges.len() as u64, is_cut, bases, changes, examples: telling(edges) }
}

/// Those that say something of their own: two settings of which one changes as much by itself do not, and many of one kind say what some of them do.
fn telling(edges: Vec<Edge>) -> Vec<Edge> {
    let alone = |edge: &Edge| (edge.change, edge.base, edge.settings.first().map(ToString::to_string));
    let singles: BTreeSet<_> = edges.iter().filter(|edge| edge.settings.len() == 1).map(alone).collect();
    let says_more = |edge: &Edge| {
        let known = |one: &Setting| singles.contains(&(edge.change, edge.base, Some(one.to_string())));
        edge.settings.len() < 2 || !edge.settings.iter().any(known)
    };
    let mut alike: BTreeMap<_, Vec<Edge>> = BTreeMap::new();
    for edge in edges.into_iter().filter(says_more) {
        let paths: BTreeSet<String> = edge.settings.iter().map(Setting::name).collect();
        alike.entry((edge.settings.len(), edge.base, paths, edge.change)).or_default().push(edge);
    }
    alike.into_values().flat_map(some).take(MOST_EXAMPLES).collect()
}

/// Some of many that are alike: of numbers the least and the greatest, for what lies between them changed as well.
fn some(mut alike: Vec<Edge>) -> Vec<Edge> {
    let number = |edge: &Edge| match edge.settings.as_slice() {
        [one] => one.value.as_ref().and_then(serde_json::Value::as_i64),
        _ => None,
    };
    if alike.iter().all(|edge| number(edge).is_some()) {
        alike.sort_by_key(number);
        let last = alike.pop();
        alike.truncate(1);
        alike.extend(last);
    }
    alike.truncate(MOST_ALIKE);
    alike
}
