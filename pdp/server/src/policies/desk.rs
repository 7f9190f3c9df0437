//! The policies of a running server: what their source offers is judged here, journaled and activated, or refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use countersign_pdp_store::{Activation, Expect, Origin, StateEvent, Store};
use countersign_sdk_types::{Digest, Revision, Tenant, Timestamp};

use super::folder::Files;
use super::pace::Pace;
use super::source::{Look, Watched};
use super::start::Started;
use super::{CandidateStatus, Check, Kept, PolicyStatus, Refused, Rollout, SourceStatus, accept, source};
use crate::clock;
use crate::pipeline::Served;

/// Who activates what the source offers.
pub(super) const BY: &str = "serve";
/// The most problems that a log line holds.
const MAX_LOGGED: usize = 8;

/// The policies of one source.
#[derive(Debug)]
pub struct Policies {
    pub(super) package: String,
    pub(super) tenant: Tenant,
    pub(super) check: Check,
    pub(super) source: Arc<Mutex<Watched>>,
    pub(super) source_status: Arc<ArcSwap<SourceStatus>>,
    pub(super) pace: Arc<Pace>,
    pub(super) kept: Kept,
    pub(super) started: Mutex<Option<Started>>,
    pub(super) status: ArcSwap<PolicyStatus>,
    pub(super) rollout: Rollout,
    pub(super) given_up: AtomicBool,
}

impl Policies {
    /// What is active, and what is not and why.
    #[must_use]
    pub fn status(&self) -> PolicyStatus {
        PolicyStatus::clone(&self.status.load())
    }

    /// How the source is.
    #[must_use]
    pub fn source_status(&self) -> SourceStatus {
        SourceStatus::clone(&self.source_status.load())
    }

    /// Ends a check that is under way, and begins no other.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.pace.end();
    }

    /// Has the source looked at, at once or soon after the last look.
    pub fn wake(&self) {
        self.pace.wake();
    }

    /// Until the source should be looked at again.
    pub async fn due(&self) {
        self.pace.due().await;
    }

    /// Looks at the source once. What it offers is checked, and then tried or activated, or it is refused. Blocks meanwhile.
    pub fn refresh(&self, served: &Served, store: &Store) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        match source.look() {
            Look::Nothing | Look::Moving | Look::Failed(_) => {}
            Look::Refused { content, why } => self.refuse(served, store, content, vec![why]),
            Look::Offer(offer) => match self.judge(served, store, &offer.files, offer.origin) {
                Ok(()) => {}
                // Nobody judged it: whoever comes next does.
                Err(_) if self.given_up.load(Ordering::SeqCst) => source.offer_again(),
                Err(refused) => {
                    if refused.passing {
                        source.offer_again();
                    }
                    self.refuse(served, store, offer.content, refused.problems);
                }
            },
        }
    }

    fn judge(&self, served: &Served, store: &Store, files: &Files, origin: Origin) -> Result<(), Refused> {
        let source = source(&self.package, files.clone()).map_err(|error| Refused::for_good(&error))?;
        if self.is_known(served, store, &source.digest(), files, &origin)? {
            return Ok(());
        }
        let accepted = accept(self.check, &source, &self.given_up)?;
        self.take(served, store, files, accepted, origin)
    }

    /// The source offers nothing else than what is active, or what is on trial.
    pub(super) fn stay(&self, active: Revision) {
        let status = self.status.load();
        if status.candidate.is_some() {
            tracing::info!(target: "countersign::policy", revision = %active, "nothing that the source offers is refused any more");
        }
        self.tell(active, status.activated_at, None);
    }

    /// Says once what is wrong: a source shows the same content no second time.
    fn refuse(&self, served: &Served, store: &Store, digest: Digest, problems: Vec<String>) {
        let told = problems.iter().take(MAX_LOGGED).map(String::as_str).collect::<Vec<_>>().join("; ");
        let active = self.note(served, store, CandidateStatus { digest, problems });
        tracing::warn!(target: "countersign::policy", %digest, problems = told, %active, "policy candidate is refused; the active revision stays");
    }

    /// Writes an activation down, durably, unless somebody else activated something meanwhile.
    pub(super) fn journal(
        &self,
        store: &Store,
        (revision, digest): (Revision, Digest),
        origin: Origin,
        active: Option<Revision>,
    ) -> Result<Timestamp, String> {
        let at = clock::now();
        let activation = Activation { revision, digest, origin, by: BY.to_owned(), at, why: None, instead_of: None };
        let event = StateEvent::Activated { tenant: self.tenant.clone(), activation };
        let expected = Expect::Active { tenant: self.tenant.clone(), revision: active };
        let written = store.append(event, expected).wait();
        written.map(|_| at).map_err(|error| format!("the activation was not journaled: {error}"))
    }

    pub(super) fn tell(&self, revision: Revision, activated_at: Timestamp, candidate: Option<CandidateStatus>) {
        self.status.store(Arc::new(PolicyStatus { revision, activated_at, candidate }));
    }
}
