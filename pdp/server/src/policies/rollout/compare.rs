//! What goes on beside the requests: each decision of a trial is put to the other revision, and the trial goes on, ends well, or is taken back.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use countersign_pdp_store::{Stage, Store};
use countersign_sdk_types::Timestamp;

use super::figures::Pair;
use super::{Because, Desk, Policies, Running, Terms};
use crate::clock::{self, Stopwatch};
use crate::pipeline::{Observed, Pdp, Served};
use crate::policies::STACK;
use crate::policies::desk::BY;

/// How often a trial is looked at when nothing is decided.
const TICK: Duration = Duration::from_millis(100);

/// Compares on a thread of its own, which ends with the decision point.
///
/// # Errors
/// When there is no thread to be had.
pub fn compare_in_the_background(policies: &Arc<Policies>, pdp: &Arc<Pdp>) -> Result<(), String> {
    let Some(seen) = pdp.served.observations() else { return Ok(()) };
    let (policies, pdp) = (Arc::downgrade(policies), Arc::downgrade(pdp));
    let compare = move || {
        let mut since = Stopwatch::start();
        loop {
            let next = seen.recv_timeout(TICK);
            let (Some(policies), Some(pdp)) = (Weak::upgrade(&policies), Weak::upgrade(&pdp)) else { return };
            match next {
                Ok(observed) => policies.compare(&pdp.served, &pdp.store, observed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if since.elapsed() >= TICK {
                policies.go_on(&pdp.served, &pdp.store, clock::now());
                since = Stopwatch::start();
            }
        }
    };
    // Policies are evaluated here as deeply as elsewhere.
    let thread = std::thread::Builder::new().name("policy-trial".to_owned()).stack_size(STACK).spawn(compare);
    thread.map(|_| ()).map_err(|error| format!("there is no thread to compare policies on: {error}"))
}

/// What becomes of a trial.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Move(Stage),
    Activate,
}

impl Running {
    fn next(&self, terms: &Terms, now: Timestamp) -> Next {
        let stage = self.of.stage;
        let is_over = now.since(self.of.stage_at) >= terms.lasts(stage) && self.figures.counted().decisions >= terms.min_decisions;
        match terms.after(stage) {
            _ if !is_over => Next::Stay,
            Some(next) => Next::Move(next),
            None => Next::Activate,
        }
    }

    /// Whether a decision is one of this trial.
    fn saw(&self, observed: &Observed) -> bool {
        observed.serving.candidate().is_some_and(|candidate| candidate.revision == self.of.revision)
    }
}

impl Policies {
    /// Puts a decision of a trial to the revision that did not make it. What is too much ends the trial at once.
    pub(super) fn compare(&self, served: &Served, store: &Store, observed: Observed) {
        let is_of = |desk: &Desk| desk.trial.as_ref().is_some_and(|trial| trial.saw(&observed));
        if !is_of(&self.rollout.desk()) {
            return;
        }
        let revision = observed.serving.candidate().map(|candidate| candidate.revision.clone());
        let Some(pair) = Pair::of(observed) else { return };
        let mut desk = self.rollout.desk();
        let Some(trial) = desk.trial.as_mut().filter(|trial| Some(&trial.of.revision) == revision.as_ref()) else { return };
        trial.figures.add(&pair);
        served.metrics.compared(pair.change(), pair.is_error());
        if let Some(why) = trial.figures.exceeded(&self.rollout.terms) {
            self.end_trial(&mut desk, served, store, true, (BY, why));
        }
    }

    /// Goes on with a trial whose stage is over.
    pub(super) fn go_on(&self, served: &Served, store: &Store, now: Timestamp) {
        served.sweep();
        let missed = served.take_missed();
        let mut desk = self.rollout.desk();
        Self::pay(&mut desk, store);
        served.metrics.not_compared(missed);
        let Some(trial) = &mut desk.trial else { return };
        trial.figures.missed(missed);
        let gone_on = match trial.next(&self.rollout.terms, now) {
            Next::Stay => Ok(()),
            Next::Move(stage) => self.move_trial(&mut desk, served, store, stage),
            Next::Activate => {
                let candidate = trial.candidate();
                self.activate(&mut desk, served, store, candidate, Because { by: BY.to_owned(), ..Because::default() })
            }
        };
        let Some(trial) = &mut desk.trial else { return };
        match gone_on {
            Ok(()) => trial.is_stuck = false,
            // The next look tries again; until then everybody is answered as before.
            Err(error) => {
                if !std::mem::replace(&mut trial.is_stuck, true) {
                    tracing::error!(target: "countersign::policy", error, "a trial does not go on");
                }
            }
        }
    }
}
