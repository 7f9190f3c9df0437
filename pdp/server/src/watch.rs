//! What ends decisions that were given, told to whoever was given them: one stream of events, kept a while, followed by any number of watches.
//!
//! A follower is a position in the stream and never a queue: a thousand slow readers hold no more memory than fast ones. Whoever may hold a lease on what
//! ends is woken first, all others in chunks after them.
//!
//! INVARIANT: a fact is visible before its event is told, and a decision takes [`Hub::epoch`] before it reads any fact. So a decision that rests on the old
//! fact has an epoch before the event, and the event ends it.

mod follow;
mod holders;
mod ring;
mod source;
mod sse;
mod stir;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_sdk_types::{Ending, Epoch, Millis, Revision, Tag, Timestamp, WatchEvent, WatchName};
use tokio::sync::Notify;

use crate::clock::{self, Stopwatch};
use crate::config::LeaseTerms;
use crate::metrics::Metrics;

pub use self::follow::{Following, Full, Told, follow};
pub use self::ring::Event;
pub use self::source::{Meaning, meaning};
pub use self::sse::SseBody;

use self::follow::Slot;
use self::holders::Holders;
use self::ring::{Next, Ring};
use self::stir::Stirred;

/// Names of one event: what ends more tells several.
const MOST_TAGS: usize = 128;
/// Watches that are woken at once, before others get their turn.
const CHUNK: usize = 256;
/// Whoever holds a lease on what ended is this much ahead of everybody else.
const HEAD_START: Duration = Duration::from_millis(10);
/// How long what may raise a risk is gathered, so that much of it is one event.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is looked for watches that read nothing.
const SWEEP: Duration = Duration::from_secs(1);
/// A watch that reads nothing for this long, while there is something to read, is closed.
const SLOW: Millis = Millis(10_000);

/// The stream of one life of the process.
#[derive(Debug)]
pub struct Hub {
    life: u64,
    terms: LeaseTerms,
    metrics: Arc<Metrics>,
    begun: Stopwatch,
    /// Events told so far. Written with `ring` locked, after the event is in it.
    seq: AtomicU64,
    ring: Mutex<Ring>,
    slots: Mutex<Slots>,
    open: AtomicUsize,
    holders: Holders,
    stirred: Mutex<Stirred>,
    /// Something waits in `stirred`.
    stirs: AtomicBool,
    wanted: Notify,
    revision: ArcSwap<Revision>,
}

/// The watches that are open, in the order in which they came: those of one connection stand together and share its writes.
#[derive(Debug, Default)]
struct Slots {
    next: u64,
    by_id: BTreeMap<u64, Arc<Slot>>,
    by_name: BTreeMap<WatchName, u64>,
}

impl Hub {
    /// A stream of which nothing was told yet.
    ///
    /// # Errors
    /// When there is no randomness to name it.
    pub fn new(terms: LeaseTerms, revision: Revision, metrics: Arc<Metrics>) -> Result<Self, String> {
        let mut life = [0; 8];
        aws_lc_rs::rand::fill(&mut life).map_err(|_| "no randomness for the name of the watch stream".to_owned())?;
        let life = u64::from_le_bytes(life);
        Ok(Self {
            life,
            holders: Holders::new(terms.ttl),
            terms,
            metrics,
            begun: Stopwatch::start(),
            seq: AtomicU64::new(0),
            ring: Mutex::new(Ring::new(life)),
            slots: Mutex::default(),
            open: AtomicUsize::new(0),
            stirred: Mutex::default(),
            stirs: AtomicBool::new(false),
            wanted: Notify::new(),
            revision: ArcSwap::from_pointee(revision),
        })
    }

    /// What has been told by now. A decision takes this before it reads any fact.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch { life: self.life, seq: self.seq.load(Ordering::Acquire) }
    }

    /// Tells that leases which rest on any of these end.
    pub fn end(&self, reason: Ending, depends_on: Vec<Tag>) {
        if depends_on.len() <= MOST_TAGS {
            return self.tell(WatchEvent::Ended { reason, depends_on });
        }
        for tags in depends_on.chunks(MOST_TAGS) {
            self.tell(WatchEvent::Ended { reason, depends_on: tags.to_vec() });
        }
    }

    /// Tells that leases end because the risk of these may have risen; each at most once a second, and only where somebody may hold a lease on it. What comes
    /// sooner waits for its second and is not lost, so that nobody who is refused again and again makes a storm.
    pub fn stir(&self, depends_on: &[Tag]) {
        let now = self.elapsed();
        let leased: Vec<Tag> = depends_on.iter().copied().filter(|tag| self.holders.may_hold(tag, now)).collect();
        if leased.is_empty() {
            return;
        }
        lock(&self.stirred).add(leased);
        self.stirs.store(true, Ordering::Release);
        self.wanted.notify_one();
    }

    /// Whether somebody may hold a lease on this. Never wrong when it says no.
    #[must_use]
    pub fn may_be_leased(&self, tag: &Tag) -> bool {
        self.holders.may_hold(tag, self.elapsed())
    }

    /// Tells that another policy is active, when it is another one.
    pub fn activated(&self, revision: &Revision) {
        if **self.revision.load() != *revision {
            self.revision.store(Arc::new(revision.clone()));
            self.tell(WatchEvent::Policy { revision: revision.clone() });
        }
    }

    /// Tells that every lease ends.
    pub fn reset(&self) {
        self.tell(WatchEvent::Reset {});
    }

    /// Tells an event to every watch, and keeps it for those that come back.
    pub fn tell(&self, event: WatchEvent) {
        self.metrics.watch_told(&event);
        let tags = match &event {
            WatchEvent::Ended { depends_on, .. } => depends_on.clone(),
            _ => Vec::new(),
        };
        {
            let mut ring = lock(&self.ring);
            let seq = ring.push(event);
            self.seq.store(seq, Ordering::Release);
        }
        self.wake_holders(&tags);
        self.wanted.notify_one();
    }

    /// Remembers that a lease was granted on these, and that this watch, where one was named, is told first when one of them ends. Must be called for every
    /// lease, also where nobody named a watch: what nobody may hold is not told when only its risk rises.
    pub fn leased(&self, watch: Option<&WatchName>, depends_on: &[Tag], until: Timestamp) {
        let id = watch.and_then(|watch| lock(&self.slots).by_name.get(watch).copied());
        self.holders.granted(id, depends_on, until.since(clock::now()), self.elapsed());
    }

    /// Wakes the watches, tells what was gathered, and closes those that do not read; for good.
    pub async fn run(self: Arc<Self>) {
        let mut told = 0;
        let mut sweep = every(SWEEP);
        let mut gathered = every(GATHER);
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                _ = gathered.tick(), if self.stirs.load(Ordering::Acquire) => self.tell_stirred(),
                _ = sweep.tick() => self.sweep(),
            }
            let seq = self.seq.load(Ordering::Acquire);
            if told < seq {
                tokio::time::sleep(HEAD_START).await;
                told = self.seq.load(Ordering::Acquire);
                self.wake_all(told).await;
            }
        }
    }

    /// Tells what was gathered and is due.
    fn tell_stirred(&self) {
        let due = {
            let mut stirred = lock(&self.stirred);
            let due = stirred.due(self.elapsed());
            self.stirs.store(stirred.waits(), Ordering::Release);
            due
        };
        match due {
            stir::Due::Tags(tags) if tags.is_empty() => {}
            stir::Due::Tags(tags) => self.end(Ending::Risk, tags),
            stir::Due::TooMany => self.reset(),
        }
    }

    fn wake_holders(&self, tags: &[Tag]) {
        let ids = self.holders.of(tags);
        if ids.is_empty() {
            return;
        }
        let first: Vec<_> = {
            let slots = lock(&self.slots);
            ids.iter().filter_map(|id| slots.by_id.get(id).cloned()).collect()
        };
        let now = self.elapsed();
        first.iter().for_each(|slot| slot.wake(now));
    }

    async fn wake_all(&self, seq: u64) {
        let mut next = 0;
        loop {
            let chunk: Vec<_> = lock(&self.slots).by_id.range(next..).take(CHUNK).map(|(id, slot)| (*id, Arc::clone(slot))).collect();
            let Some((last, _)) = chunk.last() else { return };
            next = last.saturating_add(1);
            let now = self.elapsed();
            chunk.iter().filter(|(_, slot)| slot.at() < seq).for_each(|(_, slot)| slot.wake(now));
            tokio::task::yield_now().await;
        }
    }

    fn sweep(&self) {
        let now = self.elapsed();
        let slow: Vec<_> = lock(&self.slots).by_id.values().filter(|slot| slot.is_slow(now, SLOW)).cloned().collect();
        for slot in slow {
            if slot.close() {
                self.metrics.watch_closed();
            }
        }
    }

    fn next(&self, after: u64) -> Next {
        lock(&self.ring).after(after)
    }

    /// Time since the stream began, on a clock that only runs forward.
    fn elapsed(&self) -> Millis {
        Millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
