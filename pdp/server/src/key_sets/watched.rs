//! One issuer whose keys come from somewhere: when they were looked at, how that went, and when to look again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_sdk_types::Timestamp;
use tokio::sync::{Notify, Semaphore, watch};

use super::source::{FetchError, Kind, Source};
use super::{KeySetStatus, Timing};
use crate::clock::{self, Stopwatch};

/// Requests that wait for one issuer's keys at once: enough for its browsers, too few to fill the listener.
const WAITERS: usize = 64;

/// One issuer whose keys come from somewhere.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) source: Source,
    state: Mutex<State>,
    /// One look at a time.
    pub(super) looking: tokio::sync::Mutex<()>,
    pub(super) wanted: Notify,
    /// Counts looks, for those who wait for one.
    pub(super) looks: watch::Sender<u64>,
    pub(super) waiters: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    /// What the current keys were read from.
    content: Option<blake3::Hash>,
    loaded: bool,
    good: Option<Stopwatch>,
    last_success: Option<Timestamp>,
    last_error: Option<String>,
    last_look: Option<Stopwatch>,
    failures: u32,
    demand: Option<Demand>,
}

/// An unknown key made somebody ask.
#[derive(Debug, Clone, Copy)]
struct Demand {
    at: Stopwatch,
    /// The number of looks by then.
    looks: u64,
}

impl Watched {
    pub(super) fn new(source: Source, has_keys: bool) -> Self {
        let good = has_keys.then(Stopwatch::start);
        let last_success = has_keys.then(clock::now);
        Self {
            source,
            state: Mutex::new(State { loaded: has_keys, good, last_success, ..State::default() }),
            looking: tokio::sync::Mutex::new(()),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
            waiters: Semaphore::new(WAITERS),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self, keys: usize) -> KeySetStatus {
        let state = self.state();
        KeySetStatus { loaded: state.loaded, keys, last_error: state.last_error.clone(), last_success: state.last_success }
    }

    /// Asks for a look, when the last demand is long enough ago. What to wait for, when there is something to wait for.
    pub(super) fn demand(&self, apart: Duration) -> Option<watch::Receiver<u64>> {
        let looks = self.looks.subscribe();
        let now = *looks.borrow();
        let mut state = self.state();
        match state.demand {
            Some(demand) if demand.at.elapsed() < apart => (demand.looks == now).then_some(looks),
            _ => {
                state.demand = Some(Demand { at: Stopwatch::start(), looks: now });
                self.wanted.notify_one();
                Some(looks)
            }
        }
    }

    /// How long until the next look, or until the keys are stale.
    pub(super) fn due(&self, iss: &str, timing: &Timing) -> Duration {
        let state = self.state();
        let Some(last_look) = state.last_look else { return Duration::ZERO };
        let usual = match self.source.0 {
            Kind::File(_) => timing.poll,
            Kind::Url(_) => timing.refresh,
        };
        let apart = match state.failures {
            0 => usual,
            failures => {
                let backed_off = timing.retry.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1));
                backed_off.min(timing.on_demand).min(usual.max(timing.retry))
            }
        };
        let next = spread(iss, apart).saturating_sub(last_look.elapsed());
        let stale = state.good.map(|good| timing.max_stale.saturating_sub(good.elapsed()));
        stale.map_or(next, |stale| next.min(stale))
    }

    /// The current keys were read from this.
    pub(super) fn has_read(&self, content: &blake3::Hash) -> bool {
        self.state().content.as_ref() == Some(content)
    }

    pub(super) fn succeeded(&self, content: blake3::Hash) {
        let mut state = self.state();
        state.content = Some(content);
        state.loaded = true;
        state.good = Some(Stopwatch::start());
        state.last_success = Some(clock::now());
        state.last_error = None;
        state.last_look = Some(Stopwatch::start());
        state.failures = 0;
    }

    pub(super) fn failed(&self, iss: &str, error: &FetchError) {
        let (mut state, error) = (self.state(), error.to_string());
        if state.last_error.as_ref() != Some(&error) {
            tracing::warn!(issuer = iss, %error, "key set was not refreshed");
        }
        state.last_error = Some(error);
        state.last_look = Some(Stopwatch::start());
        state.failures = state.failures.saturating_add(1);
    }

    /// True when the keys have just become too old.
    pub(super) fn forget(&self, max_stale: Duration) -> bool {
        let mut state = self.state();
        let stale = state.good.is_some_and(|good| good.elapsed() >= max_stale);
        if stale {
            state.good = None;
            state.content = None;
        }
        stale
    }
}

/// Up to a tenth sooner, so that many decision points do not ask at once. It need not be unpredictable: the time and the name are chance enough.
fn spread(iss: &str, apart: Duration) -> Duration {
    let mut hasher = blake3::Hasher::new();
    hasher.update(iss.as_bytes()).update(&clock::now().0.to_le_bytes());
    let [chance, ..] = *hasher.finalize().as_bytes();
    apart.saturating_sub(apart / 10 * u32::from(chance) / 256)
}
