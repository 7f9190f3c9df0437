//! Weights that fade: whole numbers, so that stored and replayed memories are the same bytes.
//!
//! Forward decay (Cormode et al., ICDE 2009): a weight at t counts 2^((t − landmark) / half-life), and nothing learned before has to be touched.
//! When a half-life has passed, the landmark moves and every weight is halved.

use countersign_sdk_types::Timestamp;
use serde::{Deserialize, Serialize};

const MILLIS_A_DAY: i64 = 86_400_000;
/// One event at the landmark. A quarter of an event, the least that is learned, is four of these.
const EVENT: f64 = 16.0;
/// The largest weight: 14 bits, two bytes in a variable-length form. A full memory halves early, and so keeps its shape.
const FULL: u16 = (1 << 14) - 1;

/// What is left after so many half-lives, to the seven digits of single precision.
#[expect(clippy::cast_possible_truncation, reason = "a fading needs no more")]
pub(super) fn faded(half_lives: f64) -> f64 {
    f64::from(libm::exp2f(-half_lives.max(0.0) as f32))
}

/// `N` weights with a half-life of `DAYS` days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory<const N: usize, const DAYS: i64> {
    landmark: Timestamp,
    #[serde(with = "super::wire")]
    weights: [u16; N],
}

impl<const N: usize, const DAYS: i64> Default for Memory<N, DAYS> {
    fn default() -> Self {
        Self { landmark: Timestamp(0), weights: [0; N] }
    }
}

impl<const N: usize, const DAYS: i64> Memory<N, DAYS> {
    const HALF_LIFE: i64 = DAYS * MILLIS_A_DAY;

    /// Adds an event of a weight from 0 to 1.
    pub(super) fn learn(&mut self, at: Timestamp, place: usize, weight: f64) {
        self.advance(at);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 32: at most one half-life after the landmark"
        )]
        let added = libm::round(EVENT * weight.clamp(0.0, 1.0) * libm::exp2(self.half_lives(at).min(1.0))) as u16;
        if self.weights.get(place).is_some_and(|known| known.saturating_add(added) > FULL) {
            self.halve(1);
        }
        if let Some(known) = self.weights.get_mut(place) {
            *known = known.saturating_add(added).min(FULL);
        }
    }

    /// Moves the landmark by whole half-lives. An empty memory begins where it is.
    fn advance(&mut self, at: Timestamp) {
        if self.weights.iter().all(|weight| *weight == 0) {
            self.landmark = at;
        }
        let passed = at.0.saturating_sub(self.landmark.0).max(0) / Self::HALF_LIFE;
        self.halve(u32::try_from(passed).unwrap_or(u32::MAX));
        self.landmark = Timestamp(self.landmark.0.saturating_add(passed.saturating_mul(Self::HALF_LIFE)));
    }

    fn halve(&mut self, times: u32) {
        self.weights.iter_mut().for_each(|weight| *weight = weight.checked_shr(times).unwrap_or(0));
    }

    /// From the landmark to an instant; negative before it.
    fn half_lives(&self, at: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some thousand years are exact")]
        let (passed, half_life) = (at.0.saturating_sub(self.landmark.0) as f64, Self::HALF_LIFE as f64);
        passed / half_life
    }

    /// What one unit of [`Memory::weights`] is worth at an instant, in events.
    pub(super) fn unit(&self, at: Timestamp) -> f64 {
        faded(self.half_lives(at)) / EVENT
    }

    /// The sum of the weights, in units.
    pub(super) fn sum(&self) -> u32 {
        self.weights.iter().copied().map(u32::from).sum()
    }

    /// The weights, in units.
    pub(super) const fn weights(&self) -> &[u16; N] {
        &self.weights
    }

    /// Gives each weight another place.
    pub(super) fn replace(&mut self, weights: [u16; N]) {
        self.weights = weights;
    }
}
