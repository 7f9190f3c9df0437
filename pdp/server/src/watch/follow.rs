//! One watch: where it stands in the stream, and what it is told next.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use countersign_sdk_types::{Epoch, Millis, WatchEvent, WatchName};
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::ring::{Event, Next};
use super::{Hub, lock};
use crate::front_door::{Hangup, Line};
use crate::metrics::Present;

/// The shortest and the longest time between two signs of life.
const HEARTBEATS: (Millis, Millis) = (Millis(1_000), Millis(60_000));
/// When the server or the connection is about to end, a watch goes on for this long; a client leaves after a random part of it.
pub(super) const DRAINING: Duration = Duration::from_secs(5);

/// What a watch hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An event.
    Event(Arc<Event>),
    /// The watch lives.
    Alive,
}

/// As many watches are open as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Where one watch stands, as far as the stream must know.
#[derive(Debug)]
pub(super) struct Slot {
    waker: AtomicWaker,
    at: AtomicU64,
    /// Since when there is something to read that was not, as milliseconds and one; zero is never.
    behind: AtomicU64,
    is_closed: AtomicBool,
    hangup: OnceLock<Hangup>,
}

impl Slot {
    pub(super) fn at(&self) -> u64 {
        self.at.load(Ordering::Acquire)
    }

    pub(super) fn wake(&self, now: Millis) {
        self.lag(now);
        self.waker.wake();
    }

    /// There is something to read. Of two times in a row the first counts.
    fn lag(&self, now: Millis) {
        let _ = self.behind.compare_exchange(0, now.0.saturating_add(1), Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn is_slow(&self, now: Millis, most: Millis) -> bool {
        let behind = self.behind.load(Ordering::Acquire);
        behind != 0 && now.0.saturating_add(1).saturating_sub(behind) >= most.0
    }

    /// Ends the watch, and its connection where that is known: who does not read cannot be told. True the first time.
    pub(super) fn close(&self) -> bool {
        let is_first = !self.is_closed.swap(true, Ordering::AcqRel);
        if is_first {
            if let Some(hangup) = self.hangup.get() {
                hangup.now();
            }
            self.waker.wake();
        }
        is_first
    }
}

/// What a watch says before it follows, and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Hello { is_lost: bool },
    Reset,
    Following,
    Draining,
    Ended,
}

/// A watch. Dropping it ends it.
pub struct Following {
    hub: Arc<Hub>,
    slot: Arc<Slot>,
    id: u64,
    name: Option<WatchName>,
    stage: Stage,
    at: u64,
    heartbeat: Duration,
    /// When something was told last.
    told: Instant,
    timer: Pin<Box<Sleep>>,
    leaving: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    _open: Present,
}

/// Opens a watch: from what came after `last`, where that is still known, else from now on. `name` is by what questions for leases call it. The server bounds
/// `heartbeat`, and has its own where none is asked for.
///
/// # Errors
/// When as many are open as may be.
pub fn follow(hub: &Arc<Hub>, name: Option<WatchName>, last: Option<Epoch>, heartbeat: Option<Millis>) -> Result<Following, Full> {
    hub.open
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < hub.terms.watches).then(|| open.saturating_add(1)))
        .map_err(|_| Full)?;
    let open = hub.metrics.watch();
    let now = hub.epoch();
    // What another life told is not this one's to repeat; nor is what this one has yet to tell.
    let resumed = last.filter(|last| last.life == now.life && !matches!(hub.next(last.seq), Next::Missed(_)));
    let at = resumed.unwrap_or(now).seq;
    let slot = Arc::new(Slot {
        waker: AtomicWaker::new(),
        at: AtomicU64::new(at),
        behind: AtomicU64::new(0),
        is_closed: AtomicBool::new(false),
        hangup: OnceLock::new(),
    });
    let id = {
        let mut slots = lock(&hub.slots);
        let id = slots.next;
        slots.next += 1;
        slots.by_id.insert(id, Arc::clone(&slot));
        if let Some(name) = &name {
            slots.by_name.insert(name.clone(), id);
        }
        id
    };
    let (least, most) = HEARTBEATS;
    let heartbeat = Duration::from_millis(heartbeat.unwrap_or(hub.terms.heartbeat).clamp(least, most).0);
    Ok(Following {
        hub: Arc::clone(hub),
        slot,
        id,
        name,
        stage: Stage::Hello { is_lost: last.is_some() && resumed.is_none() },
        at,
        heartbeat,
        told: Instant::now(),
        timer: Box::pin(sleep(heartbeat)),
        leaving: None,
        _open: open,
    })
}

impl Following {
    /// On this connection: it is told to leave when the connection is about to end, and the connection ends when it does not read.
    #[must_use]
    pub fn on(mut self, line: &Line) -> Self {
        let _ = self.slot.hangup.set(line.hangup());
        self.leaving = Some(Box::pin(line.leaving()));
        self
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<Option<Told>> {
        self.slot.behind.store(0, Ordering::Release);
        self.slot.waker.register(context.waker());
        if self.slot.is_closed.load(Ordering::Acquire) {
            self.stage = Stage::Ended;
        }
        match self.stage {
            Stage::Ended => return Poll::Ready(None),
            Stage::Hello { is_lost } => {
                self.stage = if is_lost { Stage::Reset } else { Stage::Following };
                let hello = self.hello();
                self.hub.metrics.watch_told(&hello);
                return Poll::Ready(Some(self.own(hello)));
            }
            Stage::Reset => {
                self.stage = Stage::Following;
                self.hub.metrics.watch_reset();
                return Poll::Ready(Some(self.own(WatchEvent::Reset {})));
            }
            Stage::Following | Stage::Draining => {}
        }
        match self.hub.next(self.at) {
            Next::Event(event) => {
                self.moved(event.at.seq);
                return Poll::Ready(Some(Told::Event(event)));
            }
            Next::Missed(now) => {
                self.moved(now);
                self.hub.metrics.watch_reset();
                return Poll::Ready(Some(self.own(WatchEvent::Reset {})));
            }
            Next::Nothing => {}
        }
        if self.leaving.as_mut().is_some_and(|leaving| leaving.as_mut().poll(context).is_ready()) {
            self.leaving = None;
            self.stage = Stage::Draining;
            self.timer = Box::pin(sleep(DRAINING));
            let within = Millis(u64::try_from(DRAINING.as_millis()).unwrap_or(u64::MAX));
            self.hub.metrics.watch_told(&WatchEvent::Draining { within });
            return Poll::Ready(Some(self.own(WatchEvent::Draining { within })));
        }
        self.poll_timer(context)
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if self.stage == Stage::Draining {
                self.stage = Stage::Ended;
                return Poll::Ready(None);
            }
            // The timer is not set anew with every event: it is asked when it is over whether something was told meanwhile.
            let due = self.told + self.heartbeat;
            if due <= Instant::now() {
                self.told = Instant::now();
                self.timer.set(sleep(self.heartbeat));
                return Poll::Ready(Some(Told::Alive));
            }
            self.timer.set(sleep_until(due));
        }
    }

    fn moved(&mut self, seq: u64) {
        self.at = seq;
        self.slot.at.store(seq, Ordering::Release);
        self.told = Instant::now();
    }

    /// What is told to this watch alone, at the place where it stands.
    fn own(&self, event: WatchEvent) -> Told {
        Told::Event(Event::new(Epoch { life: self.hub.life, seq: self.at }, event))
    }

    fn hello(&self) -> WatchEvent {
        WatchEvent::Hello {
            heartbeat: Millis(u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX)),
            floor: self.hub.terms.floor,
            revision: self.hub.revision.load().as_ref().clone(),
        }
    }
}

impl Stream for Following {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        let told = self.poll_told(context);
        // Whoever takes one thing and leaves the next is behind from now on: of what was told already, nobody wakes it again.
        if told.is_ready() && self.hub.seq.load(Ordering::Acquire) > self.at {
            self.slot.lag(self.hub.elapsed());
        }
        told
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.hub.open.fetch_sub(1, Ordering::AcqRel);
        let mut slots = lock(&self.hub.slots);
        slots.by_id.remove(&self.id);
        if let Some(name) = &self.name
            && slots.by_name.get(name) == Some(&self.id)
        {
            slots.by_name.remove(name);
        }
    }
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").field("id", &self.id).field("at", &self.at).field("stage", &self.stage).finish_non_exhaustive()
    }
}
