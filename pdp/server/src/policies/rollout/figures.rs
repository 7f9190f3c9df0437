//! What both revisions answered to the same requests, counted for one stage of a trial, and whether that is more change than is bearable.

use std::panic::{AssertUnwindSafe, catch_unwind};

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::{Reconsidered, Record, reconsider};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::{DecisionId, DenialCode, Effect, Fault, SubjectId};
use serde::{Deserialize, Serialize};

use super::Terms;
use crate::diff::{Budget, Report, Tally, effect};
use crate::metrics::TrialChange;
use crate::pipeline::Observed;

/// A share is never exceeded by fewer changes than this.
const FEWEST: u64 = 3;
/// Whoever comes again and again is one subject: a share is exceeded by the changes of as many, where as many are there.
const SUBJECTS: usize = 2;
/// Decisions that the reason of a rollback names.
const NAMED: usize = 3;
/// Decisions that a report shows of each change.
const SHOWN: usize = 5;

/// A request, and what both revisions answer to it.
#[derive(Debug)]
pub(crate) struct Pair {
    record: Box<Record>,
    before: Reconsidered,
    after: Reconsidered,
    /// The candidate answered it.
    is_answered: bool,
    /// Somebody ran out of time, and was asked once more.
    is_unsure: bool,
}

impl Pair {
    /// Asks the revision that did not decide. `None` where no policy was asked.
    pub(crate) fn of(observed: Observed) -> Option<Self> {
        let Observed { serving, record } = observed;
        let (active, candidate) = (serving.active(), serving.candidate()?);
        let is_answered = record.revision.as_ref() == Some(&candidate.revision);
        let verdict = record.trace.as_ref()?.verdict.clone();
        let told = Reconsidered { summary: record.summary.clone(), verdict };
        let other = reconsidered(&record, if is_answered { active } else { candidate })?;
        let (before, after) = if is_answered { (other, told) } else { (told, other) };
        let (before, again) = twice(&record, active, before)?;
        // What a user was told counts as it was.
        let (after, once_more) = if is_answered { (after, false) } else { twice(&record, candidate, after)? };
        Some(Self { record, before, after, is_answered, is_unsure: again || once_more })
    }

    /// The candidate gave no verdict where the active revision did.
    pub(crate) fn is_error(&self) -> bool {
        is_error(&self.after.summary) && !is_error(&self.before.summary)
    }

    /// The way in which the answer changes.
    pub(crate) fn change(&self) -> TrialChange {
        match (effect(&self.before.summary), effect(&self.after.summary)) {
            (before, after) if before == after => TrialChange::None,
            (_, Effect::Deny) => TrialChange::NewDeny,
            (Effect::Allow, Effect::StepUp) => TrialChange::NewStepUp,
            // Also where it takes a proof: who could not get in, now can.
            (_, Effect::Allow | Effect::StepUp) => TrialChange::NewAllow,
        }
    }
}

fn reconsidered(record: &Record, snapshot: &Snapshot) -> Option<Reconsidered> {
    // Whatever goes wrong in there, the comparison goes on with the next request.
    catch_unwind(AssertUnwindSafe(|| reconsider(record, snapshot))).ok().flatten()
}

/// That the time ran out may be the machine's fault, once.
fn twice(record: &Record, snapshot: &Snapshot, told: Reconsidered) -> Option<(Reconsidered, bool)> {
    let ran_out = matches!(&told.summary, Summary::Deny(denial) if denial.code() == DenialCode::PolicyBudget);
    if ran_out { reconsidered(record, snapshot).map(|again| (again, true)) } else { Some((told, false)) }
}

/// The policy gave no verdict.
fn is_error(summary: &Summary) -> bool {
    matches!(summary, Summary::Deny(denial) if denial.fault() == Fault::Policy || denial.code() == DenialCode::NoPolicy)
}

/// One way to change.
#[derive(Debug, Clone, Default)]
struct Kind {
    decisions: u64,
    subjects: Few,
    examples: Vec<DecisionId>,
}

/// The first subjects; no more than it takes to know that there are several.
#[derive(Debug, Clone, Default)]
struct Few(Vec<SubjectId>);

impl Few {
    fn add(&mut self, subject: &SubjectId) {
        if self.0.len() < SUBJECTS && !self.0.contains(subject) {
            self.0.push(subject.clone());
        }
    }

    fn are_several(&self) -> bool {
        self.0.len() >= SUBJECTS
    }
}

impl Kind {
    fn add(&mut self, id: &DecisionId, subject: Option<&SubjectId>) {
        self.decisions += 1;
        subject.into_iter().for_each(|subject| self.subjects.add(subject));
        if self.examples.len() < NAMED {
            self.examples.push(id.clone());
        }
    }
}

/// What is counted of one stage.
#[derive(Debug, Clone)]
pub(in crate::policies) struct Figures {
    decisions: u64,
    answered: u64,
    unsure: u64,
    missed: u64,
    subjects: Few,
    new_denies: Kind,
    new_allows: Kind,
    new_step_ups: Kind,
    errors: Kind,
    tally: Tally,
}

/// The same as numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counted {
    /// Requests that both revisions answered.
    pub decisions: u64,
    /// Those of them that the candidate decided.
    pub answered: u64,
    /// From an allow or a step-up to a deny.
    pub new_denies: u64,
    /// From a deny to an allow or a step-up, or from a step-up to an allow.
    pub new_allows: u64,
    /// From an allow to a step-up.
    pub new_step_ups: u64,
    /// The candidate gave no verdict where the active revision did.
    pub errors: u64,
    /// A policy ran out of time and was asked once more. What the candidate told a user is not asked again: it is an error.
    pub unsure: u64,
    /// Decisions that came too fast to be compared.
    pub missed: u64,
}

impl Figures {
    pub(crate) fn none() -> Self {
        Self {
            decisions: 0,
            answered: 0,
            unsure: 0,
            missed: 0,
            subjects: Few::default(),
            new_denies: Kind::default(),
            new_allows: Kind::default(),
            new_step_ups: Kind::default(),
            errors: Kind::default(),
            tally: Tally::new(SHOWN),
        }
    }

    pub(crate) fn add(&mut self, pair: &Pair) {
        let subject = pair.record.basis.as_ref().map(countersign_pdp_engine::record::Basis::subject);
        self.decisions += 1;
        self.answered += u64::from(pair.is_answered);
        self.unsure += u64::from(pair.is_unsure);
        subject.into_iter().for_each(|subject| self.subjects.add(subject));
        self.tally.add(&pair.record, &pair.before, &pair.after);
        let changed = match pair.change() {
            TrialChange::NewDeny => Some(&mut self.new_denies),
            TrialChange::NewAllow => Some(&mut self.new_allows),
            TrialChange::NewStepUp => Some(&mut self.new_step_ups),
            TrialChange::None => None,
        };
        changed.into_iter().for_each(|kind| kind.add(&pair.record.id, subject));
        if pair.is_error() {
            self.errors.add(&pair.record.id, subject);
        }
    }

    pub(crate) const fn missed(&mut self, count: u64) {
        self.missed = self.missed.saturating_add(count);
    }

    pub(crate) const fn counted(&self) -> Counted {
        Counted {
            decisions: self.decisions,
            answered: self.answered,
            new_denies: self.new_denies.decisions,
            new_allows: self.new_allows.decisions,
            new_step_ups: self.new_step_ups.decisions,
            errors: self.errors.decisions,
            unsure: self.unsure,
            missed: self.missed,
        }
    }

    /// In groups, with examples.
    pub(crate) fn report(&self) -> Report {
        self.tally.clone().report()
    }

    /// Which budgets do not hold, in words; `None` when all do.
    pub(crate) fn exceeded(&self, terms: &Terms) -> Option<String> {
        let budgets = &terms.budgets;
        let all = [
            ("errors", terms.errors, &self.errors),
            ("new denies", budgets.new_denies, &self.new_denies),
            ("new allows", budgets.new_allows, &self.new_allows),
            ("new step-ups", budgets.new_step_ups, &self.new_step_ups),
        ];
        let over = all.into_iter().filter_map(|(what, budget, kind)| {
            let budget = budget.filter(|budget| self.is_over(kind, *budget, terms.min_decisions))?;
            let examples: Vec<&str> = kind.examples.iter().map(DecisionId::as_str).collect();
            let (changed, of) = (kind.decisions, self.decisions);
            Some(format!("{changed} {what} in {of} decisions, and the budget is {budget} (such as {})", examples.join(", ")))
        });
        Some(over.collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty())
    }

    /// A number counts from the first. A share is of at least as many decisions as a stage sees, and is exceeded neither by one or two changes nor by those of
    /// one subject among others.
    fn is_over(&self, kind: &Kind, budget: Budget, least: u64) -> bool {
        match budget {
            Budget::Percent(share) if share > 0.0 => {
                let are_others = self.subjects.are_several();
                let is_somebody = kind.decisions >= FEWEST && (kind.subjects.are_several() || !are_others);
                is_somebody && !budget.holds(kind.decisions, self.decisions.max(least))
            }
            Budget::Percent(_) => kind.decisions > 0,
            Budget::Count(_) => !budget.holds(kind.decisions, self.decisions),
        }
    }
}
