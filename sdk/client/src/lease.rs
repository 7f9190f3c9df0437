//! When an allow that was given may be used again, and when it may not any longer. These are all the rules; nothing in here reads a clock or a socket.
//!
//! 1. A lease counts from before its question was sent ([`Held::new`]), for as long as was granted, and never longer than was asked for.
//! 2. While no watch lives, a lease counts for the floor only, from when it was asked for. A watch that is lost shortens every lease that it was about to the
//!    floor from that moment ([`Rules::end`]).
//! 3. A lease that arrives is not kept if something has ended it since its epoch, or may have ([`State::becomes`]).
//! 4. `ended` ends what rests on any of the names, `policy` what another policy allowed ([`State::apply`]).
//! 5. `reset`, another life, an event that is missing: everything ends that is not known to be younger ([`State::forget_before`]).
//! 6. A watch that comes back lives again when it has heard what it missed; then it is as if it had never been lost ([`Missing`]).
//! 7. Only allows are kept, never under break-glass, never for a question with a proof that is good for one use ([`Rules::arrived`]).
//! 8. What is told counts only for what was decided before it was told: its position is later than the lease's epoch.

mod kept;
mod resting;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_sdk_types::{Epoch, Lease, Revision, Tag, WatchEvent};
use tokio::sync::Notify;

pub(crate) use kept::Room;

use crate::answer::Allow;
use crate::clock::{Clock, Tick, nanos};
use crate::question::Question;
use kept::Kept;
use resting::Resting;

/// Events that are kept for leases that arrive late, and the names in all of them.
const RECENT: usize = 4_096;
const RECENT_TAGS: usize = 65_536;

/// The most names that a lease may rest on to be kept: each is remembered beside it.
const MOST_TAGS: usize = 64;

/// The shortest time after which an allow is asked for again by whoever waits for its end.
const PACE: Duration = Duration::from_millis(250);

/// Lives that are remembered to have been watched: more than an answer outlives.
const PAST: usize = 64;

/// What the decision point's heartbeat is believed to be, whatever it says.
const HEARTBEATS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));

/// A lease that somebody holds, or the place of one: an allow without a lease has it as well.
#[derive(Debug)]
pub(crate) struct Held {
    lease: Option<Lease>,
    asked: Option<Tick>,
    over: AtomicBool,
    /// A watch of its life has lived, that had heard everything since its epoch.
    watched: AtomicBool,
    told: Notify,
}

impl Held {
    /// `asked` is from before the question was sent; none for an allow that this client did not ask for.
    pub(crate) fn new(lease: Option<Lease>, asked: Option<Tick>) -> Self {
        Self { lease, asked, over: AtomicBool::new(false), watched: AtomicBool::new(false), told: Notify::new() }
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn watch(&self) {
        self.watched.store(true, Ordering::Release);
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.told.notify_waiters();
    }
}

/// On which terms allows are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// The longest.
    pub(crate) ttl: Duration,
    /// The longest without a living watch. The decision point may say less.
    pub(crate) floor: Duration,
    /// How long an allow without a lease is relied on by what outlives its request.
    pub(crate) unleased: Duration,
    /// How much is kept.
    pub(crate) room: Room,
}

/// The rules, and what they are applied to.
#[derive(Debug)]
pub(crate) struct Rules {
    terms: Terms,
    /// Until when the watch counts as alive if nothing more is heard: in the past when there is none.
    alive_until: AtomicU64,
    floor: AtomicU64,
    kept: Kept,
    state: Mutex<State>,
    /// The watch was lost.
    changed: Notify,
}

/// What the watch has told.
#[derive(Debug, Default)]
struct State {
    /// Up to where everything was heard.
    position: Option<Epoch>,
    /// Lives that were watched before, the latest first. What was told of them is forgotten.
    past: VecDeque<u64>,
    /// A connection that has said hello.
    connected: bool,
    /// What was told and is on its way: the watch does not live before it is there.
    missing: Missing,
    /// When hello was heard.
    greeted: Option<Tick>,
    /// When something was heard last.
    heard: Option<Tick>,
    /// Two and a half heartbeats.
    silence: Duration,
    /// Every event after `since`.
    recent: VecDeque<(u64, What)>,
    since: u64,
    tags: usize,
    /// The policy that was active at `position`.
    revision: Option<Revision>,
    resting: Resting,
}

/// What a watch that goes on has yet to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Missing {
    #[default]
    Nothing,
    /// Everything up to this event.
    UpTo(u64),
    /// Hello named the place where it goes on, and not how far the stream is. A sign of life with nothing to tell says that this was all; and so does the
    /// epoch of a question that was asked later.
    Unknown,
}

#[derive(Debug)]
enum What {
    Ended(Vec<Tag>),
    Policy(Revision),
}

/// How an allow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be used, until then if nothing more is heard.
    Good(Tick),
    /// Not now; when the watch is back it may be used again.
    Paused,
    /// Never again.
    Over,
}

/// What becomes of a lease that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// Nothing has ended it.
    Kept,
    /// Nobody tells of it, or something may have ended it that is forgotten. It is not kept, and good for the floor to who holds the answer.
    Unwatched,
    /// It has ended.
    Ended,
}

/// The stream cannot be followed any further: it said what it may not, or was silent for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// What the watch does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Goes on.
    Follow,
    /// Looks for another decision point, after a random part of this time.
    Leave(Duration),
}

impl Rules {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            alive_until: AtomicU64::new(0),
            floor: AtomicU64::new(nanos(terms.floor)),
            kept: Kept::new(terms.room),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The allow that was kept for this question and may be used.
    pub(crate) fn find(&self, now: Tick, question: &Question) -> Option<Allow> {
        let key = question.key().filter(|_| question.takes_what_is_kept())?;
        let allow = self.kept.find(key)?;
        match self.standing(now, allow.held()) {
            Standing::Good(_) => is_fresh(&allow, question).then_some(allow),
            Standing::Paused => None,
            Standing::Over => {
                self.kept.remove(key, &allow);
                None
            }
        }
    }

    /// An answer arrived. What ended meanwhile ends now; the rest is kept if it may be.
    pub(crate) fn arrived(&self, question: &Question, allow: &Allow) {
        let Some(lease) = allow.held().lease() else { return };
        // INVARIANT: an event is applied before or after this, never in between.
        let mut state = self.state();
        if state.learn(lease, allow.held().asked) {
            self.begin(&state);
        }
        match state.becomes(lease) {
            Becomes::Kept => {}
            Becomes::Unwatched => return,
            Becomes::Ended => return allow.held().end(),
        }
        if state.connected && state.missing == Missing::Nothing {
            allow.held().watch();
        }
        state.resting.add(allow.held(), lease);
        let key = question.key().filter(|_| question.may_be_kept() && !allow.glass_is_broken());
        if let Some(key) = key {
            self.kept.keep(key.clone(), allow.clone());
        }
    }

    /// How an allow stands.
    pub(crate) fn standing(&self, now: Tick, held: &Held) -> Standing {
        // INVARIANT: read before what is said of the lease. A watch comes to life only after it has ended what must not live with it.
        let alive_until = Tick(self.alive_until.load(Ordering::Acquire));
        let Some(asked) = held.asked else { return Standing::Over };
        let (longest, end) = self.end(held, asked, alive_until);
        match () {
            () if held.is_over() || now >= longest => Standing::Over,
            () if now >= end => Standing::Paused,
            () => Standing::Good(end),
        }
    }

    /// When it ends at the latest, and when if nothing more is heard.
    fn end(&self, held: &Held, asked: Tick, alive_until: Tick) -> (Tick, Tick) {
        let Some(lease) = held.lease() else {
            let end = asked.after(self.terms.unleased);
            return (end, end);
        };
        let longest = asked.after(self.terms.ttl.min(Duration::from_millis(lease.ttl.0)));
        // Of a lease that no watch was ever about, nobody has heard anything since it was asked for.
        let heard = if held.watched.load(Ordering::Acquire) { asked.max(alive_until) } else { asked };
        (longest, longest.min(heard.after(Duration::from_nanos(self.floor.load(Ordering::Acquire)))))
    }

    /// Waits until an allow may not be used. Time alone ends none sooner than [`PACE`] after it was asked for: whoever asks again when it ends must not ask
    /// without pause where leases are short, or the floor is nothing.
    pub(crate) async fn ended(&self, clock: &Clock, held: &Held) {
        loop {
            let (told, changed) = (held.told.notified(), self.changed.notified());
            tokio::pin!(told, changed);
            // From here on, nothing that is told is missed.
            told.as_mut().enable();
            changed.as_mut().enable();
            let now = clock.now();
            let end = match (self.standing(now, held), held.asked.map(|asked| asked.after(PACE))) {
                (Standing::Good(end), least) => least.map_or(end, |least| least.max(end)),
                (Standing::Paused | Standing::Over, Some(least)) if now < least && !held.is_over() => least,
                (Standing::Paused | Standing::Over, _) => return,
            };
            tokio::select! {
                () = told => {}
                () = changed => {}
                () = tokio::time::sleep(now.until(end)) => {}
            }
        }
    }

    /// Where to go on: the last event that was heard.
    pub(crate) fn position(&self) -> Option<Epoch> {
        self.state().position
    }

    /// The watch told something.
    pub(crate) fn told(&self, now: Tick, at: Epoch, event: &WatchEvent) -> Result<Next, Broken> {
        let mut state = self.state();
        state.heard = Some(now);
        let next = match event {
            WatchEvent::Hello { heartbeat, floor, revision } => {
                let floor = self.terms.floor.min(Duration::from_millis(floor.0));
                self.floor.store(nanos(floor), Ordering::Release);
                state.silence = Duration::from_millis(heartbeat.0).clamp(HEARTBEATS.0, HEARTBEATS.1).mul_f64(2.5);
                // This may end a life, and the time in which this one was not heard was no life of it.
                self.alive_until.fetch_min(now.0, Ordering::AcqRel);
                state.hello(now, at, revision);
                Ok(Next::Follow)
            }
            _ if !state.connected => Err(Broken),
            WatchEvent::Draining { within } => Ok(Next::Leave(Duration::from_millis(within.0).min(HEARTBEATS.1))),
            event => state.tell(at, event).map(|()| Next::Follow),
        }?;
        if matches!(event, WatchEvent::Hello { .. } | WatchEvent::Reset {}) {
            self.kept.tidy();
        }
        // What was missed is complete: it lives from now on.
        if state.arrive() {
            self.begin(&state);
        }
        Ok(next)
    }

    /// The watch said that it lives and that there is nothing to tell.
    pub(crate) fn quiet(&self) {
        let mut state = self.state();
        if state.connected && state.missing == Missing::Unknown {
            state.missing = Missing::Nothing;
            self.begin(&state);
        }
    }

    /// It has heard everything: what stands now is watched.
    fn begin(&self, state: &State) {
        state.resting.each(Held::watch);
        self.live(state);
    }

    /// It lives until it was silent for too long.
    fn live(&self, state: &State) {
        if let Some(heard) = state.heard {
            self.alive_until.store(heard.after(state.silence).0, Ordering::Release);
        }
    }

    /// Something was heard, if only that the watch lives.
    pub(crate) fn heard(&self, now: Tick) -> Result<(), Broken> {
        let mut state = self.state();
        // It was silent for too long. What is heard now may be as old: nothing says that there is not more behind it.
        if state.connected && state.heard.is_some_and(|heard| now >= heard.after(state.silence)) {
            return Err(Broken);
        }
        state.heard = Some(now);
        if state.connected && state.missing == Missing::Nothing {
            self.live(&state);
        }
        Ok(())
    }

    /// The connection is no more.
    pub(crate) fn lost(&self, now: Tick) {
        let mut state = self.state();
        state.connected = false;
        self.alive_until.fetch_min(now.0, Ordering::AcqRel);
        drop(state);
        self.changed.notify_waiters();
    }

    /// For how long nothing may be heard.
    pub(crate) fn silence(&self) -> Duration {
        self.state().silence
    }

    /// Whether a watch lives.
    pub(crate) fn lives(&self, now: Tick) -> bool {
        now.0 < self.alive_until.load(Ordering::Acquire)
    }

    /// How many allows are kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept.count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is as fresh as the question wants. Two logs cannot be compared.
fn is_fresh(allow: &Allow, question: &Question) -> bool {
    question.floor().is_none_or(|floor| allow.consistency().is_some_and(|fresh| fresh.chain == floor.chain && fresh.seq >= floor.seq))
}

impl State {
    /// What becomes of a lease that arrives now.
    fn becomes(&self, lease: &Lease) -> Becomes {
        if lease.depends_on.len() > MOST_TAGS {
            return Becomes::Unwatched;
        }
        let Some(position) = self.position else { return Becomes::Kept };
        if position.life != lease.epoch.life {
            // Nothing that this watch tells is about it. Without a connection it is good for the floor, unless it may have been ended before.
            let is_unwatched = self.connected || self.past.contains(&lease.epoch.life);
            return if is_unwatched { Becomes::Unwatched } else { Becomes::Kept };
        }
        let is_older = lease.epoch.seq <= position.seq;
        let is_of_another = self.revision.as_ref().is_some_and(|revision| *revision != lease.revision);
        let is_missed = lease.epoch.seq < self.since;
        let mut later = self.recent.iter().rev().take_while(|(seq, _)| *seq > lease.epoch.seq);
        match () {
            () if later.any(|(_, what)| what.ends(lease)) => Becomes::Ended,
            () if is_missed || (is_older && is_of_another) => Becomes::Unwatched,
            () => Becomes::Kept,
        }
    }

    /// A watch begins, or goes on where it was.
    fn hello(&mut self, now: Tick, at: Epoch, revision: &Revision) {
        (self.connected, self.greeted) = (true, Some(now));
        match self.position.filter(|position| position.life == at.life && position.seq <= at.seq) {
            Some(position) if position == at => self.missing = Missing::Unknown,
            Some(_) => self.missing = Missing::UpTo(at.seq),
            None => self.forget_before(at),
        }
        self.resting.end(|lease| lease.epoch.life != at.life || (lease.epoch.seq <= at.seq && lease.revision != *revision));
        self.revision = Some(revision.clone());
    }

    /// An event that has its place in the stream.
    fn tell(&mut self, at: Epoch, event: &WatchEvent) -> Result<(), Broken> {
        let position = self.position.ok_or(Broken)?;
        match event {
            _ if at.life != position.life => {
                self.forget_before(at);
                return Err(Broken);
            }
            WatchEvent::Reset {} => {
                let missing = self.missing;
                self.forget_before(Epoch { seq: at.seq.max(position.seq).max(missing.known()), ..at });
                // It may be one of what was missed, with more behind it.
                if missing == Missing::Unknown {
                    self.missing = missing;
                }
            }
            // It was heard before.
            _ if at.seq <= position.seq => {}
            _ if at.seq - position.seq > 1 => {
                // What is still on its way is so after a gap as well.
                let missing = self.missing;
                self.forget_before(at);
                self.missing = missing;
            }
            WatchEvent::Ended { depends_on, .. } => self.apply(at, What::Ended(depends_on.clone())),
            WatchEvent::Policy { revision } => self.apply(at, What::Policy(revision.clone())),
            WatchEvent::Hello { .. } | WatchEvent::Draining { .. } => {}
        }
        Ok(())
    }

    fn apply(&mut self, at: Epoch, what: What) {
        match &what {
            What::Ended(tags) => tags.iter().for_each(|tag| self.resting.end_tagged(tag, at)),
            What::Policy(revision) => {
                self.resting.end(|lease| lease.epoch.life == at.life && lease.epoch.seq < at.seq && lease.revision != *revision);
                self.revision = Some(revision.clone());
            }
        }
        self.tags += what.tags();
        self.recent.push_back((at.seq, what));
        while self.recent.len() > RECENT || self.tags > RECENT_TAGS {
            let Some((seq, what)) = self.recent.pop_front() else { break };
            self.tags -= what.tags();
            self.since = seq;
        }
        self.position = Some(at);
    }

    /// Ends everything that is not known to be younger than this position, from which on everything is heard.
    fn forget_before(&mut self, at: Epoch) {
        self.resting.end(|lease| lease.epoch.life != at.life || lease.epoch.seq < at.seq);
        self.past.retain(|life| *life != at.life);
        if let Some(left) = self.position.filter(|position| position.life != at.life) {
            self.past.push_front(left.life);
            self.past.truncate(PAST);
        }
        self.recent.clear();
        (self.since, self.tags, self.position, self.missing) = (at.seq, 0, Some(at), Missing::UpTo(at.seq));
        self.revision = None;
    }

    /// What was told by when a question was answered, which was asked after hello: all of it that is not here yet is on its way. True when nothing is.
    fn learn(&mut self, lease: &Lease, asked: Option<Tick>) -> bool {
        let is_later = self.greeted.is_some_and(|greeted| asked.is_some_and(|asked| asked > greeted));
        let is_of_this = self.position.is_some_and(|position| position.life == lease.epoch.life);
        if self.connected && self.missing == Missing::Unknown && is_later && is_of_this {
            self.missing = Missing::UpTo(lease.epoch.seq);
            return self.arrive();
        }
        false
    }

    /// Whether the last that was missing has just come.
    fn arrive(&mut self) -> bool {
        let Missing::UpTo(missing) = self.missing else { return false };
        let is_there = self.position.is_some_and(|position| position.seq >= missing);
        if is_there {
            self.missing = Missing::Nothing;
        }
        is_there
    }
}

impl Missing {
    const fn known(self) -> u64 {
        match self {
            Self::UpTo(seq) => seq,
            Self::Nothing | Self::Unknown => 0,
        }
    }
}

impl What {
    fn ends(&self, lease: &Lease) -> bool {
        match self {
            Self::Ended(tags) => lease.depends_on.iter().any(|own| tags.contains(own)),
            Self::Policy(revision) => *revision != lease.revision,
        }
    }

    fn tags(&self) -> usize {
        match self {
            Self::Ended(tags) => tags.len(),
            Self::Policy(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
