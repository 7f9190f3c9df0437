//! A circuit breaker of one address: after enough failures it is left alone for a while, then one question tries it again.
//!
//! ```text
//! closed ── enough failures in a row, or among the last ──▶ open ── its time is over ──▶ half-open (one probe) ── it failed ──▶ open, for longer
//!    ▲                                                                                        └── it was answered ──▶ closed
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Tick;
use crate::status::Circuit;

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Failures in a row.
    pub(crate) in_a_row: u32,
    /// How long it is left alone the first time, give or take a half. Twice as long each time that the probe fails, up to [`LONGEST`].
    pub(crate) rest: Duration,
}

/// The longest that an address is left alone, give or take a half.
const LONGEST: Duration = Duration::from_secs(30);

/// How many of the last answers are looked at, and how many of them must be failures to open the circuit.
const LAST: u32 = 64;
const FAILED: u32 = 32;

/// The breaker of one address.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed(Seen),
    Open { until: Tick, times: u32 },
    HalfOpen { times: u32 },
}

/// The last answers: a bit each, set for a failure.
#[derive(Debug, Default)]
struct Seen {
    in_a_row: u32,
    last: u64,
}

/// Leave to ask once. What is not said of it by the time that it is dropped says nothing about the address.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    is_told: bool,
}

impl Breaker {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::new(State::Closed(Seen::default())) }
    }

    /// Leave to ask, if there is any now.
    pub(crate) fn admit(&self, now: Tick) -> Option<Admission<'_>> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed(_) => false,
            State::Open { until, times } if now >= until => {
                *state = State::HalfOpen { times };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => return None,
        };
        Some(Admission { breaker: self, is_probe, is_told: false })
    }

    /// How it stands.
    pub(crate) fn circuit(&self, now: Tick) -> Circuit {
        match *self.state() {
            State::Closed(_) => Circuit::Closed,
            State::Open { until, .. } if now < until => Circuit::Open,
            State::Open { .. } | State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    fn opened(&self, now: Tick, times: u32) -> State {
        let rest = self.limits.rest.saturating_mul(1 << times.min(16)).min(LONGEST);
        State::Open { until: now.after(rest.mul_f64(0.5 + fastrand::f64())), times: times.saturating_add(1) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission<'_> {
    /// It answered: an error of the caller is an answer too.
    pub(crate) fn answered(mut self) {
        self.is_told = true;
        let mut state = self.breaker.state();
        match &mut *state {
            State::Closed(seen) => seen.tell(false),
            // An answer to a question from before it opened says nothing about now.
            State::Open { .. } => {}
            State::HalfOpen { .. } if self.is_probe => *state = State::Closed(Seen::default()),
            State::HalfOpen { .. } => {}
        }
    }

    /// It did not answer, or what it said is no answer.
    pub(crate) fn failed(mut self, now: Tick) {
        self.is_told = true;
        let mut state = self.breaker.state();
        match &mut *state {
            State::Closed(seen) => {
                seen.tell(true);
                if seen.in_a_row >= self.breaker.limits.in_a_row || seen.last.count_ones() >= FAILED {
                    *state = self.breaker.opened(now, 0);
                }
            }
            State::HalfOpen { times } if self.is_probe => *state = self.breaker.opened(now, *times),
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }
}

impl Drop for Admission<'_> {
    /// A probe of which nothing is known, because whoever asked has gone, leaves the place for another.
    fn drop(&mut self) {
        if self.is_told || !self.is_probe {
            return;
        }
        let mut state = self.breaker.state();
        if let State::HalfOpen { times } = *state {
            *state = State::Open { until: Tick(0), times };
        }
    }
}

impl Seen {
    const fn tell(&mut self, is_failure: bool) {
        self.in_a_row = if is_failure { self.in_a_row.saturating_add(1) } else { 0 };
        // As many bits as answers are looked at.
        const { assert!(LAST == u64::BITS) };
        self.last = (self.last << 1) | is_failure as u64;
    }
}

#[cfg(test)]
mod tests;
