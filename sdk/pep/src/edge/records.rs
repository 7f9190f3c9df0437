//! What was decided at the edge, told in batches: at 512 decisions, or 10 ms after the first. Equal decisions of a batch are one line.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_pdp_engine::record::{EDGE_BATCH, EDGE_NAME, EdgeBatch, EdgeLine};
use countersign_sdk_types::{DecisionId, Entity, RiskScore, Timestamp};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// How long a batch is open, unless told.
pub(super) const OPEN: Duration = Duration::from_millis(10);
/// Batches that are not known to be kept.
const WAITING: usize = 256;

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
    /// In order; the first `sent` of them are on their way.
    waiting: VecDeque<EdgeBatch>,
    sent: usize,
    /// Decisions without a line, of which nobody was told.
    lost: u64,
    lost_ever: u64,
    numbers: u64,
    batches: u64,
    /// What was told last was not taken.
    is_refused: bool,
}

#[derive(Debug, Default)]
struct Open {
    at: Option<Timestamp>,
    of: Vec<DecisionId>,
    lines: Vec<EdgeLine>,
    index: HashMap<(usize, String, String), usize>,
    decisions: usize,
}

/// An allow that an edge gave.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    pub(super) under: &'a DecisionId,
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
        let has_room = book.waiting.len() < WAITING && allowed.action.len() <= EDGE_NAME && !allowed.action.is_empty();
        if without == Without::Refused && (book.is_refused || !has_room) {
            return None;
        }
        if !has_room {
            book.numbers += 1;
            (book.lost, book.lost_ever) = (book.lost + 1, book.lost_ever + 1);
            return Some(book.numbers);
        }
        if book.open.decisions >= EDGE_BATCH {
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
        if self.is_told() {
            self.opened.notified().await;
        }
        let _ = tokio::time::timeout(open, self.full.notified()).await;
    }

    /// Ends every wait.
    pub(super) fn wake(&self) {
        self.opened.notify_one();
        self.full.notify_one();
    }

    /// Nothing waits to be sent.
    pub(super) fn is_told(&self) -> bool {
        let book = self.book();
        book.open.decisions == 0 && book.waiting.len() <= book.sent && book.lost == 0
    }

    /// The next batch to send. It stays until it is known to be kept.
    pub(super) fn next(&self) -> Option<EdgeBatch> {
        let mut book = self.book();
        if book.waiting.len() <= book.sent {
            book.close(&self.life);
        }
        let next = book.waiting.get(book.sent).cloned()?;
        book.sent += 1;
        Some(next)
    }

    /// Everything that was sent is kept.
    pub(super) fn kept(&self) {
        let mut book = self.book();
        book.is_refused = false;
        let sent = std::mem::take(&mut book.sent);
        book.waiting.drain(..sent);
    }

    /// It is not known what is kept: all of it is sent again.
    pub(super) fn failed(&self) {
        let mut book = self.book();
        (book.is_refused, book.sent) = (true, 0);
    }

    /// The decision point will never take what was sent. That it is lost is told with the next.
    pub(super) fn give_up(&self) {
        let mut book = self.book();
        let sent = std::mem::take(&mut book.sent);
        let counted = |batch: &EdgeBatch| batch.lost + batch.lines.iter().map(|line| u64::from(line.count)).sum::<u64>();
        let lost: u64 = book.waiting.drain(..sent).map(|batch| counted(&batch)).sum();
        (book.lost, book.lost_ever, book.is_refused) = (book.lost + lost, book.lost_ever + lost, true);
    }

    /// Decisions without a record, ever.
    pub(super) fn lost_ever(&self) -> u64 {
        self.book().lost_ever
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The line of a decision: one that there is, or a new one.
    fn line(&mut self, allowed: &Allowed<'_>) -> u64 {
        let open = &mut self.open;
        let resource = pattern(allowed.resource);
        open.decisions += 1;
        let after = millis(allowed.at, *open.at.get_or_insert(allowed.at));
        let of = open.of.iter().position(|of| of == allowed.under).unwrap_or_else(|| {
            open.of.push(allowed.under.clone());
            open.of.len() - 1
        });
        let key = (of, allowed.action.to_owned(), resource);
        if let Some(line) = open.index.get(&key).and_then(|at| open.lines.get_mut(*at)) {
            line.count += 1;
            line.lasted = line.lasted.max(after.saturating_sub(line.after));
            line.risk = line.risk.max(allowed.risk);
            return line.number;
        }
        self.numbers += 1;
        let (number, (of, action, resource)) = (self.numbers, key.clone());
        let line = EdgeLine { number, of, action, resource, count: 1, after, lasted: 0, risk: allowed.risk };
        open.index.insert(key, open.lines.len());
        open.lines.push(line);
        number
    }

    fn close(&mut self, life: &str) {
        let Open { at, of, lines, .. } = std::mem::take(&mut self.open);
        let lost = std::mem::take(&mut self.lost);
        if lines.is_empty() && lost == 0 {
            return;
        }
        self.batches += 1;
        let at = at.unwrap_or(Timestamp(0));
        self.waiting.push_back(EdgeBatch { life: life.to_owned(), batch: self.batches, at, lost, of, lines });
    }
}

/// A batch is open for milliseconds; a clock that jumps tells no more than a minute of it.
fn millis(at: Timestamp, since: Timestamp) -> u32 {
    u32::try_from(at.since(since).0).unwrap_or(u32::MAX).min(60_000)
}

/// What resources of one kind look like: segments that number or name one thing are `*`.
fn pattern(resource: &Entity) -> String {
    let segments = resource.id.split('/').map(|segment| if names_one(segment) { "*" } else { segment });
    let mut pattern = format!("{}:", resource.kind);
    for (at, segment) in segments.enumerate() {
        if pattern.len() + segment.len() + 4 > EDGE_NAME {
            pattern.push('…');
            break;
        }
        if at > 0 {
            pattern.push('/');
        }
        pattern.push_str(segment);
    }
    pattern.retain(|character| !character.is_control());
    let end = (0..=EDGE_NAME.min(pattern.len())).rev().find(|at| pattern.is_char_boundary(*at)).unwrap_or(0);
    pattern.truncate(end);
    pattern
}

fn names_one(segment: &str) -> bool {
    segment.len() > 48 || segment.bytes().any(|byte| byte.is_ascii_digit())
}
