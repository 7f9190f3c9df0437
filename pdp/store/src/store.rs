//! The one door: a folder with its lock, the two chains, the view and the keyring.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use countersign_sdk_types::{DecisionId, Revision, SubjectId, Tenant, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::decisions::{AuditMode, Decisions};
use crate::event::{StateEvent, StateRecord};
use crate::journal::{
    AppendError, Appender, Chain, First, FolderAppender, Frames, Head, JournalError, Machine, Options, Receipt, Refusal, Reject, Request,
    Verified, verify,
};
use crate::keyring::{Keyring, KeyringError, Salt};
use crate::view::{View, ViewError, claims, teaches};

#[cfg(test)]
mod tests;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot use `{path}`")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("the store `{0}` is in use by another process")]
    InUse(PathBuf),
    /// A chain is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A sound record cannot be understood: it was written by a later version.
    #[error("record {seq} is not understood: {reason}")]
    Record {
        /// Its sequence number.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// The view could not be rebuilt.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The keyring is damaged.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The incarnation could not be recorded.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What the caller expects of the state, beyond what an event itself demands.
///
/// What is single-use (a code, a ceremony, a credential id, a grant secret) is always checked by the writer; nobody can forget to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing more.
    Any,
    /// The tenant's active revision is still this one: of two operators who activate, the second is told.
    Active {
        /// The tenant.
        tenant: Tenant,
        /// The revision that the caller saw.
        revision: Option<Revision>,
    },
    /// Nothing later than this is learned of the subject: what an import teaches goes before what a step-up taught meanwhile, or not at all.
    LearnedUntil {
        /// The subject.
        subject: SubjectId,
        /// The latest learned event that the caller saw.
        at: Option<Timestamp>,
    },
}

/// Everything that persists. Cheap to clone; the last clone to go writes what is queued and closes.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    // INVARIANT: the chains end before the lock is released.
    state: Chain<Folder>,
    decisions: Decisions,
    view: Arc<View>,
    shown: watch::Receiver<u64>,
    keyring: Keyring,
    observer: Observed,
    folder: Option<PathBuf>,
    record_bytes: usize,
    _lock: Option<File>,
}

struct Append {
    events: Vec<StateEvent>,
    expect: Expect,
}

/// Who is told of every fact, from the journal's own thread and after it is visible in the view: it must neither wait nor panic.
pub trait Observer: Send + Sync {
    /// These happened together. They can be read.
    fn applied(&self, events: &[StateEvent]);

    /// The salt of a subject is destroyed.
    fn erased(&self, subject: &SubjectId);
}

type Observed = Arc<OnceLock<Arc<dyn Observer>>>;

/// Folds the `state` chain into the view.
struct Folder {
    view: Arc<View>,
    /// The record that the view shows last.
    shown: watch::Sender<u64>,
    observer: Observed,
}

impl Machine for Folder {
    type Item = Append;

    fn claims(&self, append: &Append) -> Vec<Vec<u8>> {
        append.events.iter().flat_map(|event| claims(event).into_iter().chain(teaches(event))).collect()
    }

    fn check(&self, append: &Append) -> Result<(), Reject> {
        let broken = |_: ViewError| Reject::Broken;
        let is_expected = match &append.expect {
            Expect::Any => true,
            Expect::Active { tenant, revision } => self.view.activation(tenant).map_err(broken)?.map(|active| active.revision) == *revision,
            Expect::LearnedUntil { subject, at } => self.view.baseline(subject).map_err(broken)?.known_until() == *at,
        };
        if !is_expected {
            return Err(Reject::Refused(Refusal::Changed));
        }
        append.events.iter().try_for_each(|event| self.view.check(event).map_err(broken)?.map_err(Reject::Refused))
    }

    fn apply(&mut self, head: Head, _: &[u8], append: Append) -> Result<(), ()> {
        let observed = self.observer.get().map(|observer| (observer, append.events.clone()));
        let applied = self.view.apply(head, append.events).map_err(drop);
        if applied.is_ok() {
            self.shown.send_replace(head.seq);
        }
        // Also of what is durable and could not be applied: it holds when the store is opened next.
        observed.iter().for_each(|(observer, events)| observer.applied(events));
        applied
    }
}

impl Store {
    /// Opens a folder, or makes it. Records a new incarnation.
    ///
    /// # Errors
    /// When it is in use, cannot be read, or an acknowledged record is damaged. A damaged view is no error: it is rebuilt.
    pub fn open(folder: &Path, options: Options, now: Timestamp) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        // Salts, passkeys and records are nobody else's, whatever the umask was.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io(folder))?;
        let lock = lock(folder)?;
        let keyring = Keyring::open(&folder.join("keyring"))?;
        let (appender, view) = open_state(folder, options)?;
        let decided = folder.join("decisions");
        let recorder = FolderAppender::open(&decided, options, First::Retained, &mut |_, _| {})?;
        let decisions = Decisions::start(Some(&decided), Appender::Folder(Box::new(recorder)), options).map_err(io(folder))?;
        let place = (Some(folder.to_owned()), Some(lock));
        Self::start(Appender::Folder(Box::new(appender)), view, decisions, keyring, options, place, now)
    }

    /// A store that forgets: the twin for tests.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn memory() -> Result<Self, StoreError> {
        let options = Options::default();
        let decisions = Decisions::start(None, Appender::memory(), options).map_err(io(Path::new("memory")))?;
        Self::start(Appender::memory(), View::memory(), decisions, Keyring::memory(), options, (None, None), Timestamp(0))
    }

    fn start(
        appender: Appender,
        view: View,
        decisions: Decisions,
        keyring: Keyring,
        options: Options,
        (folder, lock): (Option<PathBuf>, Option<File>),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let view = Arc::new(view);
        let (sender, shown) = watch::channel(view.head()?.seq);
        let observer = Observed::default();
        let folder_of_state = Folder { view: Arc::clone(&view), shown: sender, observer: Arc::clone(&observer) };
        let state = Chain::start("state", appender, folder_of_state, options.queue).map_err(io(Path::new("state")))?;
        let n = view.incarnation()?.saturating_add(1);
        let inner = Inner { state, decisions, view, shown, keyring, observer, folder, record_bytes: options.record_bytes, _lock: lock };
        let store = Self(Arc::new(inner));
        store.append(StateEvent::Incarnation { n, at: now }, Expect::Any).wait()?;
        Ok(store)
    }

    /// Tells of every fact from now on. The first to ask is told; there is no second.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.0.observer.set(observer);
    }

    /// Appends one event to the `state` chain.
    pub fn append(&self, event: StateEvent, expect: Expect) -> Receipt {
        self.append_all(vec![event], expect)
    }

    /// Appends events that happen together or not at all. No two of them may spend the same thing.
    pub fn append_all(&self, events: Vec<StateEvent>, expect: Expect) -> Receipt {
        let sent = self.prepare(events, expect).and_then(|(request, receipt)| self.0.state.send(request).map(|()| receipt));
        sent.unwrap_or_else(|error| Receipt::ready(Err(error)))
    }

    fn prepare(&self, events: Vec<StateEvent>, expect: Expect) -> Result<(Request<Append>, Receipt), AppendError> {
        let mut claimed: Vec<_> = events.iter().filter_map(claims).collect();
        claimed.sort();
        if claimed.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Refusal::Used.into());
        }
        let (payload, record) = StateRecord::encode(events).map_err(|error| AppendError::Form(error.to_string()))?;
        if payload.len() > self.0.record_bytes {
            return Err(AppendError::TooLarge(self.0.record_bytes));
        }
        Ok(Request::new(payload, Append { events: record.events, expect }))
    }

    /// The state, for reading.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.0.view
    }

    /// The sequence number of the last record of the `state` chain that the view shows. Whoever was told that his record was written reads no less.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.0.shown.borrow()
    }

    /// Resolves when the view shows this record; never, when the chain does not come so far.
    pub async fn reached(&self, position: u64) {
        let mut shown = self.0.shown.clone();
        if shown.wait_for(|shown| *shown >= position).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The name of the `state` chain: the same after a restart, and another one for every other store. It is drawn by `fresh` at first use.
    ///
    /// # Errors
    /// When the keyring cannot be written, or `fresh` gives nothing.
    pub fn chain(&self, tenant: &Tenant, fresh: impl FnOnce() -> Option<[u8; 32]>) -> Result<u64, KeyringError> {
        // Kept where salts are, under a name that no issuer can give. What is told of it says nothing of the rest.
        let name = SubjectId { tenant: tenant.clone(), iss: String::new(), sub: "chain".to_owned() };
        let secret = self.0.keyring.salt(&name, fresh)?;
        let mut chain = [0; 8];
        blake3::Hasher::new_derive_key("countersign chain name 1").update(&secret.0).finalize_xof().fill(&mut chain);
        Ok(u64::from_be_bytes(chain))
    }

    /// The `decisions` chain.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.0.decisions
    }

    /// Keeps the record of a decision.
    pub fn append_decision(&self, id: &DecisionId, record: &impl Serialize, mode: AuditMode) -> Receipt {
        self.0.decisions.append(id, record, mode)
    }

    /// The record of a decision, if it is still kept.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn decision(&self, id: &DecisionId) -> Result<Option<Value>, JournalError> {
        self.0.decisions.find(id)
    }

    /// Walks over both chains and names the first bad record: `state`, then `decisions`. `None` for a store in memory.
    ///
    /// # Errors
    /// When a chain is damaged or cannot be read.
    pub fn verify(&self) -> Result<Option<(Verified, Verified)>, JournalError> {
        let Some(folder) = &self.0.folder else { return Ok(None) };
        let state = verify(&folder.join("state"), First::Origin, self.0.state.durable())?;
        Ok(self.0.decisions.verify()?.map(|decisions| (state, decisions)))
    }

    /// The salt of a subject; made by `fresh`, and durable, at first use.
    ///
    /// # Errors
    /// When the keyring cannot be written, or `fresh` gives nothing.
    pub fn salt(&self, subject: &SubjectId, fresh: impl FnOnce() -> Option<[u8; 32]>) -> Result<Salt, KeyringError> {
        self.0.keyring.salt(subject, fresh)
    }

    /// The salt of a subject, if one was made.
    ///
    /// # Errors
    /// When the keyring is not usable any more.
    pub fn known_salt(&self, subject: &SubjectId) -> Result<Option<Salt>, KeyringError> {
        self.0.keyring.known(subject)
    }

    /// Destroys the salt of a subject: what was keyed with it can no longer be tied to anyone.
    ///
    /// # Errors
    /// When the keyring cannot be written.
    pub fn destroy_salt(&self, subject: &SubjectId) -> Result<(), KeyringError> {
        self.0.keyring.destroy(subject)?;
        self.0.observer.get().into_iter().for_each(|observer| observer.erased(subject));
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    |source| StoreError::Io { path: path.to_owned(), source }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
    }
}

/// Opens the `state` chain and brings the view up to it.
fn open_state(folder: &Path, options: Options) -> Result<(FolderAppender, View), StoreError> {
    let (chain, viewed) = (folder.join("state"), folder.join("view"));
    let existing = View::open(&viewed).and_then(|view| view.head().map(|head| (view, head)));
    let mut seen = matches!(existing, Ok((_, Head::EMPTY)));
    let appender = FolderAppender::open(&chain, options, First::Origin, &mut |head, _| {
        seen |= matches!(&existing, Ok((_, applied)) if *applied == head);
    })?;
    // A view that is damaged, newer than the journal or of another journal is set aside and made anew.
    let (view, from) = match existing {
        Ok((view, applied)) if seen => (view, applied.seq),
        other => {
            drop(other);
            set_aside(&viewed)?;
            (View::open(&viewed)?, 0)
        }
    };
    replay(&chain, from, &view)?;
    Ok((appender, view))
}

fn replay(chain: &Path, from: u64, view: &View) -> Result<(), StoreError> {
    for segment in crate::journal::segments(chain)? {
        let bytes = crate::journal::read_segment(&segment)?;
        for (head, payload) in Frames::lenient(&bytes).into_iter().flatten().filter(|(head, _)| head.seq > from) {
            let record = StateRecord::decode(payload).map_err(|error| StoreError::Record { seq: head.seq, reason: error.to_string() })?;
            view.apply(head, record.events)?;
        }
    }
    Ok(())
}

/// Keeps one damaged view for inspection, not more.
fn set_aside(viewed: &Path) -> Result<(), StoreError> {
    let aside = viewed.with_extension("quarantined");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(io(&aside))?;
    }
    if viewed.exists() {
        fs::rename(viewed, &aside).map_err(io(viewed))?;
    }
    Ok(())
}
