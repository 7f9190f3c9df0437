//! With which revision a server starts.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{Origin, Store};
use countersign_sdk_types::{Digest, Tenant};

use super::source::{Folder, Source};
use super::{Check, Policies, PolicyStatus, Rollout, load_checked_by};
use crate::{clock, jail};

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
        let (status, given_up) = (ArcSwap::from_pointee(status), AtomicBool::new(false));
        let source = Mutex::new(Source::Folder(Folder::new(folder)));
        Ok((Self { package, tenant, check, source, status, given_up, rollout: Rollout::default() }, snapshot))
    }

    /// The same, with a way from accepted to active.
    #[must_use]
    pub fn rolling(self, rollout: Rollout) -> Self {
        Self { rollout, ..self }
    }

    #[cfg(test)]
    pub(super) fn recheck_by(&mut self, check: Check) {
        self.check = check;
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
                self.journal(store, (revision.clone(), digest), Origin::default(), active.map(|active| active.revision))?
            }
        };
        self.tell(revision, at, None);
        Ok(())
    }
}
