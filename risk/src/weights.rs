//! What a tenant may set of the engine. The defaults are rounded, each with where it comes from; nothing here is fitted to a file.

use std::collections::BTreeMap;

use arrayvec::ArrayVec;
use countersign_sdk_types::{RiskScore, Signal};
use serde::{Deserialize, Serialize};

/// What a tenant may set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Factor on each signal's nats, by its name; 1 where none is given. Zero switches a signal off, hard rules excepted.
    pub factors: BTreeMap<Signal, f64>,
    /// The map from nats to points.
    pub calibration: Calibration,
    /// The least score while nothing verified is known of a subject who can be asked; 0 trusts whoever is new.
    pub cold_start: RiskScore,
    /// Roles that are held to `cold_start` even where they have no passkey to answer with.
    pub privileged_roles: Vec<String>,
}

/// A monotone map from nats to points: linear between its knots, of which there are at most 16, and flat outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration(ArrayVec<(f64, u8), 16>);

/// Why weights were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A factor is negative or not finite.
    #[error("factor of `{0}` is not a number from 0 to 10")]
    Factor(Signal),
    /// The calibration is empty, or does not rise.
    #[error("calibration does not rise from point to point")]
    Calibration,
}

impl Default for Weights {
    fn default() -> Self {
        Self { factors: BTreeMap::new(), calibration: Calibration::default(), cold_start: COLD_START, privileged_roles: Vec::new() }
    }
}

/// Where the starter policy asks for a proof.
const COLD_START: RiskScore = match RiskScore::new(30) {
    Ok(score) => score,
    Err(_) => RiskScore::MAX,
};

impl Default for Calibration {
    /// 30 points at 0 nats, where the attacker is as likely as the subject: on made-up traffic of a thousand subjects 19 of 20 genuine events stay below. 60
    /// at 3 nats (20 times as likely), 74 at 5 (150 times). The map flattens as it rises: what is certain does not become more so.
    fn default() -> Self {
        Self::new([(-3.0, 0), (-1.0, 12), (0.0, 30), (1.5, 48), (3.0, 60), (5.0, 74), (8.0, 90), (12.0, 99)])
    }
}

impl Weights {
    /// Checks what a tenant wrote.
    ///
    /// # Errors
    /// Names the first value that cannot be used.
    pub fn validate(&self) -> Result<(), WeightsError> {
        if let Some((signal, _)) = self.factors.iter().find(|(_, factor)| !(0.0..=10.0).contains(*factor)) {
            return Err(WeightsError::Factor(*signal));
        }
        if self.calibration.is_legal() { Ok(()) } else { Err(WeightsError::Calibration) }
    }

    pub(crate) fn factor(&self, signal: Signal) -> f64 {
        self.factors.get(&signal).copied().unwrap_or(1.0)
    }
}

impl Calibration {
    /// A map through these knots; what comes after the sixteenth is left out.
    #[must_use]
    pub fn new(knots: impl IntoIterator<Item = (f64, u8)>) -> Self {
        Self(knots.into_iter().take(16).collect())
    }

    /// Sums of nats below which nobody calibrates: percentiles of fewer are chance.
    pub const ENOUGH: usize = 1_000;

    /// The shipped map, moved and stretched so that 30 points are at the 95th percentile of these sums and 70 at the 99.5th: what is shipped says how a
    /// score rises, a tenant's own traffic says where. Bounded to 2 nats either way, and to half and double the width, so that traffic in which an
    /// attacker hides cannot make one normal. None for fewer than [`Calibration::ENOUGH`] sums.
    #[must_use]
    pub fn of_traffic(sums: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = sums.iter().copied().filter(|sum| sum.is_finite()).collect();
        if sorted.len() < Self::ENOUGH {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let per_mille = |share: usize| sorted.get(sorted.len().saturating_sub(1) * share / 1000).copied();
        let shipped = Self::default();
        let (asked, high) = (shipped.nats(30.0)?, shipped.nats(70.0)?);
        let from = per_mille(950)?.clamp(asked - 2.0, asked + 2.0);
        let width = ((per_mille(995)? - from) / (high - asked)).clamp(0.5, 2.0);
        let tenth = |nats: f64| libm::round(nats * 10.0) / 10.0;
        Some(Self::new(shipped.0.iter().map(|(nats, score)| (tenth(from + (nats - asked) * width), *score))))
    }

    /// The knots, in rising order.
    #[must_use]
    pub fn knots(&self) -> &[(f64, u8)] {
        &self.0
    }

    /// Where the map reaches a score.
    fn nats(&self, score: f64) -> Option<f64> {
        self.0.windows(2).find_map(|pair| match pair {
            [(a, low), (b, high)] if (f64::from(*low)..=f64::from(*high)).contains(&score) && low < high => {
                Some(a + (b - a) * (score - f64::from(*low)) / (f64::from(*high) - f64::from(*low)))
            }
            _ => None,
        })
    }

    /// It rises from knot to knot, and leaves 100 to hard rules.
    fn is_legal(&self) -> bool {
        let rises = self.0.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0 && a.1 <= b.1));
        !self.0.is_empty() && rises && self.0.iter().all(|(nats, score)| nats.is_finite() && *score <= 99)
    }

    pub(crate) fn points(&self, nats: f64) -> f64 {
        let mut last: Option<(f64, f64)> = None;
        for (at, score) in self.0.iter().map(|(at, score)| (*at, f64::from(*score))) {
            if nats <= at {
                return last.map_or(score, |(from, floor)| floor + (score - floor) * (nats - from) / (at - from));
            }
            last = Some((at, score));
        }
        last.map_or(100.0, |(_, score)| score)
    }
}
