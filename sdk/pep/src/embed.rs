//! Decides in-process: the same `decide` as the decision point's, with policy, weights and keys from a signed snapshot.
//!
//! ```no_run
//! # async fn ask(document: &str, key: &[u8], question: countersign_sdk_client::Question) -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_sdk_pep::DecisionPoint as _;
//! use countersign_sdk_pep::embed::{Embedded, NothingKnown, SnapshotKey};
//!
//! let key = SnapshotKey::from_pem(key)?;
//! let point = Embedded::builder(key).facts(NothingKnown).dangerous_unrecorded().build(document)?;
//! let answer = point.evaluate(&question).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The key is the application's to bring: none is ever taken from a document. A snapshot is swapped whole for a later one, and never for an earlier one.

mod clock;
mod core;
mod facts;
mod pool;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::keys::{NamedKey, NamedKeyError};
pub use countersign_pdp_engine::record::Record;
pub use countersign_pdp_engine::sealed::{EdgeTerms, SealedError};
use countersign_sdk_client::{Allow, Answer, Error, ErrorKind, Question, UNLEASED};
use countersign_sdk_types::{Revision, Timestamp};

pub use self::clock::{Clock, SystemClock};
use self::core::Core;
pub(crate) use self::core::{unavailable, who};
pub use self::facts::{FactSource, NothingKnown};
use self::pool::Pool;
pub(crate) use self::wire::asked;
use crate::point::DecisionPoint;

/// The public key by which snapshots are signed.
///
/// ```
/// use countersign_sdk_pep::embed::SnapshotKey;
///
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhNS3b95l/SX1vEAXjuzofNkXFiQA
/// dqe1mGIqWYRsHdcAzEdBHxLc28umuDvwXrDmlpIciBqP/0/TX/mCfMz4vg==
/// -----END PUBLIC KEY-----";
/// assert!(SnapshotKey::from_pem(pem.as_bytes()).is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct SnapshotKey(pub(crate) NamedKey);

impl SnapshotKey {
    /// Reads a public key on P-256 or of Ed25519, in PEM.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::SnapshotKey;
    ///
    /// assert!(SnapshotKey::from_pem(b"no key").is_err());
    /// ```
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NamedKeyError> {
        NamedKey::public(pem).map(Self)
    }
}

/// Keeps what was decided.
///
/// ```
/// use std::sync::mpsc::SyncSender;
/// use countersign_sdk_pep::embed::{Record, RecordLost, Recorder};
///
/// /// Hands records to a thread that writes them.
/// struct Handed(SyncSender<Record>);
///
/// impl Recorder for Handed {
///     fn record(&self, record: &Record) -> Result<(), RecordLost> {
///         self.0.try_send(record.clone()).map_err(|_| RecordLost)
///     }
/// }
/// ```
pub trait Recorder: Send + Sync + 'static {
    /// Keeps a record. Where the snapshot requires an audit trail, an allow whose record is lost is a deny.
    ///
    /// # Errors
    /// When it is lost.
    fn record(&self, record: &Record) -> Result<(), RecordLost>;
}

/// A record was not kept.
///
/// ```
/// use countersign_sdk_pep::embed::RecordLost;
///
/// assert_eq!(RecordLost.to_string(), "record was not kept");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record was not kept")]
pub struct RecordLost;

/// Why there is no embedded decision point.
///
/// ```
/// use countersign_sdk_pep::embed::{EmbedError, Embedded};
///
/// /// Whether an operator must look: an older snapshot is no harm, the one in use goes on deciding.
/// fn is_harm(point: &Embedded, document: &str) -> bool {
///     !matches!(point.swap(document), Ok(_) | Err(EmbedError::Older))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The snapshot is refused.
    #[error(transparent)]
    Snapshot(#[from] SealedError),
    /// It is older than the one that is in use.
    #[error("snapshot is older than the one that is in use")]
    Older,
    /// It is of another tenant, or for another enforcement point.
    #[error("snapshot is of another tenant, or for another enforcement point")]
    Another,
    /// There are no threads to decide on.
    #[error("no thread to decide on: {0}")]
    Threads(#[from] std::io::Error),
    /// Whether records are kept was not said.
    #[error("neither a recorder was given, nor `dangerous_unrecorded`")]
    Recorder,
    /// The policy could not be compiled in time, or its compiler ended.
    #[error("snapshot could not be compiled")]
    Compile,
}

/// What an embedded decision point is made of.
///
/// ```no_run
/// use countersign_sdk_pep::embed::{Embedded, NothingKnown, SnapshotKey};
///
/// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let point = Embedded::builder(SnapshotKey::from_pem(key)?).facts(NothingKnown).dangerous_unrecorded().build(document)?;
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    key: SnapshotKey,
    facts: Arc<dyn FactSource>,
    clock: Arc<dyn Clock>,
    recorder: Option<Option<Arc<dyn Recorder>>>,
    deadline: Duration,
    threads: usize,
    not_before: Timestamp,
}

impl Builder {
    /// What is known of subjects. [`NothingKnown`] unless told.
    ///
    /// ```no_run
    /// use countersign_sdk_pep::embed::{Embedded, NothingKnown, SnapshotKey};
    ///
    /// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Embedded::builder(SnapshotKey::from_pem(key)?).facts(NothingKnown);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn facts(mut self, facts: impl FactSource) -> Self {
        self.facts = Arc::new(facts);
        self
    }

    /// What time it is. The system's unless told.
    ///
    /// ```no_run
    /// use countersign_sdk_pep::embed::{Embedded, SnapshotKey, SystemClock};
    ///
    /// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Embedded::builder(SnapshotKey::from_pem(key)?).clock(SystemClock::default());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who keeps the records.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::{Builder, Record, RecordLost, Recorder};
    ///
    /// struct Printed;
    ///
    /// impl Recorder for Printed {
    ///     fn record(&self, record: &Record) -> Result<(), RecordLost> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// fn printed(builder: Builder) -> Builder {
    ///     builder.recorder(Printed)
    /// }
    /// ```
    #[must_use]
    pub fn recorder(mut self, recorder: impl Recorder) -> Self {
        self.recorder = Some(Some(Arc::new(recorder)));
        self
    }

    /// Keeps no record of any decision.
    ///
    /// ```no_run
    /// use countersign_sdk_pep::embed::{Embedded, SnapshotKey};
    ///
    /// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let point = Embedded::builder(SnapshotKey::from_pem(key)?).dangerous_unrecorded().build(document)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn dangerous_unrecorded(mut self) -> Self {
        self.recorder = Some(None);
        self
    }

    /// How long an answer may take. One second unless told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::embed::Builder;
    ///
    /// fn quick(builder: Builder) -> Builder {
    ///     builder.deadline(Duration::from_millis(50))
    /// }
    /// ```
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many threads decide, from 1 to 64. Two unless told.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::Builder;
    ///
    /// fn wide(builder: Builder) -> Builder {
    ///     builder.threads(8)
    /// }
    /// ```
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 64);
        self
    }

    /// Refuses a snapshot that was made before this: the time of the last one that was used, where the application keeps it.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::{Builder, Embedded, EmbedError};
    ///
    /// /// Begins again with nothing that is older than what decided before.
    /// fn again(before: &Embedded, builder: Builder, document: &str) -> Result<Embedded, EmbedError> {
    ///     builder.not_before(before.made()).build(document)
    /// }
    /// ```
    #[must_use]
    pub const fn not_before(mut self, made: Timestamp) -> Self {
        self.not_before = made;
        self
    }

    /// Loads the first snapshot. Compiles its policy, which may take a while.
    ///
    /// ```no_run
    /// use countersign_sdk_pep::embed::{Embedded, SnapshotKey};
    ///
    /// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let point = Embedded::builder(SnapshotKey::from_pem(key)?).dangerous_unrecorded().build(document)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the snapshot is refused, or something is missing.
    pub fn build(self, document: &str) -> Result<Embedded, EmbedError> {
        let recorder = self.recorder.ok_or(EmbedError::Recorder)?;
        let pool = Pool::new(self.threads)?;
        let core = Core::new(self.key, self.facts, self.clock, recorder, &pool, document, self.not_before)?;
        Ok(Embedded { core: Arc::new(core), pool: Arc::new(pool), deadline: self.deadline })
    }
}

/// An embedded decision point. Clones share its snapshot.
///
/// ```
/// use countersign_sdk_client::{Answer, Question};
/// use countersign_sdk_pep::DecisionPoint as _;
/// use countersign_sdk_pep::embed::Embedded;
///
/// async fn may(point: &Embedded, question: &Question) -> bool {
///     matches!(point.evaluate(question).await, Ok(Answer::Allow(_)))
/// }
/// ```
#[derive(Clone)]
pub struct Embedded {
    pub(crate) core: Arc<Core>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) deadline: Duration,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

/// What became of a snapshot that was handed in.
///
/// ```
/// use countersign_sdk_pep::embed::{EmbedError, Embedded, Swapped};
///
/// fn is_new(point: &Embedded, document: &str) -> Result<bool, EmbedError> {
///     Ok(point.swap(document)? == Swapped::Swapped)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// It decides from now on.
    Swapped,
    /// It is the one that decides already.
    Same,
}

impl Embedded {
    /// Begins an embedded decision point whose snapshots are signed by this key.
    ///
    /// ```no_run
    /// use countersign_sdk_pep::embed::{Embedded, SnapshotKey};
    ///
    /// # fn make(key: &[u8], document: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Embedded::builder(SnapshotKey::from_pem(key)?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(key: SnapshotKey) -> Builder {
        Builder {
            key,
            facts: Arc::new(NothingKnown),
            clock: Arc::new(SystemClock::default()),
            recorder: None,
            deadline: Duration::from_secs(1),
            threads: 2,
            not_before: Timestamp(0),
        }
    }

    /// Swaps the snapshot for a later one. Blocks while its policy is compiled.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::Embedded;
    ///
    /// fn take(point: &Embedded, document: &str) {
    ///     if let Err(error) = point.swap(document) {
    ///         eprintln!("{error}; {} goes on deciding", point.revision());
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// When it is refused, or not later: then the one in use goes on deciding.
    pub fn swap(&self, document: &str) -> Result<Swapped, EmbedError> {
        self.core.swap(&self.pool, document)
    }

    /// The policy that decides.
    ///
    /// ```
    /// use countersign_sdk_pep::embed::Embedded;
    ///
    /// fn told(point: &Embedded) -> String {
    ///     format!("policy {}", point.revision())
    /// }
    /// ```
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.core.loaded().sealed.revision.clone()
    }

    /// When the snapshot in use was made, to be kept for [`Builder::not_before`].
    ///
    /// ```
    /// use countersign_sdk_pep::embed::Embedded;
    ///
    /// /// What is written to a file for [`Builder::not_before`].
    /// fn kept(point: &Embedded) -> String {
    ///     point.made().0.to_string()
    /// }
    /// ```
    #[must_use]
    pub fn made(&self) -> Timestamp {
        self.core.loaded().sealed.made
    }
}

impl DecisionPoint for Embedded {
    async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        let (core, asked) = (Arc::clone(&self.core), question.clone());
        let response = self.pool.run(self.deadline, move || core.answer(&asked)).await??;
        Answer::from_response(&response, question)
    }

    /// As long as an allow without a lease, or until another snapshot decides. An answer that is not remembered has ended.
    async fn ended(&self, allow: &Allow) {
        let mut swaps = self.core.swaps();
        let Some((given, made)) = allow.decision_id().and_then(|id| self.core.given.get(id)) else { return };
        let left = given.saturating_add(UNLEASED).saturating_sub(self.core.clock.elapsed());
        if *swaps.borrow_and_update() == made {
            let _ = tokio::time::timeout(left, swaps.changed()).await;
        }
    }
}

pub(crate) fn deadline() -> Error {
    Error::new(ErrorKind::Deadline, "decision was not made in time")
}
