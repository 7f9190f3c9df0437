//! With which revision a server starts: what its source offers, where that passes and nothing speaks against it, otherwise what was active before. Nothing
//! is worse than to stand still because a git host is down, except to start with what nobody chose.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{Activation, Origin, PolicyTimes, Store};
use countersign_sdk_types::{Digest, Tenant};

use super::pace::{Pace, SETTLING};
use super::settings::Settings;
use super::source::{Look, Offer, Source, Watched};
use super::{Accepted, Check, Files, Kept, Policies, PolicyStatus, Rollout, SourceStatus, Terms, accept, source};
use crate::clock::Stopwatch;
use crate::{clock, jail};

/// How long a start waits for the first look. A look that takes longer goes on beside what was active before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Policies whose source was looked at once, before anything of them decides.
#[derive(Debug)]
pub struct Opening {
    package: String,
    tenant: Tenant,
    check: Check,
    kept: Kept,
    rollout: Terms,
    pace: Arc<Pace>,
    source: Arc<Mutex<Watched>>,
    /// Read without the source, which a first look that hangs goes on holding.
    source_status: Arc<ArcSwap<SourceStatus>>,
    first: Look,
}

/// What a server starts with, as it is journaled and kept.
#[derive(Debug)]
pub(super) struct Started {
    digest: Digest,
    files: Files,
    origin: Origin,
}

impl Opening {
    /// Opens the source and looks at it once. `store` is the data folder, in which nothing is written yet.
    ///
    /// # Errors
    /// When there can be no such source.
    pub fn new(settings: Settings, tenant: Tenant, store: &Path) -> Result<Self, String> {
        Self::checked_by(jail::check_until, settings, tenant, store)
    }

    pub(super) fn checked_by(check: Check, settings: Settings, tenant: Tenant, store: &Path) -> Result<Self, String> {
        Self::within(PATIENCE, check, settings, tenant, store)
    }

    fn within(patience: Duration, check: Check, settings: Settings, tenant: Tenant, store: &Path) -> Result<Self, String> {
        let Settings { package, place, poll, webhook: _, rollout } = settings;
        let pace = Arc::new(Pace::new(poll));
        let source = Source::open(place, store, &pace)?;
        let watched = Watched::new(source, Arc::clone(&pace));
        let (source_status, source) = (watched.status(), Arc::new(Mutex::new(watched)));
        let first = first(&source, patience);
        Ok(Self { kept: Kept::under(store, &package), rollout, package, tenant, check, pace, source, source_status, first })
    }

    /// What the source offers, checked and compiled.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn offered(&self) -> Result<Snapshot, String> {
        let (accepted, _) = self.accepted(self.offer()?)?;
        Ok(Snapshot::new(accepted.revision, accepted.policy))
    }

    /// Chooses what the server starts with. Nothing is written: see [`Policies::begin`].
    ///
    /// # Errors
    /// Every problem, one a line, when there is nothing to start with.
    pub fn choose(self, store: &Store) -> Result<(Policies, Snapshot), String> {
        let active = store.view().activation(&self.tenant).map_err(|error| error.to_string())?;
        let (accepted, started) = match &active {
            None => self.accepted(self.offer()?)?,
            Some(active) => {
                let times = store.view().policy_times(&self.tenant).map_err(|error| error.to_string())?;
                self.beside(active, &times)?
            }
        };
        let status = PolicyStatus { revision: accepted.revision.clone(), activated_at: clock::now(), candidate: None };
        let is_offered = matches!(&self.first, Look::Offer(offer) if offer.files == started.files);
        // A look that did not end yet is judged when it does; nobody waits for it here.
        if !is_offered && matches!(self.first, Look::Offer(_) | Look::Refused { .. }) {
            // What it offers goes the ordinary way, as if it had come a moment later.
            self.source.lock().unwrap_or_else(PoisonError::into_inner).put_back(self.first);
            self.pace.wake();
        }
        let policies = Policies {
            package: self.package,
            tenant: self.tenant,
            check: self.check,
            source: self.source,
            source_status: self.source_status,
            pace: self.pace,
            kept: self.kept,
            started: Mutex::new(Some(started)),
            status: ArcSwap::from_pointee(status),
            rollout: Rollout::new(self.rollout),
            given_up: AtomicBool::new(false),
        };
        Ok((policies, Snapshot::new(accepted.revision, accepted.policy)))
    }

    /// With an active revision, what the source offers must be better than to go on with that.
    fn beside(&self, active: &Activation, times: &PolicyTimes) -> Result<(Accepted, Started), String> {
        let offered = self.offer().and_then(|offer| Ok((offer, source(&self.package, offer.files.clone())?.digest())));
        let revision = &active.revision;
        let why = match offered {
            Ok((offer, digest)) if digest == active.digest => match self.accepted(offer) {
                Ok(started) => return Ok(started),
                Err(why) => why,
            },
            Ok((_, digest)) if times.held(&digest).is_some() => {
                format!("the policy source offers what was rolled back from ({digest}), which is not taken again by itself")
            }
            Ok((offer, _)) if self.rollout.first().is_some() => match self.again(active) {
                Ok(started) => {
                    tracing::info!(target: "countersign::policy", %revision, "the active revision decides; what the source offers is rolled out");
                    return Ok(started);
                }
                Err(why) => {
                    tracing::warn!(target: "countersign::policy", why, "there is nothing to roll out from, so what the source offers decides at once");
                    return self.accepted(offer);
                }
            },
            Ok((offer, _)) => match self.accepted(offer) {
                Ok(started) => return Ok(started),
                Err(why) => why,
            },
            Err(why) => why,
        };
        let started = self.again(active).map_err(|also| format!("{why}\n{also}"))?;
        tracing::warn!(target: "countersign::policy", %revision, why, "the source gives no policy to start with; the active revision decides, as it was kept");
        Ok(started)
    }

    /// The active revision, as it was kept.
    fn again(&self, active: &Activation) -> Result<(Accepted, Started), String> {
        let kept = self.kept.read(&active.digest)?;
        self.check("the policy that was active before", kept.files, kept.origin)
    }

    fn offer(&self) -> Result<&Offer, String> {
        match &self.first {
            Look::Offer(offer) => Ok(offer),
            Look::Refused { why, .. } => Err(format!("{} is refused:\n{why}", self.named())),
            Look::Failed(why) => Err(format!("{} cannot be had: {why}", self.named())),
            Look::Nothing | Look::Moving => Err(format!("{} does not hold still", self.named())),
        }
    }

    fn accepted(&self, offer: &Offer) -> Result<(Accepted, Started), String> {
        self.check(&self.named(), offer.files.clone(), offer.origin.clone())
    }

    fn check(&self, what: &str, files: Files, origin: Origin) -> Result<(Accepted, Started), String> {
        let source = source(&self.package, files.clone())?;
        let accepted = accept(self.check, &source, &AtomicBool::new(false));
        let accepted = accepted.map_err(|refused| format!("{what} is refused:\n{}", refused.problems.join("\n")))?;
        let digest = accepted.digest;
        Ok((accepted, Started { digest, files, origin }))
    }

    fn named(&self) -> String {
        format!("the policy in `{}`", self.source_status.load().at)
    }
}

/// The first look. It is made beside this thread, so that a source that does not answer keeps nobody waiting for good.
fn first(source: &Arc<Mutex<Watched>>, patience: Duration) -> Look {
    let (tell, told) = mpsc::channel();
    let looked_at = Arc::clone(source);
    let looking = move || {
        let mut source = looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let look = settled(&mut source);
        source.put_back(look);
        drop(source);
        let _ = tell.send(());
    };
    if let Err(error) = thread::Builder::new().name("first-look".to_owned()).spawn(looking) {
        return Look::Failed(error.to_string());
    }
    match told.recv_timeout(patience) {
        Ok(()) => source.lock().unwrap_or_else(PoisonError::into_inner).look(),
        Err(_) => Look::Failed(format!("it did not answer within {} s", patience.as_secs())),
    }
}

fn settled(source: &mut Watched) -> Look {
    let since = Stopwatch::start();
    loop {
        match source.look() {
            Look::Moving if since.elapsed() < PATIENCE => thread::sleep(SETTLING),
            look => return look,
        }
    }
}

impl Policies {
    /// Keeps and journals the revision that the server starts with, where the journal names another one. Call it before the first request.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, store: &Store) -> Result<(), String> {
        let revision = self.status().revision;
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Started { digest, files, origin }) = started else { return Ok(()) };
        let active = store.view().activation(&self.tenant).map_err(|error| error.to_string())?;
        let is_new = active.as_ref().is_none_or(|active| active.revision != revision);
        if is_new || !self.kept.list().contains(&digest) {
            self.kept.keep(&digest, &files, &origin).map_err(|error| format!("the policy was not kept: {error}"))?;
        }
        let at = match active {
            Some(active) if !is_new => active.at,
            active => self.journal(store, (revision.clone(), digest), origin, active.map(|active| active.revision))?,
        };
        self.tell(revision, at, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
