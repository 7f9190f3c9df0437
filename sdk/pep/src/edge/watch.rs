//! What an edge knows of what ended: which life of the decision point it hears, whether it hears it, and what it was told.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_sdk_types::{Epoch, Lease, Millis, Revision, Tag, WatchEvent};
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// Endings that are remembered; beyond them, what is older is taken to have ended.
const REMEMBERED: usize = 65_536;
/// After so many heartbeats of silence a watch is lost. Two and a half.
const SILENT: (u32, u32) = (5, 2);

/// The state of a watch. Times are of a clock that only runs forward.
///
/// ```
/// use std::time::Duration;
/// use countersign_sdk_pep::edge::Watch;
/// use countersign_sdk_types::{Epoch, Millis, Revision, WatchEvent};
///
/// let (watch, revision) = (Watch::default(), Revision::new("r1").unwrap());
/// let hello = WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision };
/// watch.told(Duration::ZERO, Epoch { life: 7, seq: 3 }, &hello);
/// assert!(watch.is_alive(Duration::from_secs(20)));
/// assert!(!watch.is_alive(Duration::from_secs(30)));
/// ```
#[derive(Debug)]
pub struct Watch {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The life that was greeted last, and what it says of itself.
    greeted: Option<Greeted>,
    /// When something was heard last, while it lives.
    heard: Option<Duration>,
    /// When it was lost.
    lost: Duration,
    /// What was seen.
    seq: u64,
    /// What must be seen before it lives: the position at the greeting.
    behind: u64,
    /// The greeting named the place where it goes on, and not how far the stream is: what was told meanwhile may be on its way, and nobody knows how much.
    is_unsure: bool,
    /// When it was greeted.
    greeted_at: Duration,
    /// What ended, and at which position last.
    ended: HashMap<Tag, u64>,
    /// What was granted before this has ended.
    forgotten: u64,
}

#[derive(Debug, Clone)]
struct Greeted {
    life: u64,
    heartbeat: Duration,
    floor: Duration,
    revision: Revision,
}

impl Default for Watch {
    fn default() -> Self {
        Self { state: Mutex::default(), changes: watch::channel(0).0 }
    }
}

impl Watch {
    /// The watch tells an event, at its position. The first of a connection is its `hello`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Watch;
    /// use countersign_sdk_types::{Epoch, Millis, Revision, WatchEvent};
    ///
    /// let (watch, revision) = (Watch::default(), Revision::new("r1").unwrap());
    /// let hello = WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision };
    /// watch.told(Duration::ZERO, Epoch { life: 7, seq: 3 }, &hello);
    /// watch.told(Duration::from_secs(1), Epoch { life: 7, seq: 4 }, &WatchEvent::Reset {});
    /// assert_eq!(watch.position(), Some(Epoch { life: 7, seq: 4 }));
    /// ```
    pub fn told(&self, now: Duration, at: Epoch, event: &WatchEvent) {
        let mut state = self.lock();
        let mut is_in_time = state.is_heard(now);
        if let WatchEvent::Hello { heartbeat, floor, revision } = event {
            state.greet(at, *heartbeat, *floor, revision);
            state.greeted_at = now;
            is_in_time = true;
        } else if state.greeted.as_ref().is_none_or(|greeted| greeted.life != at.life) {
            return;
        } else {
            // A number that was passed over is an event that was missed.
            if at.seq > state.seq.saturating_add(1) {
                state.forget(at.seq);
            }
            state.seq = state.seq.max(at.seq);
        }
        match event {
            WatchEvent::Ended { depends_on, .. } => state.end(at.seq, depends_on),
            WatchEvent::Policy { revision } => {
                if let Some(greeted) = &mut state.greeted {
                    greeted.revision = revision.clone();
                }
            }
            WatchEvent::Reset {} => {
                state.forget(at.seq);
                state.is_unsure = false;
            }
            WatchEvent::Hello { .. } | WatchEvent::Draining { .. } => {}
        }
        // Whatever was lost meanwhile is lost: only a greeting begins anew.
        if is_in_time {
            state.heard = Some(now);
        }
        drop(state);
        self.changed();
    }

    /// A heartbeat: there was nothing to tell.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Watch;
    /// use countersign_sdk_types::{Epoch, Millis, Revision, WatchEvent};
    ///
    /// let (watch, revision) = (Watch::default(), Revision::new("r1").unwrap());
    /// let hello = WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision };
    /// watch.told(Duration::ZERO, Epoch { life: 7, seq: 3 }, &hello);
    /// watch.heard(Duration::from_secs(20));
    /// assert!(watch.is_alive(Duration::from_secs(30)));
    /// ```
    pub fn heard(&self, now: Duration) {
        let mut state = self.lock();
        if state.is_heard(now) {
            state.heard = Some(now);
            state.is_unsure = false;
        }
    }

    /// What was asked at `asked` was answered at this position: all that was told before is on its way, and no more of it is missing.
    pub(crate) fn learned(&self, asked: Duration, epoch: Epoch) {
        let mut state = self.lock();
        let is_later = state.greeted.as_ref().is_some_and(|greeted| greeted.life == epoch.life) && asked > state.greeted_at;
        if state.is_unsure && is_later {
            state.is_unsure = false;
            state.behind = state.behind.max(epoch.seq);
        }
    }

    /// The connection is gone.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Watch;
    /// use countersign_sdk_types::{Epoch, Millis, Revision, WatchEvent};
    ///
    /// let (watch, revision) = (Watch::default(), Revision::new("r1").unwrap());
    /// let hello = WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision };
    /// watch.told(Duration::ZERO, Epoch { life: 7, seq: 3 }, &hello);
    /// watch.lost(Duration::from_secs(1));
    /// assert!(!watch.is_alive(Duration::from_secs(1)));
    /// ```
    pub fn lost(&self, now: Duration) {
        let mut state = self.lock();
        // Who never caught up heard nothing of what was missed: it is lost since before, however often it is greeted.
        let was_caught_up = state.has_caught_up();
        if let Some(heard) = state.heard.take().filter(|_| was_caught_up) {
            // What was silent for long was lost long ago.
            state.lost = state.silent_after(heard).min(now);
        }
        drop(state);
        self.changed();
    }

    /// Where a new connection goes on.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::Watch;
    ///
    /// assert_eq!(Watch::default().position(), None, "it begins wherever the decision point is");
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Epoch> {
        let state = self.lock();
        state.greeted.as_ref().map(|greeted| Epoch { life: greeted.life, seq: state.seq })
    }

    /// Which life of the decision point is heard.
    pub(crate) fn life(&self) -> Option<u64> {
        self.lock().greeted.as_ref().map(|greeted| greeted.life)
    }

    /// The policy that is active at the decision point, as it said last.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.lock().greeted.as_ref().map(|greeted| greeted.revision.clone())
    }

    /// Whether anything is heard.
    pub(crate) fn is_heard(&self, now: Duration) -> bool {
        self.lock().is_heard(now)
    }

    /// Whether everything that ends is heard of.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Watch;
    ///
    /// assert!(!Watch::default().is_alive(Duration::ZERO), "nobody greeted yet");
    /// ```
    #[must_use]
    pub fn is_alive(&self, now: Duration) -> bool {
        self.lock().is_alive(now)
    }

    /// How much longer what was asked at `asked` may be believed; `None` when it has ended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Watch;
    /// use countersign_sdk_types::Lease;
    ///
    /// /// Whether what was asked for at `asked` may be believed.
    /// fn holds(watch: &Watch, now: Duration, asked: Duration, lease: &Lease) -> bool {
    ///     watch.left(now, asked, lease).is_some()
    /// }
    /// ```
    #[must_use]
    pub fn left(&self, now: Duration, asked: Duration, lease: &Lease) -> Option<Duration> {
        let state = self.lock();
        let greeted = state.greeted.as_ref()?;
        let is_current = greeted.life == lease.epoch.life && greeted.revision == lease.revision;
        let is_told = |tag: &Tag| state.ended.get(tag).is_some_and(|seq| *seq > lease.epoch.seq);
        if !is_current || lease.epoch.seq < state.forgotten || lease.depends_on.iter().any(is_told) {
            return None;
        }
        let mut end = asked.saturating_add(Duration::from_millis(lease.ttl.0));
        if !state.is_alive(now) {
            let silent = state.heard.filter(|_| state.has_caught_up());
            let lost = silent.map_or(state.lost, |heard| state.silent_after(heard));
            end = end.min(asked.max(lost).saturating_add(greeted.floor));
        }
        end.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Sees every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn greet(&mut self, at: Epoch, heartbeat: Millis, floor: Millis, revision: &Revision) {
        let is_same = self.greeted.as_ref().is_some_and(|greeted| greeted.life == at.life);
        if !is_same {
            // What this life told before is not told again: what was granted before it may have ended.
            *self = Self { seq: at.seq, forgotten: at.seq, lost: self.lost, ..Self::default() };
        }
        self.greeted = Some(Greeted {
            life: at.life,
            heartbeat: Duration::from_millis(heartbeat.0),
            floor: Duration::from_millis(floor.0),
            revision: revision.clone(),
        });
        // What was told between is still on its way, and the watch does not live before it is here.
        self.behind = at.seq;
        self.is_unsure = is_same && at.seq <= self.seq;
    }

    fn end(&mut self, seq: u64, tags: &[Tag]) {
        for tag in tags {
            self.ended.insert(*tag, seq);
        }
        if self.ended.len() > REMEMBERED {
            self.forget(seq);
        }
    }

    fn forget(&mut self, seq: u64) {
        self.forgotten = self.forgotten.max(seq);
        self.ended.clear();
    }

    fn silent_after(&self, heard: Duration) -> Duration {
        let heartbeat = self.greeted.as_ref().map_or(Duration::ZERO, |greeted| greeted.heartbeat);
        heard.saturating_add(heartbeat.saturating_mul(SILENT.0) / SILENT.1)
    }

    fn is_alive(&self, now: Duration) -> bool {
        self.has_caught_up() && self.is_heard(now)
    }

    fn is_heard(&self, now: Duration) -> bool {
        self.heard.is_some_and(|heard| now < self.silent_after(heard))
    }

    const fn has_caught_up(&self) -> bool {
        !self.is_unsure && self.seq >= self.behind
    }
}
