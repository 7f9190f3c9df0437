//! What changed, counted: by the way that it changed, the rule, the subject and the resource, with examples.

use std::collections::{BTreeMap, BTreeSet};

use countersign_pdp_engine::decide::{Demand, Summary};
use countersign_pdp_engine::record::{Asked, Explanation, Reconsidered, Record, explain, rfc3339};
use countersign_sdk_types::contract::Verdict;
use countersign_sdk_types::{Effect, Obligation, RiskScore};
use serde::Serialize;

use super::inject::Injected;

/// Rules, subjects or resources that are counted by name; what comes later is counted as one.
const MOST_NAMES: usize = 10_000;
/// Groups of one kind that a report shows.
const SHOWN: usize = 20;
/// The longest name that is counted by, in characters: a log may hold longer ones.
const LONGEST: usize = 256;
/// Where the names end.
const OTHERS: &str = "(others)";

/// From which answer to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What the old revision answers.
    pub from: Effect,
    /// What the new one answers.
    pub to: Effect,
}

/// Changes that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How they changed.
    #[serde(flatten)]
    pub change: Change,
    /// What they have in common.
    pub name: String,
    /// How many.
    pub decisions: u64,
}

/// One decision that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// How it changed.
    #[serde(flatten)]
    pub change: Change,
    /// Its id.
    pub id: String,
    /// When it was made.
    pub at: String,
    /// Who asked.
    pub subject: String,
    /// For what.
    pub asked: String,
    /// The risk that remained.
    pub risk: Option<RiskScore>,
    /// Why the new revision answers so.
    pub why: String,
}

/// What a change of policy would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Decisions that both revisions were asked about.
    pub decisions: u64,
    /// Requests that failed before any policy was asked.
    pub undecided: u64,
    /// Lines that are no record that this version reads.
    pub unreadable: u64,
    /// Decisions that the old revision would answer otherwise than they were answered: the log is of yet another one.
    pub not_as_recorded: u64,
    /// Decisions that both answer alike, on other terms: another level or age of a proof, other obligations.
    pub other_terms: u64,
    /// From an allow or a step-up to a deny.
    pub new_denies: u64,
    /// From a deny to an allow or to a step-up, or from a step-up to an allow: somebody gets in who did not, at once or with a passkey.
    pub new_allows: u64,
    /// From an allow to a step-up.
    pub new_step_ups: u64,
    /// What the old revision answers, and the new one: what a policy costs the genuine.
    pub answers: [Answers; 2],
    /// Every way in which answers changed.
    pub changes: Vec<Group>,
    /// By what the policies gave as their reasons, numbers aside.
    pub rules: Vec<Group>,
    /// By who asked.
    pub subjects: Vec<Group>,
    /// By what was asked for.
    pub resources: Vec<Group>,
    /// The earliest of each kind.
    pub examples: Vec<Example>,
    /// What became of planted attackers, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injected: Option<Injected>,
}

/// How often each answer was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Allows.
    pub allow: u64,
    /// Step-ups.
    pub step_up: u64,
    /// Denies.
    pub deny: u64,
}

impl Answers {
    pub(crate) const fn count(&mut self, answer: Effect, decisions: u64) {
        match answer {
            Effect::Allow => self.allow += decisions,
            Effect::StepUp => self.step_up += decisions,
            Effect::Deny => self.deny += decisions,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self { allow: self.allow + other.allow, step_up: self.step_up + other.step_up, deny: self.deny + other.deny }
    }
}

type Counts = BTreeMap<(Change, String), u64>;

/// What is counted so far.
#[derive(Debug, Clone)]
pub struct Tally {
    most_examples: usize,
    decisions: u64,
    undecided: u64,
    unreadable: u64,
    not_as_recorded: u64,
    other_terms: u64,
    answers: [Answers; 2],
    changes: BTreeMap<Change, u64>,
    rules: Counts,
    subjects: Counts,
    resources: Counts,
    examples: BTreeMap<Change, BTreeSet<Kept>>,
}

/// An example in its order: the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept((i64, String), Example);

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Change {
    /// Somebody gets in who did not, at once or with a proof.
    #[must_use]
    pub fn opens(self) -> bool {
        matches!((self.from, self.to), (Effect::Deny, Effect::StepUp | Effect::Allow) | (Effect::StepUp, Effect::Allow))
    }
}

impl Tally {
    /// Nothing is counted yet; so many examples of each change are kept.
    #[must_use]
    pub fn new(most_examples: usize) -> Self {
        Self {
            most_examples,
            decisions: 0,
            undecided: 0,
            unreadable: 0,
            not_as_recorded: 0,
            other_terms: 0,
            answers: [Answers::default(); 2],
            changes: BTreeMap::new(),
            rules: BTreeMap::new(),
            subjects: BTreeMap::new(),
            resources: BTreeMap::new(),
            examples: BTreeMap::new(),
        }
    }

    pub(super) const fn undecided(&mut self) {
        self.undecided += 1;
    }

    pub(super) const fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    pub(crate) fn add(&mut self, record: &Record, before: &Reconsidered, after: &Reconsidered) {
        self.decisions += 1;
        let change = Change { from: effect(&before.summary), to: effect(&after.summary) };
        self.not_as_recorded += u64::from(effect(&record.summary) != change.from);
        let [old, new] = &mut self.answers;
        old.count(change.from, 1);
        new.count(change.to, 1);
        if change.from == change.to {
            self.other_terms += u64::from(terms(before) != terms(after));
            return;
        }
        let explained = explain(record);
        let subject = explained.subject.as_ref().map_or_else(|| "nobody".to_owned(), |subject| plain(&subject.sub));
        let asked = explained.asked.as_ref().map(|asked| plain(&in_words(asked))).unwrap_or_default();
        *self.changes.entry(change).or_default() += 1;
        for rule in rules(before.verdict.as_ref(), after.verdict.as_ref(), &after.summary) {
            count(&mut self.rules, change, plain(&rule));
        }
        self.keep(change, record, &explained, (&subject, &asked), after);
        count(&mut self.subjects, change, subject);
        count(&mut self.resources, change, asked);
    }

    fn keep(&mut self, change: Change, record: &Record, explained: &Explanation, (subject, asked): (&str, &str), after: &Reconsidered) {
        let order = (record.at.0, record.id.to_string());
        let kept = self.examples.entry(change).or_default();
        let is_late = kept.len() >= self.most_examples && kept.last().is_none_or(|last| last.0 <= order);
        if is_late {
            return;
        }
        let (id, at) = (order.1.clone(), rfc3339(record.at));
        let example = Example {
            change,
            id,
            at,
            subject: subject.to_owned(),
            asked: asked.to_owned(),
            risk: explained.remaining,
            why: plain(&why(after)),
        };
        kept.insert(Kept(order, example));
        if kept.len() > self.most_examples {
            kept.pop_last();
        }
    }

    /// Both together.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.decisions += other.decisions;
        self.undecided += other.undecided;
        self.unreadable += other.unreadable;
        self.not_as_recorded += other.not_as_recorded;
        self.other_terms += other.other_terms;
        self.answers = [self.answers[0].and(other.answers[0]), self.answers[1].and(other.answers[1])];
        for (change, decisions) in other.changes {
            *self.changes.entry(change).or_default() += decisions;
        }
        for (ours, theirs) in [(&mut self.rules, other.rules), (&mut self.subjects, other.subjects), (&mut self.resources, other.resources)]
        {
            for (key, decisions) in theirs {
                *ours.entry(key).or_default() += decisions;
            }
        }
        for (change, examples) in other.examples {
            let ours = self.examples.entry(change).or_default();
            ours.extend(examples);
            while ours.len() > self.most_examples {
                ours.pop_last();
            }
        }
        self
    }

    /// What it comes to.
    #[must_use]
    pub(crate) fn report(self) -> Report {
        let sum = |is: fn(Change) -> bool| self.changes.iter().filter(|(change, _)| is(**change)).map(|(_, decisions)| decisions).sum();
        Report {
            decisions: self.decisions,
            undecided: self.undecided,
            unreadable: self.unreadable,
            not_as_recorded: self.not_as_recorded,
            other_terms: self.other_terms,
            answers: self.answers,
            new_denies: sum(|change| change.to == Effect::Deny),
            new_allows: sum(Change::opens),
            new_step_ups: sum(|change| (change.from, change.to) == (Effect::Allow, Effect::StepUp)),
            changes: groups(self.changes.iter().map(|(change, decisions)| ((*change, in_words_of(*change)), *decisions))),
            rules: groups(self.rules),
            subjects: groups(self.subjects),
            resources: groups(self.resources),
            examples: self.examples.into_values().flatten().map(|Kept(_, example)| example).collect(),
            injected: None,
        }
    }
}

/// The largest first.
fn groups(counts: impl IntoIterator<Item = ((Change, String), u64)>) -> Vec<Group> {
    let mut groups: Vec<Group> = counts.into_iter().map(|((change, name), decisions)| Group { change, name, decisions }).collect();
    groups.sort_by(|a, b| b.decisions.cmp(&a.decisions).then_with(|| (a.change, &a.name).cmp(&(b.change, &b.name))));
    groups.truncate(SHOWN);
    groups
}

fn count(counts: &mut Counts, change: Change, name: String) {
    let name = match name.char_indices().nth(LONGEST) {
        Some((end, _)) => name.get(..end).unwrap_or_default().to_owned() + "…",
        None => name,
    };
    let is_known = counts.len() < MOST_NAMES || counts.contains_key(&(change, name.clone()));
    let name = if is_known { name } else { OTHERS.to_owned() };
    *counts.entry((change, name)).or_default() += 1;
}

/// What an answer comes with, where somebody gets in by it: the level and the age of a proof, and what is to be done besides.
fn terms(told: &Reconsidered) -> Option<(Option<&Demand>, &[Obligation])> {
    let obligations = || told.verdict.as_ref().map(|verdict| verdict.obligations.as_slice()).unwrap_or_default();
    match &told.summary {
        Summary::Allow(_) => Some((None, obligations())),
        Summary::StepUp(demand) => Some((Some(demand), obligations())),
        Summary::Deny(_) => None,
    }
}

/// A name of a log on one line, with nothing in it that a terminal obeys or that turns the direction of what stands beside it.
fn plain(name: &str) -> String {
    let is_plain = |symbol: char| {
        !symbol.is_control() && !matches!(symbol, '\u{061C}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().map(|symbol| if is_plain(symbol) { symbol } else { char::REPLACEMENT_CHARACTER }).collect()
}

pub(crate) const fn effect(summary: &Summary) -> Effect {
    match summary {
        Summary::Allow(_) => Effect::Allow,
        Summary::StepUp(_) => Effect::StepUp,
        Summary::Deny(_) => Effect::Deny,
    }
}

fn in_words_of(Change { from, to }: Change) -> String {
    format!("{} → {}", from.as_str(), to.as_str())
}

fn in_words(asked: &Asked) -> String {
    format!("{} {}{}", asked.method, asked.host.as_deref().unwrap_or_default(), asked.path)
}

/// The reasons that one revision gives and the other does not; where neither gives any, the code of the denial.
fn rules(before: Option<&Verdict>, after: Option<&Verdict>, answer: &Summary) -> BTreeSet<String> {
    let of = |verdict: Option<&Verdict>| -> BTreeSet<String> {
        verdict.map(|verdict| verdict.reasons.iter().map(|reason| without_numbers(reason)).collect()).unwrap_or_default()
    };
    let (before, after) = (of(before), of(after));
    let gone = before.difference(&after).map(|reason| format!("no longer: {reason}"));
    let changed: BTreeSet<String> = after.difference(&before).cloned().chain(gone).collect();
    if !changed.is_empty() {
        return changed;
    }
    let code = match answer {
        Summary::Deny(denial) => denial.code().as_str(),
        Summary::Allow(_) | Summary::StepUp(_) => "(no reason given)",
    };
    BTreeSet::from([code.to_owned()])
}

/// `risk 41 is not below 30` and `risk 52 is not below 30` are of one rule.
fn without_numbers(reason: &str) -> String {
    let mut words = String::with_capacity(reason.len());
    for character in reason.chars() {
        match character {
            '0'..='9' if words.ends_with('#') => {}
            '0'..='9' => words.push('#'),
            other => words.push(other),
        }
    }
    words
}

fn why(after: &Reconsidered) -> String {
    let reasons = after.verdict.as_ref().map(|verdict| verdict.reasons.join("; ")).unwrap_or_default();
    match &after.summary {
        Summary::Deny(denial) if reasons.is_empty() => denial.detail().to_owned(),
        Summary::StepUp(demand) if reasons.is_empty() => format!("a step-up to `{}`", demand.acr),
        Summary::Allow(_) | Summary::Deny(_) | Summary::StepUp(_) => reasons,
    }
}
