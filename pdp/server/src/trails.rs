//! Where sessions were first seen and last let through, in memory: bounded, and lost at a restart by design. It raises a score and lowers none.

use std::time::Duration;

use countersign_pdp_engine::decide::{Decided, Decision};
use countersign_pdp_engine::identify::Identified;
use countersign_risk::{SessionTag, Trail};
use countersign_sdk_types::{RiskLevel, SubjectId};
use moka::ops::compute::Op;
use moka::sync::Cache;

/// Sessions that are remembered.
const MOST: u64 = 100_000;
/// How long one is remembered after it was last let through.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The trails of sessions.
#[derive(Debug)]
pub struct Trails(Cache<(SubjectId, SessionTag), Trail>);

impl Default for Trails {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(LIFE).build())
    }
}

impl Trails {
    /// Where this session was seen before.
    #[must_use]
    pub fn of(&self, identified: &Identified) -> Option<Trail> {
        self.0.get(&key(identified))
    }

    /// A session goes on from where it was let through. One that was refused leaves no trail: a thief does not become the origin.
    pub fn follow(&self, identified: &Identified, decided: &Decided) {
        if !matches!(decided.decision, Decision::Allow(_)) {
            return;
        }
        let sighting = &decided.trace.sighting;
        let is_low = decided.trace.assessment.inherent().level() == RiskLevel::Low;
        self.0.entry(key(identified)).and_compute_with(|old| {
            let mut trail = old.map_or_else(|| Trail::begin(sighting), moka::Entry::into_value);
            if is_low {
                trail.pass(sighting);
            }
            Op::Put(trail)
        });
    }
}

fn key(identified: &Identified) -> (SubjectId, SessionTag) {
    (identified.subject().clone(), SessionTag::of(identified.session()))
}
