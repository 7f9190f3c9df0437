//! What was decided at the edge, told in batches: at 512 decisions, or 10 ms after the first. Equal decisions of a batch are one line.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_pdp_engine::record::{EDGE_BATCH, EDGE_NAME, EdgeBatch, EdgeLine};
use countersign_sdk_types::{DecisionId, Entity, Revision, RiskScore, Timestamp};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// How long a batch is open, unless told.
pub(super) const OPEN: Duration = Duration::from_millis(10);
/// Batches that wait to be told.
const WAITING: usize = 64;

/// The lines of one life of an edge.
#[derive(Debug)]
pub(super) struct Records {
    life: String,
    book: Mutex<Book>,
    /// A batch was opened, or one is full.
    opened: Notify,
    full: Notify,
}

#[derive(Debug, Default)]
struct Book {
    open: Open,
    waiting: VecDeque<EdgeBatch>,
    /// Decisions without a line, of which nobody was told.
    lost: u64,
    lost_ever: u64,
    numbers: u64,
    batches: u64,
    /// The last batch was not taken.
    is_refused: bool,
}

#[derive(Debug, Default)]
struct Open {
    revision: Option<Revision>,
    lines: Vec<EdgeLine>,
    index: HashMap<(DecisionId, String, String), usize>,
    decisions: usize,
}

/// An allow that an edge gave.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    pub(super) under: &'a DecisionId,
    pub(super) revision: &'a Revision,
    pub(super) action: &'a str,
    pub(super) resource: &'a Entity,
    pub(super) at: Timestamp,
    pub(super) risk: RiskScore,
}

/// What happens to a decision for whose line there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// It is not made here.
    Refused,
    /// It is counted.
    Counted,
}

impl Records {
    pub(super) fn new(life: u64) -> Self {
        Self { life: format!("{life:016x}"), book: Mutex::default(), opened: Notify::new(), full: Notify::new() }
    }

    pub(super) fn life(&self) -> &str {
        &self.life
    }

    /// Notes an allow and gives the number of its line; `None` where there may be none without a line, and there is no room for one.
    pub(super) fn note(&self, allowed: &Allowed<'_>, without: Without) -> Option<u64> {
        let mut book = self.book();
        let has_room = book.waiting.len() < WAITING && allowed.action.len() <= EDGE_NAME;
        if without == Without::Refused && (book.is_refused || !has_room) {
            return None;
        }
        if !has_room {
            book.numbers += 1;
            (book.lost, book.lost_ever) = (book.lost + 1, book.lost_ever + 1);
            return Some(book.numbers);
        }
        if book.open.decisions >= EDGE_BATCH || book.open.revision.as_ref().is_some_and(|revision| revision != allowed.revision) {
            book.close(&self.life);
        }
        let (number, is_first) = (book.line(allowed), book.open.decisions == 1);
        let is_full = book.open.decisions >= EDGE_BATCH;
        drop(book);
        if is_first {
            self.opened.notify_one();
        }
        if is_full {
            self.full.notify_one();
        }
        Some(number)
    }

    /// Waits until there is something to tell, and until it is time to.
    pub(super) async fn due(&self, open: Duration) {
        if self.is_empty() {
            self.opened.notified().await;
        }
        let _ = tokio::time::timeout(open, self.full.notified()).await;
    }

    /// Ends every wait.
    pub(super) fn wake(&self) {
        self.opened.notify_one();
        self.full.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        let book = self.book();
        book.open.decisions == 0 && book.waiting.is_empty() && book.lost == 0
    }

    /// The next batch. It stays until it is said to be taken.
    pub(super) fn next(&self) -> Option<EdgeBatch> {
        let mut book = self.book();
        if book.waiting.is_empty() {
            book.close(&self.life);
        }
        book.waiting.front().cloned()
    }

    /// What became of a batch.
    pub(super) fn told(&self, batch: &EdgeBatch, is_taken: bool) {
        let mut book = self.book();
        book.is_refused = !is_taken;
        if is_taken && book.waiting.front().is_some_and(|front| front.batch == batch.batch) {
            book.waiting.pop_front();
        }
    }

    /// Drops a batch that the decision point will never take.
    pub(super) fn give_up(&self, batch: &EdgeBatch) {
        let mut book = self.book();
        if book.waiting.front().is_some_and(|front| front.batch == batch.batch) {
            book.waiting.pop_front();
            let lost = batch.lost + batch.lines.iter().map(|line| u64::from(line.count)).sum::<u64>();
            (book.lost, book.lost_ever) = (book.lost + lost, book.lost_ever + lost);
        }
    }

    /// Decisions without a record, ever.
    pub(super) fn lost(&self) -> u64 {
        self.book().lost_ever
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The line of a decision: one that there is, or a new one.
    fn line(&mut self, allowed: &Allowed<'_>) -> u64 {
        let resource = pattern(allowed.resource);
        self.open.decisions += 1;
        self.open.revision.get_or_insert_with(|| allowed.revision.clone());
        let key = (allowed.under.clone(), allowed.action.to_owned(), resource);
        if let Some(line) = self.open.index.get(&key).and_then(|at| self.open.lines.get_mut(*at)) {
            line.count += 1;
            line.lasted = u32::try_from(allowed.at.since(line.first).0).unwrap_or(u32::MAX).max(line.lasted);
            line.risk = line.risk.max(allowed.risk);
            return line.number;
        }
        self.numbers += 1;
        let (under, action, resource) = key.clone();
        let line = EdgeLine { number: self.numbers, under, action, resource, count: 1, first: allowed.at, lasted: 0, risk: allowed.risk };
        self.open.index.insert(key, self.open.lines.len());
        self.open.lines.push(line);
        self.numbers
    }

    fn close(&mut self, life: &str) {
        let open = std::mem::take(&mut self.open);
        let lost = std::mem::take(&mut self.lost);
        let Some(revision) = open.revision.or_else(|| self.waiting.back().map(|batch| batch.revision.clone())) else {
            self.lost = lost;
            return;
        };
        if open.lines.is_empty() && lost == 0 {
            return;
        }
        self.batches += 1;
        self.waiting.push_back(EdgeBatch { life: life.to_owned(), batch: self.batches, revision, lost, lines: open.lines });
    }
}

/// What resources of one kind look like: segments that number or name one thing are `*`.
fn pattern(resource: &Entity) -> String {
    let segments = resource.id.split('/').map(|segment| if names_one(segment) { "*" } else { segment });
    let mut pattern = format!("{}:", resource.kind);
    for (at, segment) in segments.enumerate() {
        if pattern.len() + segment.len() + 2 > EDGE_NAME {
            pattern.push('…');
            break;
        }
        if at > 0 {
            pattern.push('/');
        }
        pattern.extend(segment.chars().filter(|character| !character.is_control()));
    }
    let end = (0..=EDGE_NAME.min(pattern.len())).rev().find(|at| pattern.is_char_boundary(*at)).unwrap_or(0);
    pattern.truncate(end);
    pattern
}

fn names_one(segment: &str) -> bool {
    segment.len() > 48 || segment.bytes().any(|byte| byte.is_ascii_digit())
}
