//! What a recorded decision scored, and what it would have by other weights. No policy is asked, and nothing is permitted.

use std::collections::BTreeSet;

use countersign_risk::{Assessment, Weights};
use countersign_sdk_types::{Digest, RiskScore, Signal};

use super::{Basis, Record};
use crate::decide::assess;
use crate::input::answered;

/// A score, and what proofs leave of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The score and its reasons.
    pub assessment: Assessment,
    /// What remains after the grants that were live then.
    pub remaining: RiskScore,
    /// What would remain after a passkey as well.
    pub proved: RiskScore,
    /// The subject has a passkey.
    pub can_prove: bool,
    /// The half hour of the subject's day, from 0 to 47: in their home zone, or in UTC where none is known.
    pub half_hour: usize,
    answered: BTreeSet<Digest>,
}

impl Scored {
    fn new(assessment: Assessment, basis: &Basis, record: &Record) -> Self {
        let answered = answered(&basis.facts, record.at);
        let with_passkey = answered.union(&assessment.answerable()).copied().collect();
        Self {
            remaining: assessment.remaining(&answered),
            proved: assessment.remaining(&with_passkey),
            can_prove: !basis.facts.reachable.is_empty(),
            half_hour: basis.facts.baseline.half_hour(record.at),
            assessment,
            answered,
        }
    }

    /// What would remain, had one signal said nothing.
    #[must_use]
    pub fn without(&self, signal: Signal) -> RiskScore {
        self.assessment.without(signal).remaining(&self.answered)
    }
}

/// The score as it was recorded. `None` where no policy was asked: it was refused whatever its score.
#[must_use]
pub fn scored(record: &Record) -> Option<Scored> {
    let (basis, trace) = (open(record)?, record.trace.as_ref()?);
    Some(Scored::new(trace.assessment.clone(), basis, record))
}

/// The score by these weights, of the same sighting and facts: by the weights and the engine that decided, it is the recorded one to the last bit.
#[must_use]
pub fn rescored(record: &Record, weights: &Weights) -> Option<Scored> {
    let (basis, trace) = (open(record)?, record.trace.as_ref()?);
    Some(Scored::new(assess(&trace.sighting, &basis.facts, weights), basis, record))
}

/// What a policy was asked about.
fn open(record: &Record) -> Option<&Basis> {
    record.basis.as_ref().filter(|basis| !basis.facts.is_barred(record.at) && basis.identified.unproved().is_none())
}
