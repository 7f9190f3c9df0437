//! From accepted to active, and back: a candidate is asked beside the active revision, then answers more and more subjects, and what hurts is taken back by
//! itself. Every step is in the journal before or as soon as it counts.

mod compare;
mod figures;
mod operate;
mod terms;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{Activation, AppendError, Expect, Origin, Stage, StateEvent, Store, Trial, ViewError};
use countersign_sdk_types::{Digest, Revision};

pub use compare::compare_in_the_background;
pub use figures::Counted;
pub use operate::{Changed, NotDone};
pub use terms::Terms;

pub(super) use self::figures::Figures;
use super::desk::BY;
use super::status::{PolicyReport, TrialStatus};
use super::{Accepted, CandidateStatus, Files, Policies, Refused, accept, source, with_policy};
use crate::clock;
use crate::metrics::{PolicyGauges, ReloadOutcome, TrialOutcome};
use crate::pipeline::{Served, Serving};

/// How candidates of one server become active.
#[derive(Debug, Default)]
pub struct Rollout {
    terms: Terms,
    /// Held for the length of a step, and never while a candidate is checked: a rollback waits for nobody's tests.
    desk: Mutex<Desk>,
}

/// What is under way.
#[derive(Debug, Default)]
struct Desk {
    trial: Option<Running>,
    /// What was active before, as long as this process knows it.
    before: Option<Arc<Snapshot>>,
    /// What is held, and would be taken by an operator.
    waiting: Option<Waiting>,
    /// The trial that ended last.
    ended: Option<TrialStatus>,
    /// The end of a trial that could not be written down yet.
    owed: Option<StateEvent>,
}

/// A trial.
#[derive(Debug)]
struct Running {
    /// As it is in the journal.
    of: Trial,
    candidate: Arc<Snapshot>,
    /// Of this stage.
    figures: Figures,
    /// It was told that the next step cannot be taken.
    is_stuck: bool,
}

/// A content that is not taken by itself.
#[derive(Debug, Clone)]
struct Waiting {
    digest: Digest,
    origin: Origin,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// It passed the gate in this process.
    Compiled(Arc<Policy>),
    /// It must pass first.
    Files(Files),
}

/// What passed the gate.
#[derive(Debug, Clone)]
struct Candidate {
    revision: Revision,
    digest: Digest,
    policy: Arc<Policy>,
    origin: Origin,
}

/// Who activates, and why that is no ordinary step forward.
#[derive(Debug, Default)]
struct Because {
    by: String,
    why: Option<String>,
    instead_of: Option<Digest>,
}

impl Rollout {
    /// On these terms.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self { terms, desk: Mutex::default() }
    }

    /// Whether anything is ever tried.
    #[must_use]
    pub fn tries(&self) -> bool {
        self.terms.first().is_some()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Candidate {
    fn new(accepted: Accepted, origin: Origin) -> Self {
        Self { revision: accepted.revision, digest: accepted.digest, policy: Arc::new(accepted.policy), origin }
    }
}

impl Running {
    fn percent(&self) -> u8 {
        match self.of.stage {
            Stage::Shadow => 0,
            Stage::Canary(percent) => percent,
        }
    }

    fn serving(&self, active: &Arc<Snapshot>) -> Serving {
        Serving::trying(Arc::clone(active), Arc::clone(&self.candidate), self.of.digest, self.percent())
    }

    fn candidate(&self) -> Candidate {
        let Trial { revision, digest, origin, .. } = self.of.clone();
        Candidate { revision, digest, policy: Arc::clone(&self.candidate.policy), origin }
    }
}

impl Policies {
    /// Whether an offer needs no judging: it is active, on trial, or held. Then this says so, and nothing else changes.
    pub(super) fn is_known(
        &self,
        served: &Served,
        store: &Store,
        digest: &Digest,
        files: &Files,
        origin: &Origin,
    ) -> Result<bool, Refused> {
        let active = served.load().active().revision.clone();
        let mut desk = self.rollout.desk();
        if digest.to_string() == active.as_str() {
            if desk.trial.is_some() {
                self.end_trial(&mut desk, served, store, false, (BY, "the source offers the active revision again".to_owned()));
            }
            self.stay(active);
            return Ok(true);
        }
        if desk.trial.as_ref().is_some_and(|trial| trial.of.digest == *digest) {
            self.stay(active);
            return Ok(true);
        }
        let times =
            store.view().policy_times(&self.tenant).map_err(|error| Refused { problems: vec![error.to_string()], passing: true })?;
        let Some(held) = times.held(digest) else { return Ok(false) };
        if desk.waiting.as_ref().is_none_or(|waiting| waiting.digest != *digest) {
            desk.waiting = Some(Waiting { digest: *digest, origin: origin.clone(), content: Content::Files(files.clone()) });
        }
        let problem = format!("it is held, for it was rolled back: {}; `countersign policy promote` takes it all the same", held.why);
        Err(Refused { problems: vec![problem], passing: false })
    }

    /// Begins the trial of what passed the gate, or activates it where nothing is tried.
    pub(super) fn take(&self, served: &Served, store: &Store, files: &Files, accepted: Accepted, origin: Origin) -> Result<(), Refused> {
        let candidate = Candidate::new(accepted, origin);
        let again = |error: String| Refused { problems: vec![error], passing: true };
        let mut desk = self.rollout.desk();
        // What is held is not offered any more.
        desk.waiting = None;
        self.keep(served, &candidate, files).map_err(again)?;
        let taken = match self.rollout.terms.first() {
            None => self.activate(&mut desk, served, store, candidate, Because { by: BY.to_owned(), ..Because::default() }),
            Some(stage) => self.begin_trial(&mut desk, served, store, &candidate, stage),
        };
        taken.map_err(again)
    }

    /// What is about to count can be had again without its source; and so can what is active, however many candidates come and go.
    fn keep(&self, served: &Served, candidate: &Candidate, files: &Files) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the policy could not be kept in the data folder: {error}");
        // Where every candidate becomes active, the one before has its turn anyway.
        let active = Some(served.load().active().revision.to_string()).filter(|_| self.rollout.tries());
        if let Some((digest, active)) = active
            .and_then(|name| Digest::try_from(name).ok())
            .and_then(|digest| self.kept.read(&digest).ok().map(|active| (digest, active)))
        {
            self.kept.keep(&digest, &active.files, &active.origin).map_err(failed)?;
        }
        self.kept.keep(&candidate.digest, files, &candidate.origin).map_err(failed)
    }

    /// INVARIANT: the journal names a revision before any decision does.
    fn activate(
        &self,
        desk: &mut Desk,
        served: &Served,
        store: &Store,
        candidate: Candidate,
        Because { by, why, instead_of }: Because,
    ) -> Result<(), String> {
        Self::settle(desk, store)?;
        let Candidate { revision, digest, policy, origin } = candidate;
        let (before, at) = (Arc::clone(served.load().active()), clock::now());
        let activation = Activation { revision: revision.clone(), digest, origin, by, at, why, instead_of };
        self.write(store, StateEvent::Activated { tenant: self.tenant.clone(), activation }, Some(before.revision.clone()))
            .map_err(|error| format!("the activation was not journaled: {error}"))?;
        let next = Arc::new(with_policy(&before, &revision, &policy));
        if let Some(trial) = desk.trial.take() {
            let outcome = if trial.of.digest == digest { TrialOutcome::Activated } else { TrialOutcome::Withdrawn };
            served.metrics.trial_ended(outcome);
            desk.ended = Some(TrialStatus::of(&trial.of, &trial.figures).ended(outcome, None));
        }
        desk.before = Some(before);
        desk.waiting = None;
        served.swap(Serving::one(next));
        served.metrics.policy_reloaded(ReloadOutcome::Activated);
        tracing::info!(target: "countersign::policy", %revision, "policy revision is active");
        self.tell(revision, at, None);
        self.show(desk, served, store);
        Ok(())
    }

    fn begin_trial(&self, desk: &mut Desk, served: &Served, store: &Store, candidate: &Candidate, stage: Stage) -> Result<(), String> {
        Self::settle(desk, store)?;
        let (active, at) = (Arc::clone(served.load().active()), clock::now());
        let Candidate { revision, digest, origin, .. } = candidate.clone();
        let of = Trial { revision, digest, origin, by: BY.to_owned(), at, stage, stage_at: at };
        self.write(store, StateEvent::TrialBegun { tenant: self.tenant.clone(), trial: of.clone() }, Some(active.revision.clone()))
            .map_err(|error| format!("the trial was not journaled: {error}"))?;
        if let Some(replaced) = desk.trial.take() {
            served.metrics.trial_ended(TrialOutcome::Withdrawn);
            desk.ended = Some(TrialStatus::of(&replaced.of, &replaced.figures).ended(TrialOutcome::Withdrawn, None));
        }
        self.run(desk, served, candidate, of);
        self.stay(active.revision.clone());
        self.show(desk, served, store);
        Ok(())
    }

    /// From here on the candidate is asked.
    fn run(&self, desk: &mut Desk, served: &Served, candidate: &Candidate, of: Trial) {
        let active = Arc::clone(served.load().active());
        tracing::info!(target: "countersign::policy", revision = %of.revision, stage = %of.stage, "a candidate is on trial");
        let snapshot = Arc::new(with_policy(&active, &candidate.revision, &candidate.policy));
        let running = Running { of, candidate: snapshot, figures: Figures::none(), is_stuck: false };
        served.swap(running.serving(&active));
        desk.trial = Some(running);
    }

    fn move_trial(&self, desk: &mut Desk, served: &Served, store: &Store, stage: Stage) -> Result<(), String> {
        let Some(trial) = &mut desk.trial else { return Ok(()) };
        let (at, digest) = (clock::now(), trial.of.digest);
        let event = StateEvent::TrialMoved { tenant: self.tenant.clone(), digest, stage, by: BY.to_owned(), at };
        store.append(event, Expect::Any).wait().map_err(|error| format!("the stage was not journaled: {error}"))?;
        (trial.of.stage, trial.of.stage_at, trial.figures) = (stage, at, Figures::none());
        tracing::info!(target: "countersign::policy", revision = %trial.of.revision, %stage, "a candidate on trial came further");
        let active = Arc::clone(served.load().active());
        served.swap(trial.serving(&active));
        self.show(desk, served, store);
        Ok(())
    }

    /// Everybody is answered by the active revision at once, also where that cannot be written down yet: it is what the journal calls active.
    fn end_trial(&self, desk: &mut Desk, served: &Served, store: &Store, held: bool, (by, why): (&str, String)) {
        let Some(trial) = desk.trial.take() else { return };
        let active = Arc::clone(served.load().active());
        served.swap(Serving::one(Arc::clone(&active)));
        let (digest, at) = (trial.of.digest, clock::now());
        let event = StateEvent::TrialEnded { tenant: self.tenant.clone(), digest, held, by: by.to_owned(), at, why: why.clone() };
        if let Err(error) = store.append(event.clone(), Expect::Any).wait() {
            tracing::error!(target: "countersign::policy", %error, "the end of a trial is not in the journal yet");
            desk.owed = Some(event);
        }
        let outcome = if held { TrialOutcome::RolledBack } else { TrialOutcome::Withdrawn };
        served.metrics.trial_ended(outcome);
        desk.ended = Some(TrialStatus::of(&trial.of, &trial.figures).ended(outcome, Some(why.clone())));
        let (revision, stage) = (&trial.of.revision, trial.of.stage);
        if held {
            tracing::warn!(target: "countersign::policy", %revision, %stage, by, why, active = %active.revision, "policy candidate is rolled back and held");
            let content = Content::Compiled(Arc::clone(&trial.candidate.policy));
            desk.waiting = Some(Waiting { digest, origin: trial.of.origin, content });
            let status = self.status.load();
            let candidate = CandidateStatus { digest, problems: vec![format!("it is held, for it was rolled back: {why}")] };
            self.tell(active.revision.clone(), status.activated_at, Some(candidate));
        } else {
            tracing::info!(target: "countersign::policy", %revision, %stage, by, why, "policy candidate is withdrawn");
        }
        self.show(desk, served, store);
    }

    /// Goes on with the trial that the journal says was under way when the last process ended. Call it before the first request, after [`Self::begin`].
    pub fn resume(&self, served: &Served, store: &Store) {
        let mut desk = self.rollout.desk();
        let found = store.view().policy_times(&self.tenant).ok().and_then(|times| times.trial);
        if let Some(of) = found {
            match self.found_again(&of) {
                Ok(candidate) => self.run(&mut desk, served, &candidate, of),
                Err(why) => {
                    let (tenant, digest, by, at) = (self.tenant.clone(), of.digest, BY.to_owned(), clock::now());
                    tracing::warn!(target: "countersign::policy", revision = %of.revision, why, "the trial of a policy candidate is not gone on with");
                    desk.owed = Some(StateEvent::TrialEnded { tenant, digest, held: false, by, at, why });
                    Self::pay(&mut desk, store);
                }
            }
        }
        self.show(&desk, served, store);
    }

    fn found_again(&self, of: &Trial) -> Result<Candidate, String> {
        if self.rollout.terms.first().is_none() {
            return Err("nothing is tried any more by the configuration".to_owned());
        }
        self.passing(&of.digest)
    }

    /// What is kept of a revision, once it passed the gate again.
    fn passing(&self, digest: &Digest) -> Result<Candidate, String> {
        let kept = self.kept.read(digest)?;
        self.gate(kept.files, kept.origin)
    }

    fn gate(&self, files: Files, origin: Origin) -> Result<Candidate, String> {
        let accepted = accept(self.check, &source(&self.package, files)?, &self.given_up);
        accepted.map(|accepted| Candidate::new(accepted, origin)).map_err(|refused| refused.problems.join("; "))
    }

    /// Writes down what could not be written before.
    fn pay(desk: &mut Desk, store: &Store) {
        let Some(event) = desk.owed.take() else { return };
        match store.append(event.clone(), Expect::Any).wait() {
            // Something else was written meanwhile, which ended the trial as well.
            Ok(_) | Err(AppendError::Refused(_)) => {}
            Err(_) => desk.owed = Some(event),
        }
    }

    /// Nothing else may end a trial in the journal before that is written which held its candidate.
    fn settle(desk: &mut Desk, store: &Store) -> Result<(), String> {
        Self::pay(desk, store);
        let is_settled = desk.owed.is_none();
        is_settled.then_some(()).ok_or_else(|| "the end of an earlier trial is not in the journal yet".to_owned())
    }

    fn write(&self, store: &Store, event: StateEvent, active: Option<Revision>) -> Result<(), String> {
        let expected = Expect::Active { tenant: self.tenant.clone(), revision: active };
        store.append(event, expected).wait().map(|_| ()).map_err(|error| error.to_string())
    }

    fn show(&self, desk: &Desk, served: &Served, store: &Store) {
        let (status, serving) = (self.status(), served.load());
        let held = store.view().policy_times(&self.tenant).map_or(0, |times| times.held.len());
        served.metrics.policies(PolicyGauges {
            active: &serving.active().revision,
            since: status.activated_at,
            trial: desk.trial.as_ref().map(|trial| (&trial.of.revision, trial.percent())),
            held,
            is_refused: status.candidate.is_some(),
        });
    }

    /// What the source offers is refused; the active revision stays, whichever it is by now.
    pub(super) fn note(&self, served: &Served, store: &Store, refused: CandidateStatus) -> Revision {
        let desk = self.rollout.desk();
        let status = self.status();
        self.tell(status.revision.clone(), status.activated_at, Some(refused));
        served.metrics.policy_reloaded(ReloadOutcome::Refused);
        self.show(&desk, served, store);
        status.revision
    }
}

impl Policies {
    /// Everything that is told of them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn report(&self, served: &Served, store: &Store) -> Result<PolicyReport, ViewError> {
        let times = store.view().policy_times(&self.tenant)?;
        let activation = store.view().activation(&self.tenant)?;
        let (desk, status, active) = (self.rollout.desk(), self.status(), served.load().active().revision.clone());
        let activation = activation.filter(|activation| activation.revision == active);
        Ok(PolicyReport {
            revision: active,
            activated_at: status.activated_at,
            by: activation.as_ref().map(|activation| activation.by.clone()),
            origin: activation.map(|activation| activation.origin).unwrap_or_default(),
            candidate: status.candidate,
            trial: desk.trial.as_ref().map(|trial| TrialStatus::of(&trial.of, &trial.figures)),
            ended: desk.ended.clone(),
            held: times.held,
            kept: self.kept.list(),
            source: self.source_status(),
        })
    }
}
