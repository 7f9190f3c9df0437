//! What an edge does beside deciding: it watches, tells its lines, and looks for another snapshot. Each ends when the edge is gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use countersign_sdk_client::{Error, ErrorKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::{Batches, Heard, Upstream};
use super::{Shared, StartError};

/// How long it is waited before something is tried again: a random time up to this, doubled each time.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

pub(super) fn start<U: Upstream>(shared: &Arc<Shared<U>>, open: Duration, snapshot_every: Duration) {
    tokio::spawn(watch(Arc::downgrade(shared)));
    tokio::spawn(records(Arc::downgrade(shared), open));
    tokio::spawn(snapshots(Arc::downgrade(shared), snapshot_every));
}

/// Full jitter: edges that lost one decision point do not come back in one moment.
struct Backoff(Duration);

impl Backoff {
    const fn new() -> Self {
        Self(FIRST)
    }

    async fn wait(&mut self) {
        let most = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=most))).await;
        self.0 = (self.0 * 2).min(LONGEST);
    }
}

async fn watch<U: Upstream>(shared: Weak<Shared<U>>) {
    let mut backoff = Backoff::new();
    loop {
        let Some(alive) = shared.upgrade() else { return };
        let (hearing, gone) = (Arc::downgrade(&alive), closed(&shared));
        let mut is_heard = false;
        let hear = |heard: Heard| {
            let Some(shared) = hearing.upgrade() else { return };
            let now = shared.clock.elapsed();
            is_heard = true;
            match heard {
                Heard::Event(at, event) => shared.watch.told(now, at, &event),
                Heard::Beat => shared.watch.heard(now),
            }
        };
        let watched = async {
            let (name, from) = (alive.name.clone(), alive.watch.position());
            let watching = alive.upstream.watch(&name, from, hear);
            tokio::select! {
                error = watching => Some(error),
                () = silence(&alive) => None,
            }
        };
        // The edge is held while it watches, so it is looked whether that is the last hold.
        tokio::select! {
            _ = watched => {}
            () = gone => return,
        }
        alive.watch.lost(alive.clock.elapsed());
        drop(alive);
        if is_heard {
            backoff = Backoff::new();
        }
        backoff.wait().await;
    }
}

/// How often it is looked whether something is still there.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is looked before a watch that was never greeted is given up.
const LOOKS: u32 = 20;

/// Until a watch hears nothing any more, or was not greeted for long.
async fn silence<U: Upstream>(shared: &Arc<Shared<U>>) {
    let (mut was_heard, mut looks) = (false, 0);
    loop {
        tokio::time::sleep(LOOK).await;
        looks += 1;
        let is_heard = shared.watch.is_heard(shared.clock.elapsed());
        if !is_heard && (was_heard || looks >= LOOKS) {
            return;
        }
        was_heard = is_heard;
    }
}

/// Until only the task itself holds the edge.
async fn closed<U>(shared: &Weak<Shared<U>>) {
    while shared.strong_count() > 1 {
        tokio::time::sleep(LOOK).await;
    }
}

async fn records<U: Upstream>(shared: Weak<Shared<U>>, open: Duration) {
    let mut backoff = Backoff::new();
    let Some(records) = shared.upgrade().map(|shared| Arc::clone(&shared.records)) else { return };
    loop {
        // A request that is open ends also when there is nothing more to tell.
        let due = tokio::time::timeout(STREAM, records.due(open)).await;
        let Some(alive) = shared.upgrade() else { return };
        if due.is_err() && !alive.is_telling_too_long().await {
            continue;
        }
        let told = tell(&alive, Then::Open).await;
        drop(alive);
        match told {
            Ok(()) => backoff = Backoff::new(),
            Err(_) => backoff.wait().await,
        }
    }
}

/// How long one request tells batches, about how many bytes of them it tells, and how many wait for the network.
pub(super) const STREAM: Duration = Duration::from_secs(1);
const LONG: usize = 4 * 1024 * 1024;
const ON_THE_WAY: usize = 64;

/// A request that tells batches.
pub(super) struct Stream {
    lines: mpsc::Sender<Bytes>,
    done: JoinHandle<Result<(), Error>>,
    /// By the clock that only runs forward.
    opened: Duration,
    /// Bytes of lines.
    told: usize,
}

impl Stream {
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.opened) >= STREAM || self.told >= LONG || self.done.is_finished()
    }
}

/// What becomes of the request after what waits was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may go on telling, as long as it may.
    Open,
    /// It ends, and it is known that everything is kept.
    End,
}

/// Tells every batch that waits, in order.
pub(super) async fn tell<U: Upstream>(shared: &Arc<Shared<U>>, then: Then) -> Result<(), Error> {
    let mut telling = shared.telling.lock().await;
    loop {
        // INVARIANT: before the next batch is taken, because what was taken is kept when the request ends well.
        if let Some(stream) = telling.take_if(|stream| stream.is_over(shared.clock.elapsed())) {
            end(shared, stream).await?;
        }
        let Some(batch) = shared.records.next() else { break };
        let mut line = serde_json::to_vec(&batch).map_err(|_| Error::new(ErrorKind::Configuration, "records cannot be written"))?;
        line.push(b'\n');
        let stream = telling.get_or_insert_with(|| open(shared));
        stream.told = stream.told.saturating_add(line.len());
        if stream.lines.send(line.into()).await.is_err() {
            break;
        }
    }
    let is_over = then == Then::End || telling.as_ref().is_some_and(|stream| stream.lines.is_closed());
    match telling.take_if(|_| is_over) {
        Some(stream) => end(shared, stream).await,
        None => Ok(()),
    }
}

fn open<U: Upstream>(shared: &Arc<Shared<U>>) -> Stream {
    let (lines, sent) = mpsc::channel(ON_THE_WAY);
    let telling = Arc::clone(shared);
    let done = tokio::spawn(async move { telling.upstream.record(Batches(sent)).await });
    Stream { lines, done, opened: shared.clock.elapsed(), told: 0 }
}

/// Ends a request, and sees what was kept.
async fn end<U>(shared: &Shared<U>, Stream { lines, done, .. }: Stream) -> Result<(), Error> {
    drop(lines);
    let told = done.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unreachable, "records were not told")));
    match &told {
        Ok(()) => shared.records.kept(),
        // It would be refused for ever, and hold up what comes after it.
        Err(error) if error.kind() == ErrorKind::Refused => shared.records.give_up(),
        Err(_) => shared.records.failed(),
    }
    told
}

async fn snapshots<U: Upstream>(shared: Weak<Shared<U>>, every: Duration) {
    let mut backoff = Backoff::new();
    loop {
        let changed = async {
            let Some(mut changes) = shared.upgrade().map(|shared| shared.watch.changes()) else { return };
            while shared.upgrade().is_some_and(|shared| !shared.is_outdated()) && changes.changed().await.is_ok() {}
        };
        let _ = tokio::time::timeout(every, changed).await;
        let Some(alive) = shared.upgrade() else { return };
        let refreshed = refresh(&alive).await.is_ok() && !alive.is_outdated();
        drop(alive);
        if refreshed {
            backoff = Backoff::new();
        } else {
            backoff.wait().await;
        }
    }
}

/// Fetches the snapshot, unless it is the one in use, and swaps it in.
pub(super) async fn refresh<U: Upstream>(shared: &Shared<U>) -> Result<(), StartError> {
    let mut tag = shared.tag.lock().await;
    let Some(fetched) = shared.upstream.snapshot(Some(&tag)).await? else { return Ok(()) };
    let (embedded, document) = (shared.embedded.clone(), fetched.document);
    // It blocks while the policy is compiled.
    let swapped = tokio::task::spawn_blocking(move || embedded.swap(&document)).await;
    swapped.map_err(|_| StartError::Nothing)??;
    *tag = fetched.tag;
    Ok(())
}
