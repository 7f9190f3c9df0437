//! The one place that reads clocks: the wall clock for tokens and records, the monotonic one for deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_sdk_types::{Millis, Timestamp};

/// The clock of a decision point: the system's, or one that runs ahead of it, by which the demonstration tells a story of two days in a minute.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that starts at an instant and can be moved into the future. Clones move together. For the demonstration only.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.0.saturating_sub(now().0)))))
    }

    /// What time it is. A clock that stands before 1970 reads as 1970, at which no token is valid yet.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = self.0.as_ref().map_or(0, |ahead| ahead.load(Ordering::SeqCst));
        Timestamp(now().0.saturating_add(ahead).max(0))
    }

    /// Moves the clock into the future; the system's own stays where it is.
    pub fn advance(&self, Millis(by): Millis) {
        if let Some(ahead) = &self.0 {
            ahead.fetch_add(i64::try_from(by).unwrap_or(0), Ordering::SeqCst);
        }
    }
}

/// The system's wall clock.
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
