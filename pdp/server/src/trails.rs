//! Where sessions were first seen and last let through, in memory: bounded, and lost at a restart by design. It raises a score and lowers none.

use std::time::Duration;

use countersign_pdp_engine::decide::{Decided, Decision};
use countersign_pdp_engine::identify::{Identified, IdentifiedBy};
use countersign_risk::{SessionTag, Sighting, Trail};
use countersign_sdk_types::{RiskLevel, SubjectId};
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

/// Sessions that are remembered.
const MOST: u64 = 100_000;
/// How long one is remembered after it was last let through, and at most: no session is a person's whole life.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a request that was let through is to the trail of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its beginning.
    Begins,
    /// It is elsewhere than the one before: from there, where that was is a journey away.
    Moves,
    /// Neither.
    Stays,
}

/// The trails of sessions.
#[derive(Debug)]
pub struct Trails(Cache<(SubjectId, SessionTag), Trail>);

impl Default for Trails {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(IDLE).time_to_live(LIFE).build())
    }
}

impl Trails {
    /// Where the session was seen before.
    #[must_use]
    pub fn of(&self, identified: &Identified) -> Option<Trail> {
        self.0.get(&key(identified)?)
    }

    /// A session that has a trail goes on at an edge, at low risk.
    pub fn goes_on(&self, identified: &Identified, sighting: &Sighting) {
        let Some(key) = key(identified) else { return };
        let _ = self.0.entry(key).and_compute_with(|old| match old.map(moka::Entry::into_value) {
            Some(mut trail) => {
                // What is told late takes nobody back.
                if trail.last.as_ref().is_none_or(|last| last.at < sighting.at) {
                    trail.pass(sighting);
                }
                Op::Put(trail)
            }
            None => Op::Nop,
        });
    }

    /// A session goes on from where it was let through at low risk, counting the grants of this browser. What was refused, or let through in spite of its risk,
    /// leaves no trail: a thief does not become the origin.
    pub fn follow(&self, identified: &Identified, decided: &Decided) -> Step {
        let is_let_through = matches!(decided.decision, Decision::Allow(_)) && decided.trace.remaining.level() == RiskLevel::Low;
        let Some(key) = key(identified).filter(|_| is_let_through) else { return Step::Stays };
        let sighting = &decided.trace.sighting;
        let is_low = decided.trace.assessment.inherent().level() == RiskLevel::Low;
        let mut moves = false;
        let followed = self.0.entry(key).and_compute_with(|old| {
            let mut trail = old.map_or_else(|| Trail::begin(sighting), moka::Entry::into_value);
            if is_low {
                let before = trail.last.as_ref().map(|last| last.point);
                trail.pass(sighting);
                moves = before.is_some_and(|before| trail.last.as_ref().is_some_and(|last| last.point != before));
            }
            Op::Put(trail)
        });
        match followed {
            CompResult::Inserted(_) => Step::Begins,
            _ if moves => Step::Moves,
            _ => Step::Stays,
        }
    }
}

/// What a trail belongs to: the issuer's session, or the session cookie that was linked, or the token itself. Never what a client chooses beside its token,
/// or a thief would begin anew with each made-up cookie. Nobody's word about subjects has sessions.
fn key(identified: &Identified) -> Option<(SubjectId, SessionTag)> {
    let token = identified.token();
    let tag = match identified.by() {
        IdentifiedBy::Session => SessionTag::of(identified.session()),
        IdentifiedBy::Token if token.sid.is_some() => SessionTag::of(identified.session()),
        IdentifiedBy::Token => SessionTag(token.digest?.0.first_chunk().map(|first| u32::from_le_bytes(*first))?),
        IdentifiedBy::Pep => return None,
    };
    Some((identified.subject().clone(), tag))
}
