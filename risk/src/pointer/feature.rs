//! The features of an action: names, units, and the fixed scale of each histogram.

use serde::{Deserialize, Serialize};

use super::window::BINS;

/// Features of an action.
pub const FEATURES: usize = 28;

/// How values are spread over bins: 15 edges from the lowest to the highest, so that the first and the last bin are open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Edges at equal ratios.
    Ratio(f64, f64),
    /// Edges at equal differences.
    Linear(f64, f64),
}

/// A feature's name, unit and scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature {
    /// The name, for people.
    pub name: &'static str,
    /// The unit; empty for a share or a ratio.
    pub unit: &'static str,
    /// The scale. Limits are round numbers near the fifth and the ninety-fifth percentile of desktop use; they need not fit, and never change with
    /// data, so that a profile outlives every verifier.
    pub scale: Scale,
    /// The value follows the device's report rate more than the person's hand.
    pub is_sampling: bool,
}

const fn feature(name: &'static str, unit: &'static str, scale: Scale) -> Feature {
    Feature { name, unit, scale, is_sampling: false }
}

impl Feature {
    /// All features, in the order of every array of [`FEATURES`]. Movement is taken from positions at least 100 ms apart, see `motion.rs`.
    pub const ALL: [Self; FEATURES] = [
        feature("duration", "s", Scale::Ratio(0.5, 10.0)),
        feature("distance", "px", Scale::Ratio(5.0, 1000.0)),
        feature("mean speed", "px/s", Scale::Ratio(20.0, 1000.0)),
        feature("high speed", "px/s", Scale::Ratio(50.0, 2000.0)),
        feature("speed variation", "", Scale::Linear(0.7, 2.0)),
        feature("braking", "px/s²", Scale::Ratio(200.0, 50_000.0)),
        feature("final speed", "px/s", Scale::Ratio(2.0, 500.0)),
        feature("turning rate", "rad/s", Scale::Linear(0.5, 10.0)),
        feature("sharp turns", "", Scale::Linear(0.0, 0.5)),
        feature("press duration", "s", Scale::Ratio(0.05, 1.0)),
        feature("longest stop", "s", Scale::Ratio(0.2, 5.0)),
        feature("vertical speed", "px/s", Scale::Ratio(10.0, 500.0)),
        feature("speed peaks", "", Scale::Linear(0.5, 7.5)),
        feature("vertical steps", "", Scale::Linear(0.0, 0.5)),
        feature("horizontal steps", "", Scale::Linear(0.0, 0.5)),
        feature("smallest steps", "", Scale::Linear(0.0, 0.3)),
        feature("homing time", "s", Scale::Ratio(0.1, 3.0)),
        feature("drag duration", "s", Scale::Ratio(0.1, 2.0)),
        feature("time to half way", "", Scale::Linear(0.1, 0.9)),
        feature("median turning rate", "rad/s", Scale::Linear(0.2, 5.0)),
        feature("median curvature", "rad/px", Scale::Ratio(0.002, 0.1)),
        feature("median vertical step", "px", Scale::Ratio(1.0, 50.0)),
        feature("vertical displacement", "px", Scale::Linear(-500.0, 500.0)),
        feature("time to first quarter", "s", Scale::Ratio(0.1, 5.0)),
        feature("homing speed", "px/s", Scale::Ratio(5.0, 200.0)),
        feature("movement while pressed", "px", Scale::Ratio(1.0, 100.0)),
        feature("rest before press", "s", Scale::Ratio(0.02, 0.5)),
        Self { is_sampling: true, ..feature("report interval", "s", Scale::Ratio(0.008, 0.25)) },
    ];

    /// The bin of a value, from 0 to [`BINS`] − 1.
    #[must_use]
    pub fn bin(&self, value: f32) -> usize {
        let value = f64::from(value);
        let position = match self.scale {
            Scale::Linear(low, high) => (value - low) / (high - low),
            Scale::Ratio(_, _) if value <= 0.0 => -1.0,
            Scale::Ratio(low, high) => libm::log(value / low) / libm::log(high / low),
        };
        let last = BINS - 1;
        let inner = f64::from(u32::try_from(last - 1).unwrap_or(0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 … 15")]
        let bin = (libm::floor(position * inner) + 1.0).clamp(0.0, inner + 1.0) as usize;
        bin.min(last)
    }
}

/// What a client tells of one action, in the order of [`Feature::ALL`]. Absent: the action has no such thing, such as a press.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[Option<f32>; FEATURES]", into = "[Option<f32>; FEATURES]")]
pub struct ActionFeatures([Option<f32>; FEATURES]);

impl ActionFeatures {
    /// The values; one that is not finite is absent.
    #[must_use]
    pub fn values(&self) -> &[Option<f32>; FEATURES] {
        &self.0
    }

    /// Each feature's bin.
    pub(super) fn bins(&self) -> impl Iterator<Item = Option<usize>> {
        Feature::ALL.iter().zip(self.0).map(|(feature, value)| value.map(|value| feature.bin(value)))
    }
}

impl From<[Option<f32>; FEATURES]> for ActionFeatures {
    fn from(values: [Option<f32>; FEATURES]) -> Self {
        Self(values.map(|value| value.filter(|value| value.is_finite())))
    }
}

impl From<ActionFeatures> for [Option<f32>; FEATURES] {
    fn from(features: ActionFeatures) -> Self {
        features.0
    }
}
