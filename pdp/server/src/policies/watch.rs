//! The policy folder of a running server: looked at again and again, believed only when it holds still.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{Activation, Expect, StateEvent, Store};
use countersign_sdk_types::{Digest, Revision, Tenant, Timestamp};

use super::folder::{self, Files, Listed};
use super::{Accepted, CandidateStatus, Check, PolicyStatus, Refused, accept, load_checked_by, source, with_policy};
use crate::clock::{self, Stopwatch};
use crate::jail;

/// Who activates what the folder holds.
const BY: &str = "serve";
/// When a check that failed for want of a machine is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// The most problems that a log line holds.
const MAX_LOGGED: usize = 8;

/// The policies of one folder.
#[derive(Debug)]
pub struct Policies {
    folder: PathBuf,
    package: String,
    tenant: Tenant,
    check: Check,
    gaze: Mutex<Gaze>,
    status: ArcSwap<PolicyStatus>,
    given_up: AtomicBool,
}

/// What the last look showed.
#[derive(Debug, Default)]
struct Gaze {
    listing: Option<Vec<Listed>>,
    /// The content that was read, or the digest of why it could not be.
    content: Option<Digest>,
    /// Two looks in a row showed it, so nobody is writing any more.
    still: bool,
    /// The content that was judged last.
    judged: Option<Digest>,
    retry: Option<Stopwatch>,
}

/// Content that holds still and was not judged yet.
struct Found {
    content: Digest,
    files: Result<Files, String>,
}

impl Policies {
    /// Loads the policy of a folder, and watches the folder from now on.
    ///
    /// # Errors
    /// Every problem of the policy, one a line.
    pub fn open(folder: PathBuf, package: String, tenant: Tenant) -> Result<(Self, Snapshot), String> {
        Self::checked_by(jail::check_until, folder, package, tenant)
    }

    pub(super) fn checked_by(check: Check, folder: PathBuf, package: String, tenant: Tenant) -> Result<(Self, Snapshot), String> {
        let snapshot = load_checked_by(check, &folder, &package)?;
        let status = PolicyStatus { revision: snapshot.revision.clone(), activated_at: clock::now(), candidate: None };
        let (gaze, status, given_up) = (Mutex::default(), ArcSwap::from_pointee(status), AtomicBool::new(false));
        Ok((Self { folder, package, tenant, check, gaze, status, given_up }, snapshot))
    }

    #[cfg(test)]
    pub(super) fn recheck_by(&mut self, check: Check) {
        self.check = check;
    }

    /// What is active, and what is not and why.
    #[must_use]
    pub fn status(&self) -> PolicyStatus {
        PolicyStatus::clone(&self.status.load())
    }

    /// Ends a check that is under way, and begins no other.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// Journals the revision that the server starts with, where the journal names another one. Call it before the first request.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, store: &Store) -> Result<(), String> {
        let revision = self.status().revision;
        let active = store.view().activation(&self.tenant).map_err(|error| error.to_string())?;
        let at = match active {
            Some(active) if active.revision == revision => active.at,
            active => {
                let digest = Digest::try_from(revision.to_string()).map_err(|error| error.to_string())?;
                self.journal(store, revision.clone(), digest, active.map(|active| active.revision))?
            }
        };
        self.tell(revision, at, None);
        Ok(())
    }

    /// Looks at the folder once. A change that holds still for two looks is checked, journaled and activated, or refused. Blocks meanwhile.
    pub fn refresh(&self, snapshot: &ArcSwap<Snapshot>, store: &Store) {
        let mut gaze = self.gaze.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = gaze.look(&self.folder) else { return };
        match self.judge(snapshot, store, found.files) {
            Ok(()) => gaze.judged = Some(found.content),
            Err(_) if self.given_up.load(Ordering::SeqCst) => {}
            Err(refused) => {
                gaze.retry = refused.passing.then(Stopwatch::start);
                gaze.judged = Some(found.content);
                self.refuse(found.content, refused.problems);
            }
        }
    }

    fn judge(&self, snapshot: &ArcSwap<Snapshot>, store: &Store, files: Result<Files, String>) -> Result<(), Refused> {
        let source = files.and_then(|files| source(&self.package, files)).map_err(|error| Refused::for_good(&error))?;
        let active = snapshot.load().revision.clone();
        if source.digest().to_string() == active.as_str() {
            self.stay(active);
            return Ok(());
        }
        let Accepted { revision, digest, policy } = accept(self.check, &source, &self.given_up)?;
        // INVARIANT: the journal names a revision before any decision does.
        let written = self.journal(store, revision.clone(), digest, Some(active));
        let at = written.map_err(|error| Refused { problems: vec![error], passing: true })?;
        let policy = Arc::new(policy);
        snapshot.rcu(|snapshot| with_policy(snapshot, &revision, &policy));
        tracing::info!(target: "countersign::policy", %revision, "policy revision is active");
        self.tell(revision, at, None);
        Ok(())
    }

    /// The folder went back to what is active.
    fn stay(&self, active: Revision) {
        let status = self.status.load();
        if status.candidate.is_some() {
            tracing::info!(target: "countersign::policy", revision = %active, "the policy folder holds the active revision again");
        }
        self.tell(active, status.activated_at, None);
    }

    /// Says once what is wrong; [`Gaze`] shows the same content no second time.
    fn refuse(&self, digest: Digest, problems: Vec<String>) {
        let told = problems.iter().take(MAX_LOGGED).map(String::as_str).collect::<Vec<_>>().join("; ");
        let status = self.status.load();
        let active = status.revision.clone();
        tracing::warn!(target: "countersign::policy", %digest, problems = told, %active, "policy in the folder is refused; the active revision stays");
        self.tell(active, status.activated_at, Some(CandidateStatus { digest, problems }));
    }

    /// Writes an activation down, durably, unless somebody else activated something meanwhile.
    fn journal(&self, store: &Store, revision: Revision, digest: Digest, active: Option<Revision>) -> Result<Timestamp, String> {
        let at = clock::now();
        let activation = Activation { revision, digest, signer: None, by: BY.to_owned(), at };
        let event = StateEvent::Activated { tenant: self.tenant.clone(), activation };
        let expected = Expect::Active { tenant: self.tenant.clone(), revision: active };
        let written = store.append(event, expected).wait();
        written.map(|_| at).map_err(|error| format!("the activation was not journaled: {error}"))
    }

    fn tell(&self, revision: Revision, activated_at: Timestamp, candidate: Option<CandidateStatus>) {
        self.status.store(Arc::new(PolicyStatus { revision, activated_at, candidate }));
    }
}

impl Gaze {
    /// Something that is new and holds still. While nothing changes, no file is opened.
    fn look(&mut self, folder: &std::path::Path) -> Option<Found> {
        // Listed before it is read: what is written in between shows at the next look.
        let listing = folder::list(folder);
        let due = self.retry.is_some_and(|since| since.elapsed() > AGAIN);
        if self.still && !due && listing.is_ok() && listing.as_ref().ok() == self.listing.as_ref() {
            return None;
        }
        let files = listing.as_ref().map_err(String::clone).and_then(|_| folder::read(folder));
        let content = files.as_ref().map_or_else(|error| Digest(*blake3::hash(error.as_bytes()).as_bytes()), folder::digest);
        self.still = self.content == Some(content);
        (self.listing, self.content) = (listing.ok(), Some(content));
        let new = self.still && (due || self.judged != Some(content));
        new.then(|| {
            self.retry = None;
            Found { content, files }
        })
    }
}
