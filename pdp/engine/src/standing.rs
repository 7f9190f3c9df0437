//! What a search asks of each candidate: would this be allowed as it is? No remedy is looked for, nothing is demanded, and nothing it gives permits anything.

use countersign_risk::{Assessment, Sighting};
use countersign_sdk_types::{Action, Effect, Entity, Obligation, Timestamp};

use crate::decide::{Case, assess, sight};
use crate::facts::Facts;
use crate::identify::Identified;
use crate::snapshot::Snapshot;

/// A subject at an instant, of whom many things are asked: looked at once.
#[derive(Debug)]
pub struct Standing<'a> {
    identified: Identified,
    facts: &'a Facts,
    snapshot: &'a Snapshot,
    now: Timestamp,
    sighting: Sighting,
    assessment: Assessment,
}

impl<'a> Standing<'a> {
    /// Looks at the subject.
    #[must_use]
    pub fn of(identified: Identified, facts: &'a Facts, snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let sighting = sight(&identified, facts, now);
        let assessment = assess(&sighting, facts, &snapshot.weights);
        Self { identified, facts, snapshot, now, sighting, assessment }
    }

    /// The obligations of the allow that [`decide`](crate::decide()) would answer now to this question; `None` for every other answer.
    #[must_use]
    pub fn would_allow(&mut self, action: Action, resource: Entity) -> Option<Vec<Obligation>> {
        (self.identified.request.action, self.identified.request.resource) = (action, resource);
        let Self { identified, facts, snapshot, now, sighting, assessment } = &*self;
        let case = Case { identified, facts, snapshot, now: *now, sighting, assessment };
        if case.barred().is_some() {
            return None;
        }
        let verdict = snapshot.ask(&case.input(facts)).ok()?;
        (case.effect(&verdict) == Effect::Allow).then(|| case.obligations(&verdict))
    }
}
