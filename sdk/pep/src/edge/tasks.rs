//! What an edge does beside deciding: it watches, tells its lines, and looks for another snapshot. Each ends when the edge is gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use countersign_sdk_client::Error;

use super::link::{Heard, Upstream};
use super::{Shared, StartError, is_refused};

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

/// Until a watch that was alive hears nothing any more.
async fn silence<U: Upstream>(shared: &Arc<Shared<U>>) {
    let mut was_alive = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let is_alive = shared.watch.is_alive(shared.clock.elapsed());
        if was_alive && !is_alive {
            return;
        }
        was_alive = is_alive;
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
        records.due(open).await;
        let Some(alive) = shared.upgrade() else { return };
        let told = tell(&alive).await;
        drop(alive);
        match told {
            Ok(()) => backoff = Backoff::new(),
            Err(_) => backoff.wait().await,
        }
    }
}

/// Tells every batch that waits, in order.
pub(super) async fn tell<U: Upstream>(shared: &Shared<U>) -> Result<(), Error> {
    let _one_at_a_time = shared.telling.lock().await;
    while let Some(batch) = shared.records.next() {
        let told = shared.upstream.record(&batch).await;
        shared.records.told(&batch, told.is_ok());
        if let Err(error) = told {
            if is_refused(&error) {
                // It would be refused for ever, and hold up what comes after it. That it is lost is told with the next one.
                shared.records.give_up(&batch);
            }
            return Err(error);
        }
    }
    Ok(())
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
