//! Scores, counted so that every threshold can be asked of them afterwards.

use countersign_pdp_engine::record::Scored;
use countersign_sdk_types::RiskScore;

/// One count for each score from 0 to 100.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram(Box<[u64; 101]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Box::new([0; 101]))
    }
}

impl Histogram {
    pub(super) fn add(&mut self, score: RiskScore, count: u64) {
        if let Some(so_far) = self.0.get_mut(usize::from(score.value())) {
            *so_far = so_far.saturating_add(count);
        }
    }

    /// All from a score on.
    pub(super) fn from(&self, score: RiskScore) -> u64 {
        self.0.iter().skip(usize::from(score.value())).sum()
    }
}

/// What decisions come to at any threshold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curve {
    /// By their score.
    reached: Histogram,
    /// By the score up to which no proof helps: what remains after a passkey, or all of it without one.
    beyond: Histogram,
}

impl Curve {
    pub(super) fn add(&mut self, scored: &Scored) {
        self.reached.add(scored.remaining, 1);
        self.beyond.add(if scored.can_prove { scored.proved } else { scored.remaining }, 1);
    }

    /// How many decisions there are.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.reached.from(RiskScore::MIN)
    }

    /// Asked for a proof or denied, where this score is the threshold.
    #[must_use]
    pub fn stopped(&self, threshold: RiskScore) -> u64 {
        self.reached.from(threshold)
    }

    /// Of these, denied: the subject has no passkey, or none helps.
    #[must_use]
    pub fn denied(&self, threshold: RiskScore) -> u64 {
        self.beyond.from(threshold)
    }

    /// Of these, asked.
    #[must_use]
    pub fn asked(&self, threshold: RiskScore) -> u64 {
        self.stopped(threshold).saturating_sub(self.denied(threshold))
    }
}
