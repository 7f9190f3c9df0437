//! The one place that reads clocks: the wall clock for tokens and records, the monotonic one for deadlines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_sdk_types::Timestamp;

/// The wall clock. A clock that stands before 1970 reads as 1970, at which no token is valid yet.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that the rule names")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the module that the rule names")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
