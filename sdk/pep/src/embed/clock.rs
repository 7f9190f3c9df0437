//! What time it is, as the application says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_sdk_types::Timestamp;

/// Tells the time. Decisions take it as a value.
///
/// ```
/// use std::time::Duration;
/// use countersign_sdk_pep::embed::Clock;
/// use countersign_sdk_types::Timestamp;
///
/// /// It stands still, for a test.
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> Timestamp {
///         Timestamp(1_772_539_200_000)
///     }
///
///     fn elapsed(&self) -> Duration {
///         Duration::ZERO
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// A clock that only runs forward, from any beginning.
    fn elapsed(&self) -> Duration;
}

/// The clocks of the system.
///
/// ```
/// use countersign_sdk_pep::embed::{Clock as _, SystemClock};
///
/// let clock = SystemClock::default();
/// let before = clock.elapsed();
/// assert!(clock.now().0 > 0 && clock.elapsed() >= before);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads a clock")]
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads a clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
