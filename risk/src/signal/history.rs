//! Nothing verified is known of the subject, or it has all but faded. Novelty is no evidence then, for everything is new; what is left is the doubt, and
//! the score is at least [`crate::Weights::cold_start`]. One step-up or one verified login ends it.
//!
//! It is asked of those who can answer, and of privileged subjects in any case (`is_asked_when_unknown`): nobody is locked out for being new.

use countersign_sdk_types::{RiskScore, Signal};

use crate::{EvidenceItem, Known, Sighting};

/// Less than one event of the weakest kind, unfaded.
const UNKNOWN: f64 = 0.2;

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>, floor: RiskScore) -> Option<EvidenceItem> {
    if known.baseline.weight_at(sighting.at) >= UNKNOWN {
        return None;
    }
    let floor = if known.is_asked_when_unknown { floor } else { RiskScore::MIN };
    Some(EvidenceItem { floor, ..EvidenceItem::new(Signal::History, 0.0, &[], "nothing verified is known of the subject") })
}
