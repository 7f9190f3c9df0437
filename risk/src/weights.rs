//! The shipped constants of the engine: rounded, each with where it comes from. Nothing here is fitted to a file.

use serde::{Deserialize, Serialize};

/// What a tenant may set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Days until a learned event counts half; 120 was flat from 60 to 240 on real clocks.
    pub half_life_days: f64,
    /// Factor on each signal's nats, by its name; 1 where none is given. Zero switches a signal off, hard rules excepted.
    pub factors: std::collections::BTreeMap<countersign_sdk_types::Signal, f64>,
    /// The map from nats to points, as (nats, score) in rising order; linear between, flat outside.
    pub calibration: Vec<(f64, u8)>,
}

/// Why weights were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A factor is negative or not finite.
    #[error("factor of `{0}` is not a number from 0 to 10")]
    Factor(countersign_sdk_types::Signal),
    /// The calibration is empty, or does not rise.
    #[error("calibration does not rise from point to point")]
    Calibration,
    /// The half-life is not a positive number of days.
    #[error("half-life is not a number of days from 1 to 3650")]
    HalfLife,
}

impl Default for Weights {
    /// 30 points at 3.5 nats (an attacker is 33 times likelier), 60 at 6, as the literature's step-up budgets of 5 % and 0.5 % ask.
    fn default() -> Self {
        Self {
            half_life_days: 120.0,
            factors: std::collections::BTreeMap::new(),
            calibration: vec![(0.0, 0), (2.0, 15), (3.5, 30), (6.0, 60), (8.0, 80), (12.0, 99)],
        }
    }
}

impl Weights {
    /// Checks what a tenant wrote.
    ///
    /// # Errors
    /// Names the first value that cannot be used.
    pub fn validate(&self) -> Result<(), WeightsError> {
        if !(1.0..=3650.0).contains(&self.half_life_days) {
            return Err(WeightsError::HalfLife);
        }
        if let Some((signal, _)) = self.factors.iter().find(|(_, factor)| !(0.0..=10.0).contains(*factor)) {
            return Err(WeightsError::Factor(*signal));
        }
        let rises = self.calibration.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0 && a.1 <= b.1));
        let legal = self.calibration.iter().all(|(nats, score)| nats.is_finite() && *score <= 99);
        if self.calibration.is_empty() || !rises || !legal { Err(WeightsError::Calibration) } else { Ok(()) }
    }

    pub(crate) fn points(&self, nats: f64) -> f64 {
        let mut last: Option<(f64, f64)> = None;
        for (at, score) in self.calibration.iter().map(|(at, score)| (*at, f64::from(*score))) {
            if nats <= at {
                return last.map_or(score, |(from, floor)| floor + (score - floor) * (nats - from) / (at - from));
            }
            last = Some((at, score));
        }
        last.map_or(100.0, |(_, score)| score)
    }
}
