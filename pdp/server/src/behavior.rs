//! What browsers tell, in memory. Of the pointer: the newest actions of each session on each device since it was last verified; they raise a score and lower
//! none. Of the device: digests of components, by which it may resemble one that the subject has used. Bounded, and lost at a restart by design.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_store::{View, ViewError};
use countersign_risk::pointer::{Background, CountedAction, MOST_ACTIONS, PointerProfile, PointerVerifier};
use countersign_risk::{Behavior, SessionTag, Told};
use countersign_sdk_types::{DeviceId, Millis, SubjectId, Tenant, Timestamp};
use ipnet::IpNet;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

use crate::attempts::network;

mod batch;
pub mod look;

pub use batch::{Batch, BatchRefused};

/// Bytes of all windows together; one of 500 actions takes 16 KB.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// What a window costs beside its actions: its key, and its place in the table.
const OVERHEAD: usize = 512;
/// How long a window is kept after it was last read or written.
const LIFE: Duration = Duration::from_secs(8 * 3600);
/// Batches of one subject that are taken in a minute, over all sessions and devices: a page sends two.
const MOST_BATCHES: u32 = 20;
const MINUTE: Millis = Millis(60_000);
/// Subjects whose batches are counted.
const MOST_SUBJECTS: u64 = 100_000;
/// From so many people on there is a population; of fewer, one would be compared with hardly anybody but themselves.
const PEOPLE: usize = 4;
/// The population is made anew at most this often.
const POPULATION_EVERY: Millis = Millis(10 * 60_000);

/// Whose actions, in which session, on which device, from which network. Who holds a copied token, even with the device's cookie, adds nothing to what the
/// owner's next step-up teaches from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whose {
    subject: SubjectId,
    session: SessionTag,
    device: Option<DeviceId>,
    network: Option<IpNet>,
}

impl From<&Identified> for Whose {
    fn from(identified: &Identified) -> Self {
        let (subject, session) = (identified.subject().clone(), SessionTag::of(identified.session()));
        let network = identified.request().client_address().map(network);
        Self { subject, session, device: identified.device().cloned(), network }
    }
}

/// Devices whose look is kept.
const MOST_LOOKS: u64 = 50_000;

/// The windows, and the verifier that judges them; and what devices look like.
#[derive(Debug)]
pub struct Behaviors {
    windows: Cache<Whose, Arc<[CountedAction]>>,
    looks: Cache<Whose, Told>,
    /// Since when this minute counts, and its batches.
    batches: Cache<SubjectId, (Timestamp, u32)>,
    verifier: ArcSwap<PointerVerifier>,
    /// When the population was made.
    made: AtomicI64,
}

/// More batches came than a browser sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Default for Behaviors {
    fn default() -> Self {
        let weight = |_: &Whose, actions: &Arc<[CountedAction]>| {
            u32::try_from(OVERHEAD + size_of_val::<[CountedAction]>(actions)).unwrap_or(u32::MAX)
        };
        Self {
            windows: Cache::builder().weigher(weight).max_capacity(MOST_BYTES).time_to_idle(LIFE).build(),
            looks: Cache::builder().max_capacity(MOST_LOOKS).time_to_idle(LIFE).build(),
            batches: Cache::builder().max_capacity(MOST_SUBJECTS).time_to_live(Duration::from_secs(60)).build(),
            verifier: ArcSwap::default(),
            made: AtomicI64::new(i64::MIN),
        }
    }
}

impl Behaviors {
    /// Adds a batch to the window of its session and device, of which the newest actions stay. A batch that came a moment ago says nothing again: a
    /// browser sends it once more when the connection broke before the answer, and nobody recorded anything then.
    ///
    /// # Errors
    /// When the subject sends more batches than browsers do.
    pub fn take(&self, whose: Whose, batch: &Batch, now: Timestamp) -> Result<(), TooMany> {
        self.count(&whose.subject, now)?;
        self.windows.entry(whose).and_compute_with(|old| {
            let old = old.map(moka::Entry::into_value).unwrap_or_default();
            if old.ends_with(batch.actions()) {
                return Op::Nop;
            }
            let all = old.len() + batch.actions().len();
            let newest = old.iter().chain(batch.actions()).skip(all.saturating_sub(MOST_ACTIONS));
            Op::Put(newest.copied().collect())
        });
        Ok(())
    }

    /// Keeps what the device of a session looks like; the latest counts.
    ///
    /// # Errors
    /// When the subject tells more than browsers do.
    pub fn look(&self, whose: Whose, told: Told, now: Timestamp) -> Result<(), TooMany> {
        self.count(&whose.subject, now)?;
        self.looks.insert(whose, told);
        Ok(())
    }

    /// What the device of a session looks like; `None` where nothing was told.
    #[must_use]
    pub fn looks(&self, whose: &Whose) -> Option<Told> {
        self.looks.get(whose)
    }

    fn count(&self, subject: &SubjectId, now: Timestamp) -> Result<(), TooMany> {
        let counted = self.batches.entry(subject.clone()).and_compute_with(|old| match old.map(moka::Entry::into_value) {
            Some((since, batches)) if now.since(since) < MINUTE => {
                if batches >= MOST_BATCHES {
                    Op::Nop
                } else {
                    Op::Put((since, batches + 1))
                }
            }
            _ => Op::Put((now, 1)),
        });
        if matches!(counted, CompResult::Unchanged(_)) { Err(TooMany) } else { Ok(()) }
    }

    /// What the window of the session and device says; `None` where nothing was told.
    ///
    /// # Errors
    /// When the subject's profile cannot be read.
    pub fn judge(&self, whose: &Whose, view: &View) -> Result<Option<Behavior>, ViewError> {
        let Some(actions) = self.windows.get(whose) else { return Ok(None) };
        let profile = view.pointer(&whose.subject)?;
        Ok(Some(self.verifier.load().judge(&profile, &actions).behavior()))
    }

    /// How many actions the window of the session and device holds.
    #[must_use]
    pub fn told(&self, whose: &Whose) -> usize {
        self.windows.get(whose).map_or(0, |actions| actions.len())
    }

    /// Ends the window of the session and device, whose person is verified now; gives its actions.
    #[must_use]
    pub fn end(&self, whose: &Whose) -> Arc<[CountedAction]> {
        self.windows.remove(whose).unwrap_or_default()
    }

    /// Puts back what was taken out in vain, before what came meanwhile.
    pub fn restore(&self, whose: Whose, actions: &Arc<[CountedAction]>) {
        self.windows.entry(whose).and_compute_with(|new| match new.map(moka::Entry::into_value) {
            None if actions.is_empty() => Op::Nop,
            None => Op::Put(Arc::clone(actions)),
            Some(new) => {
                let all = actions.len() + new.len();
                Op::Put(actions.iter().chain(new.iter()).skip(all.saturating_sub(MOST_ACTIONS)).copied().collect())
            }
        });
    }

    /// Makes the population of the tenant's own people anew, when it is old.
    ///
    /// # Errors
    /// When profiles cannot be read; the last population stays.
    pub fn follow(&self, view: &View, tenant: &Tenant, now: Timestamp) -> Result<(), ViewError> {
        let made = self.made.load(Ordering::Relaxed);
        let is_young = made != i64::MIN && now.since(Timestamp(made)) < POPULATION_EVERY;
        if is_young || self.made.compare_exchange(made, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Ok(());
        }
        self.renew(view, tenant)
    }

    /// Makes the population anew, however young it is.
    ///
    /// # Errors
    /// When profiles cannot be read; the last population stays.
    pub fn renew(&self, view: &View, tenant: &Tenant) -> Result<(), ViewError> {
        let mut people = view.list_pointers(tenant)?;
        people.retain(PointerProfile::is_known);
        let background = if people.len() < PEOPLE { Background::default() } else { Background::of(&people) };
        self.verifier.store(Arc::new(PointerVerifier { background, ..PointerVerifier::default() }));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
