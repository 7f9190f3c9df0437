//! One question from what the application asks to a recorded response: normalize, identify, look up, decide, record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decision, decide};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::{Given, Identified, IdentifyError, identify};
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{Credentials, normalize};
use countersign_pdp_engine::sealed::Sealed;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_client::{Error, ErrorKind, Question};
use countersign_sdk_types::{DecisionId, DenialCode, EvaluationResponse, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::pool::Pool;
use super::wire::{raw, response};
use super::{Clock, EmbedError, FactSource, Recorder, SnapshotKey, Swapped};

/// Allows of which it is remembered when they were given.
const MOST_GIVEN: usize = 50_000;

/// A snapshot that decides.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) sealed: Sealed,
    pub(crate) snapshot: Snapshot,
}

/// What clones share.
pub(crate) struct Core {
    key: SnapshotKey,
    facts: Arc<dyn FactSource>,
    pub(crate) clock: Arc<dyn Clock>,
    recorder: Option<Arc<dyn Recorder>>,
    loaded: RwLock<Arc<Loaded>>,
    /// When allows were given, and by the snapshot of which time.
    pub(super) given: Cache<DecisionId, (Duration, Timestamp)>,
    swapping: Mutex<()>,
    swaps: watch::Sender<Timestamp>,
    /// Which life of this process this is: part of every decision id.
    pub(crate) life: u64,
    sequence: AtomicU64,
}

/// A decision before it is told.
struct Settled {
    decision: Decision,
    record: Record,
}

pub(crate) fn unavailable(why: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}

impl Core {
    pub(crate) fn new(
        key: SnapshotKey,
        facts: Arc<dyn FactSource>,
        clock: Arc<dyn Clock>,
        recorder: Option<Arc<dyn Recorder>>,
        pool: &Pool,
        document: &str,
        not_before: Timestamp,
    ) -> Result<Self, EmbedError> {
        let sealed = Sealed::open(document, &key.0, clock.now())?;
        if sealed.made < not_before {
            return Err(EmbedError::Older);
        }
        let loaded = compile(pool, sealed)?;
        let (swaps, _) = watch::channel(loaded.sealed.made);
        let (loaded, life) = (RwLock::new(Arc::new(loaded)), fastrand::u64(..));
        Ok(Self {
            key,
            facts,
            clock,
            recorder,
            loaded,
            given: Cache::new(MOST_GIVEN),
            swapping: Mutex::new(()),
            swaps,
            life,
            sequence: AtomicU64::new(1),
        })
    }

    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn swaps(&self) -> watch::Receiver<Timestamp> {
        self.swaps.subscribe()
    }

    pub(crate) fn swap(&self, pool: &Pool, document: &str) -> Result<Swapped, EmbedError> {
        let _one_at_a_time = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = Sealed::open(document, &self.key.0, self.clock.now())?;
        let current = self.loaded();
        match () {
            () if sealed.made < current.sealed.made => return Err(EmbedError::Older),
            () if (&sealed.tenant, &sealed.pep.id) != (&current.sealed.tenant, &current.sealed.pep.id) => return Err(EmbedError::Another),
            () if sealed.made == current.sealed.made => return Ok(Swapped::Same),
            () => {}
        }
        let loaded = compile(pool, sealed)?;
        let made = loaded.sealed.made;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.swaps.send_replace(made);
        Ok(Swapped::Swapped)
    }

    /// Answers one question. Runs on a thread of the pool.
    pub(crate) fn answer(&self, question: &Question) -> Result<EvaluationResponse, Error> {
        let (loaded, now) = (self.loaded(), self.clock.now());
        let id = self.id(&loaded)?;
        let stale = staleness(&loaded.sealed, question, now);
        let settled = stale.map_or_else(|| self.settle(&loaded, question, &id, now), |denial| denied(&loaded, denial, &id, now));
        let kept = self.recorder.as_ref().is_none_or(|recorder| recorder.record(&settled.record).is_ok());
        if !kept && loaded.sealed.edge.audit_required {
            let denial = Denial::new(DenialCode::AuditUnavailable, "the record could not be kept");
            return response(&id, &Decision::Deny(denial));
        }
        let mut response = response(&id, &settled.decision)?;
        if response.decision {
            self.given.insert(id, (self.clock.elapsed(), loaded.sealed.made));
        }
        if let Some(consistency) = loaded.sealed.consistency {
            response.context.insert("consistency".to_owned(), serde_json::json!(consistency));
        }
        Ok(response)
    }

    fn settle(&self, loaded: &Loaded, question: &Question, id: &DecisionId, now: Timestamp) -> Settled {
        let settled = catch_unwind(AssertUnwindSafe(|| self.decide(loaded, question, id, now)));
        let settled = settled.unwrap_or_else(|_| Err(Denial::new(DenialCode::Internal, "a step panicked")));
        settled.unwrap_or_else(|denial| denied(loaded, denial, id, now))
    }

    fn decide(&self, loaded: &Loaded, question: &Question, id: &DecisionId, now: Timestamp) -> Result<Settled, Denial> {
        let (identified, credentials) = who(&loaded.sealed, question, now)?;
        let facts = with_claims(self.facts.look_up(&identified, &credentials, now)?, &loaded.sealed, &identified);
        let decided = decide(&identified, &facts, &loaded.snapshot, now);
        let record = Record::new(id.clone(), now, &identified, &facts, &loaded.snapshot, &decided);
        Ok(Settled { decision: decided.decision, record })
    }

    fn id(&self, loaded: &Loaded) -> Result<DecisionId, Error> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let id = DecisionId::new(format!("{}.embedded-{:x}.{sequence}", loaded.sealed.tenant, self.life));
        id.map_err(|_| unavailable("decision has no name"))
    }
}

/// On a large stack, as whatever the policy is made of may be deep.
fn compile(pool: &Pool, sealed: Sealed) -> Result<Loaded, EmbedError> {
    let compiled = pool.block(move || sealed.compile().map(|snapshot| Loaded { sealed, snapshot }));
    compiled.ok_or(EmbedError::Compile)?.map_err(|error| EmbedError::Snapshot(error.into()))
}

/// Why a snapshot is not fresh enough for a question.
fn staleness(sealed: &Sealed, question: &Question, now: Timestamp) -> Option<Denial> {
    if !sealed.is_valid(now) {
        return Some(Denial::new(DenialCode::FactsUnavailable, "the snapshot has expired"));
    }
    let floor = question.floor()?;
    let reaches = sealed.consistency.is_some_and(|made| made.chain == floor.chain && made.seq >= floor.seq);
    (!reaches).then(|| Denial::new(DenialCode::FactsUnavailable, "the snapshot is less fresh than was asked for"))
}

fn denied(loaded: &Loaded, denial: Denial, id: &DecisionId, now: Timestamp) -> Settled {
    let record = Record::for_denial(id.clone(), now, loaded.sealed.tenant.clone(), None, denial.clone());
    Settled { decision: Decision::Deny(denial), record }
}

/// Who asks.
pub(crate) fn who(sealed: &Sealed, question: &Question, now: Timestamp) -> Result<(Identified, Credentials), Denial> {
    let (request, credentials) = normalize(raw(sealed, question)?, &sealed.rules)?;
    let given = Given { issuers: &sealed.issuers, proofs: &sealed.proofs, linked: None, introspected: None, now };
    let provisional = identify(request, &credentials, given).map_err(|error| match error {
        IdentifyError::Denied(denial) => denial,
        IdentifyError::UnknownKey(iss) => Denial::new(DenialCode::UnknownKey, format!("no such key of `{iss}`")),
        IdentifyError::Unasked(iss) => Denial::new(DenialCode::FactsUnavailable, format!("`{iss}` is asked about its tokens elsewhere")),
    })?;
    // A book of used proofs that others do not see would let each of them take the proof once.
    let elsewhere = |_: &_| Err(Denial::new(DenialCode::FactsUnavailable, "proofs are spent at the decision point"));
    Ok((provisional.confirm(elsewhere)?, credentials))
}

/// Where the source says nothing of user or device, mapped claims do.
fn with_claims(mut facts: Facts, sealed: &Sealed, identified: &Identified) -> Facts {
    if let Some(map) = sealed.claims.get(&identified.token().iss) {
        facts.user = facts.user.or_else(|| map.user(identified));
        facts.device.inventory = facts.device.inventory.or_else(|| map.inventory(identified));
    }
    facts
}
