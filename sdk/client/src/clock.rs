//! The one clock of this crate: it only runs forward, and starts with its first use.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An instant of this process, in nanoseconds since the clock was first read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// This instant moved into the future, and never past the end of time.
    pub(crate) fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// How long it is until `later`, and zero when that has passed.
    pub(crate) const fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// As nanoseconds, 584 years at most.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Says what time it is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    /// The machine's monotonic clock.
    #[default]
    Machine,
    /// A clock that a test moves.
    #[cfg(test)]
    Hand(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the monotonic clock of the client: leases and deadlines are counted on it")]
    pub(crate) fn now(&self) -> Tick {
        static START: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::Machine => Tick(nanos(Instant::now().saturating_duration_since(*START.get_or_init(Instant::now)))),
            #[cfg(test)]
            Self::Hand(at) => Tick(at.load(std::sync::atomic::Ordering::SeqCst)),
        }
    }
}
