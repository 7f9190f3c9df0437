//! Instants and durations as plain integers; nothing in here reads a clock.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// A length of time in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

impl Timestamp {
    /// The instant `seconds` after the epoch; saturates at the ends of the range.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Whole seconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant moved into the future.
    #[must_use]
    pub fn after(self, by: impl Into<Millis>) -> Self {
        let Millis(by) = by.into();
        Self(self.0.saturating_add(i64::try_from(by).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was, and zero when it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        let gap = self.0.saturating_sub(earlier.0);
        Millis(if gap > 0 { gap.unsigned_abs() } else { 0 })
    }
}

impl From<Seconds> for Millis {
    fn from(Seconds(seconds): Seconds) -> Self {
        Self(seconds.saturating_mul(1_000))
    }
}

impl Millis {
    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn secs(self) -> Seconds {
        Seconds(self.0 / 1_000)
    }
}
