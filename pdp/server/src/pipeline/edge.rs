//! A decision for an edge: the same as every other, with what its facts were.

use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::capsule::{Capsule, Granted};
use countersign_pdp_engine::decide::{Decided, Decision};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::lease::tags;
use countersign_pdp_engine::request::Credentials;
use countersign_risk::Sighting;
use countersign_sdk_types::{Epoch, Lease, Millis, RiskScore, Wanted};

use super::batch::Batch;
use super::{Answer, Patient, Pdp, Question};
use crate::clock::Stopwatch;
use crate::metrics::Door;

/// What a decision was made of.
#[derive(Debug)]
pub struct Shown {
    /// Who asked.
    pub identified: Identified,
    /// What the request showed, keyed.
    pub sighting: Sighting,
    credentials: Credentials,
    facts: Arc<Facts>,
    remaining: RiskScore,
    /// Before any of the facts was read: whatever is told later ends what rests on them.
    epoch: Epoch,
}

impl Shown {
    pub(super) fn new(identified: &Identified, credentials: &Credentials, facts: &Arc<Facts>, decided: &Decided, epoch: Epoch) -> Self {
        Self {
            epoch,
            identified: identified.clone(),
            sighting: decided.trace.sighting.clone(),
            credentials: credentials.clone(),
            facts: Arc::clone(facts),
            remaining: decided.trace.remaining,
        }
    }
}

impl Pdp {
    /// Decides as [`Pdp::check`] does. With an allow at low risk come the facts that it rests on, for so long, unless they are not for keeping.
    pub async fn check_for_edge(&self, door: Door, question: Question, within: Millis) -> (Answer, Option<(Granted, Box<Shown>)>) {
        let patience = Patient { watch: Stopwatch::start(), deadline: self.deadline };
        let question = self.fresh(question, patience.left() / 2).await;
        // The facts are the lease: none is minted for the one question.
        let question = Question { wanted: Wanted::default(), ..question };
        let held = Duration::from_millis(within.0).saturating_add(self.deadline);
        let mut batch = Batch::of_one(Some(held).filter(|_| self.lease.ttl > Millis(0))).showing();
        let lost = self.store.decisions().lost();
        let pending = self.settle(question, patience, &mut batch).await;
        // What it teaches ends its own facts in a moment: the next request gets those that are good for longer.
        let is_lasting = self.store.decisions().lost() == lost && pending.lesson.is_none();
        let answer = self.finish(door, pending, patience).await;
        let shown = batch.take_shown().filter(|_| is_lasting);
        let granted = shown.and_then(|shown| Some((self.granted(&answer, &shown, within)?, shown)));
        (answer, granted)
    }

    fn granted(&self, answer: &Answer, shown: &Shown, within: Millis) -> Option<Granted> {
        let Decision::Allow(permit) = &answer.decision else { return None };
        // An edge decides by the revision for everybody: whom a candidate answers asks here each time.
        let is_general = self.served.load().is_general(permit.revision());
        let is_leased = is_general && self.lease.ttl > Millis(0) && shown.remaining < self.lease.risk_below;
        // The trail as it goes on from here: the next request of the session finds it so.
        let facts = Facts { trail: self.trails.of(&shown.identified), ..Facts::clone(&shown.facts) };
        let capsule = Capsule::of(&shown.identified, &shown.credentials, &facts, &shown.sighting).filter(|_| is_leased)?;
        let lease = Lease {
            ttl: within,
            epoch: shown.epoch,
            revision: permit.revision().clone(),
            risk_below: self.lease.risk_below,
            depends_on: tags(&shown.identified),
        };
        Some(Granted { lease, capsule })
    }
}
