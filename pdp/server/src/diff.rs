//! What a change of policy would have done: logged decisions, with their facts and their risk as they were, asked again of two revisions.

mod boundary;
mod budget;
pub mod inject;
mod log;
mod page;
mod revision;
mod tally;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use countersign_pdp_engine::record::{Record, reconsider};
use countersign_pdp_engine::snapshot::Snapshot;

pub use boundary::{Boundary, Edge, Ways, boundary};
pub use budget::{Budget, BudgetError, Budgets, Exceeded};
pub use log::{Log, LogError};
pub use page::page;
pub use revision::{Revision, RevisionError};
pub(crate) use tally::effect;
pub use tally::{Answers, Change, Group, Report, Tally};

use crate::policies::STACK;

/// Records that go to a worker at once, and batches that wait.
const BATCH: usize = 256;
const WAITING: usize = 16;

/// How long one question may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// One record as it lies in a log.
type Raw = Vec<u8>;

/// Asks both revisions about every decision of a log. `progress` hears how many bytes of the log are read.
///
/// # Errors
/// When the log cannot be read, or there is no thread to be had.
pub fn run(old: &Snapshot, new: &Snapshot, log: &Path, examples: usize, progress: impl FnMut(u64)) -> Result<Report, LogError> {
    let (old, new) = (side(old), side(new));
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (sender, receiver) = sync_channel::<Vec<Raw>>(WAITING);
    let receiver = Mutex::new(receiver);
    thread::scope(|scope| {
        let work = || work(&receiver, &old, &new, examples);
        let start = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).map_err(LogError::Io);
        let started = (0..workers).map(start).collect::<Result<Vec<_>, _>>();
        let read = started.and_then(|started| {
            let read = Log::open(log)?.batches(BATCH, progress, |batch| sender.send(batch).is_ok());
            // The end of the log is the end of the queue.
            drop(sender);
            let tallies = started.into_iter().map(|worker| worker.join().unwrap_or(Err(LogError::Panic)));
            let tally = tallies.collect::<Result<Vec<_>, _>>()?.into_iter().fold(Tally::new(examples), Tally::and);
            read.map(|()| tally)
        });
        read.map(Tally::report)
    })
}

/// Remembered for the length of this run: most requests of a day look alike to a policy. That a machine is busy with a million of them is no answer.
fn side(side: &Snapshot) -> Snapshot {
    Snapshot { policy: side.policy.remembering().into(), budget: PATIENCE, ..side.clone() }
}

fn work(queue: &Mutex<Receiver<Vec<Raw>>>, old: &Snapshot, new: &Snapshot, examples: usize) -> Result<Tally, LogError> {
    let (mut tally, mut is_whole) = (Tally::new(examples), true);
    loop {
        // The lock is held for the length of a receive, not of the work.
        let next = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(batch) = next else { return if is_whole { Ok(tally) } else { Err(LogError::Panic) } };
        // Whoever panicked goes on taking, or nobody might, and the reader would wait for good.
        is_whole &= catch_unwind(AssertUnwindSafe(|| batch.iter().for_each(|raw| take(raw, old, new, &mut tally)))).is_ok();
    }
}

fn take(raw: &[u8], old: &Snapshot, new: &Snapshot, tally: &mut Tally) {
    match log::read(raw) {
        Ok(Some(record)) => judge(&record, old, new, tally),
        Ok(None) => {}
        Err(_) => tally.unreadable(),
    }
}

fn judge(record: &Record, old: &Snapshot, new: &Snapshot, tally: &mut Tally) {
    match (reconsider(record, old), reconsider(record, new)) {
        (Some(before), Some(after)) => tally.add(record, &before, &after),
        _ => tally.undecided(),
    }
}
