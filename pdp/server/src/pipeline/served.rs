//! Which policy revision answers whom: the active one, or for some subjects a candidate that is on trial. One pointer, so that no request sees half of a
//! change; and what is seen of a trial goes to whoever compares, without anybody waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::{Digest, Revision, SubjectId};

use crate::metrics::Metrics;
use crate::watch::Hub;

/// Decisions of a trial that wait to be compared. Beyond, they are counted and not compared.
const WAITING: usize = 1_024;
/// All subjects, in hundredths of a percent.
const ALL: u64 = 10_000;

/// The revisions that decide at one instant.
#[derive(Debug)]
pub struct Serving {
    active: Arc<Snapshot>,
    trial: Option<Trying>,
}

/// A candidate on trial.
#[derive(Debug)]
struct Trying {
    candidate: Arc<Snapshot>,
    digest: Digest,
    percent: u8,
}

impl Serving {
    /// One revision for everybody.
    #[must_use]
    pub const fn one(active: Arc<Snapshot>) -> Self {
        Self { active, trial: None }
    }

    /// A candidate that answers so many subjects of a hundred, always the same ones, and those that it answered at a lower share.
    #[must_use]
    pub const fn trying(active: Arc<Snapshot>, candidate: Arc<Snapshot>, digest: Digest, percent: u8) -> Self {
        Self { active, trial: Some(Trying { candidate, digest, percent }) }
    }

    /// What decides for a subject.
    #[must_use]
    pub fn of(&self, subject: &SubjectId) -> &Arc<Snapshot> {
        self.trial.as_ref().filter(|trial| trial.answers(subject)).map_or(&self.active, |trial| &trial.candidate)
    }

    /// What decides where no one subject asks: for everybody but the subjects of a canary.
    #[must_use]
    pub fn general(&self) -> &Arc<Snapshot> {
        self.trial.as_ref().filter(|trial| trial.percent >= 100).map_or(&self.active, |trial| &trial.candidate)
    }

    /// What was active before any trial.
    #[must_use]
    pub const fn active(&self) -> &Arc<Snapshot> {
        &self.active
    }

    /// What is tried.
    #[must_use]
    pub fn candidate(&self) -> Option<&Arc<Snapshot>> {
        self.trial.as_ref().map(|trial| &trial.candidate)
    }

    /// Whether an answer of this revision may be repeated without asking: what a candidate says to a few may not, so that it ends with its trial.
    #[must_use]
    pub fn is_general(&self, revision: &Revision) -> bool {
        self.general().revision == *revision
    }

    /// By what some subjects are answered otherwise than in general, and how many of a hundred: another candidate answers others.
    fn few(&self) -> Option<(Digest, u8)> {
        self.trial.as_ref().filter(|trial| !trial.percent.is_multiple_of(100)).map(|trial| (trial.digest, trial.percent))
    }
}

impl Trying {
    /// Stable for a subject and a candidate, and another draw for the next candidate: nobody is always first.
    fn answers(&self, subject: &SubjectId) -> bool {
        match self.percent {
            0 => false,
            100.. => true,
            percent => draw(&self.digest, subject) < u64::from(percent) * (ALL / 100),
        }
    }
}

/// A number from 0 to 9,999.
fn draw(candidate: &Digest, subject: &SubjectId) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("countersign canary 1");
    hasher.update(&candidate.0);
    for part in [subject.tenant.as_str(), subject.iss.as_str(), subject.sub.as_str()] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut drawn = [0; 8];
    hasher.finalize_xof().fill(&mut drawn);
    u64::from_le_bytes(drawn) % ALL
}

/// A decision that was made while a candidate was tried.
#[derive(Debug)]
pub struct Observed {
    /// What decided then.
    pub serving: Arc<Serving>,
    /// What was decided.
    pub record: Box<Record>,
}

/// What decides, and how it is changed.
#[derive(Debug)]
pub struct Served {
    serving: ArcSwap<Serving>,
    /// What was swapped out. A request that still holds one of these is never the last to, so that none has the work of dropping a policy.
    retired: Mutex<Vec<Arc<Serving>>>,
    hub: Arc<Hub>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    seen: SyncSender<Observed>,
    seeing: Mutex<Option<Receiver<Observed>>>,
    missed: AtomicU64,
}

impl Served {
    /// One revision, for everybody.
    #[must_use]
    pub fn new(active: Snapshot, hub: Arc<Hub>, metrics: Arc<Metrics>) -> Self {
        let (seen, seeing) = sync_channel(WAITING);
        Self {
            serving: ArcSwap::from_pointee(Serving::one(Arc::new(active))),
            retired: Mutex::default(),
            hub,
            metrics,
            seen,
            seeing: Mutex::new(Some(seeing)),
            missed: AtomicU64::new(0),
        }
    }

    /// The same with a stream and counters of its own.
    #[cfg(test)]
    pub(crate) fn alone(active: Snapshot) -> Self {
        let metrics = Arc::new(Metrics::new());
        let hub = Hub::new(crate::config::LeaseTerms::default(), active.revision.clone(), Arc::clone(&metrics));
        Self::new(active, Arc::new(hub.unwrap()), metrics)
    }

    /// What decides now. Waits for nobody.
    pub fn load(&self) -> Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// The same, to be held for longer.
    #[must_use]
    pub fn load_full(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Decides by this from now on, and tells who was given leave to repeat what is answered otherwise now.
    ///
    /// INVARIANT: swapped first and told then: a decision takes its epoch before it looks at what is served, so that one by what was served before has an
    /// epoch before the event, which ends its lease.
    pub fn swap(&self, next: Serving) {
        let (next, before) = (Arc::new(next), self.serving.load_full());
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&before));
        self.serving.store(Arc::clone(&next));
        if next.general().revision != before.general().revision {
            self.hub.activated(&next.general().revision);
        } else if next.few() != before.few() {
            self.hub.reset();
        }
        drop((next, before));
        self.sweep();
    }

    /// What was told by now of leases.
    #[cfg(test)]
    pub(crate) fn epoch(&self) -> countersign_sdk_types::Epoch {
        self.hub.epoch()
    }

    /// Drops what was swapped out and is held by no request any more.
    pub fn sweep(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|serving| Arc::strong_count(serving) > 1);
    }

    #[cfg(test)]
    fn retired(&self) -> usize {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Hands a decision on to whoever compares; never waits.
    pub fn observe(&self, serving: Arc<Serving>, record: Record) {
        match self.seen.try_send(Observed { serving, record: Box::new(record) }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Decisions that were not handed on since this was asked last.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// The other end of [`Self::observe`]; whoever asks first has it.
    pub fn observations(&self) -> Option<Receiver<Observed>> {
        self.seeing.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests;
