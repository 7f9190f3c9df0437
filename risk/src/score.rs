//! From evidence to a number: the sum in nats, a monotone map to 0–100, and reasons whose points add up to it exactly.

use std::collections::BTreeSet;

use countersign_sdk_types::{Digest, Reason, RiskScore, Signal};
use serde::{Deserialize, Serialize};

use crate::{Calibration, Evidence, EvidenceItem};

/// A scored sighting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    inherent: RiskScore,
    evidence: Evidence,
    calibration: Calibration,
}

/// Scores evidence.
#[must_use]
pub fn score(evidence: Evidence, calibration: &Calibration) -> Assessment {
    let inherent = total(&evidence, calibration, &BTreeSet::new());
    Assessment { inherent, evidence, calibration: calibration.clone() }
}

impl Assessment {
    /// The threat evidence before any grant.
    #[must_use]
    pub const fn inherent(&self) -> RiskScore {
        self.inherent
    }

    /// Why, the heaviest first. The points add up to [`Assessment::inherent`].
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        reasons(self.evidence.items(), self.inherent)
    }

    /// What it was made of.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What remains when the listed evidence is answered. Only evidence that a passkey answers can be.
    #[must_use]
    pub fn remaining(&self, answered: &BTreeSet<Digest>) -> RiskScore {
        total(&self.evidence, &self.calibration, answered).min(self.inherent)
    }

    /// The same without what one signal said, floors included.
    #[must_use]
    pub fn without(&self, signal: Signal) -> Self {
        let items = self.evidence.items().iter().filter(|item| item.signal != signal);
        score(Evidence(items.cloned().collect()), &self.calibration)
    }

    /// The evidence that a passkey would answer: what speaks against the subject, and only as it was seen.
    #[must_use]
    pub fn answerable(&self) -> BTreeSet<Digest> {
        let speaks = |item: &&EvidenceItem| item.nats > 0.0 || item.floor > RiskScore::MIN;
        let items = self.evidence.items().iter().filter(|item| item.signal.answered_by_passkey()).filter(speaks);
        items.map(|item| item.digest).collect()
    }
}

/// Points for each nat that speaks against the subject, at most: credit alone never makes a score, and every score has reasons.
const POINTS_A_NAT: f64 = 20.0;

fn total(evidence: &Evidence, calibration: &Calibration, answered: &BTreeSet<Digest>) -> RiskScore {
    let is_answered = |item: &EvidenceItem| item.signal.answered_by_passkey() && answered.contains(&item.digest);
    // Familiar evidence keeps its credit; only what speaks against the subject is answered.
    let counted = || evidence.items().iter().filter(|item| item.nats < 0.0 || !is_answered(item));
    let sum: f64 = counted().map(|item| item.nats).sum();
    let against: f64 = counted().map(|item| item.nats.max(0.0)).sum();
    let floor = evidence.items().iter().filter(|item| !is_answered(item)).map(|item| item.floor).max().unwrap_or(RiskScore::MIN);
    RiskScore::clamp(calibration.points(sum).min(POINTS_A_NAT * against)).max(floor)
}

/// Shares the score by largest remainder: among what speaks against the subject, or where a floor decides, among what set it. Familiar evidence is
/// listed with zero points.
fn reasons(items: &[EvidenceItem], score: RiskScore) -> Vec<Reason> {
    let decides = score > RiskScore::MIN && items.iter().any(|item| item.floor == score);
    let share = |item: &EvidenceItem| match (decides, item.floor == score) {
        (true, true) => 1.0,
        (true, false) => 0.0,
        (false, _) => item.nats.max(0.0),
    };
    let all: f64 = items.iter().map(share).sum();
    let score = f64::from(score.value());
    let exact = |item: &EvidenceItem| if all > 0.0 { score * share(item) / all } else { 0.0 };
    let mut parts: Vec<(&EvidenceItem, f64, f64)> =
        items.iter().map(|item| (item, libm::floor(exact(item)), exact(item) - libm::floor(exact(item)))).collect();
    let given: f64 = parts.iter().map(|(_, floor, _)| floor).sum();
    parts.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mut left = score - given;
    for (_, points, _) in parts.iter_mut().filter(|(item, _, _)| share(item) > 0.0) {
        if left >= 1.0 {
            *points += 1.0;
            left -= 1.0;
        }
    }
    parts.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.nats.total_cmp(&a.0.nats)));
    #[expect(clippy::cast_possible_truncation, reason = "points are whole numbers from 0 to 100")]
    parts
        .into_iter()
        .map(|(item, points, _)| Reason { signal: item.signal, points: points as i8, text: item.text.clone().into_owned() })
        .collect()
}
