//! The configured bundles, each looked at again and again. What does not verify or does not fit is reported and changes nothing; what does is
//! activated, and kept for the next start.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_sdk_types::Digest;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::watch;

use super::active::{Activation, NotActivated};
use super::kept::Kept;
use super::rfc3339;
use crate::bundle::{Bundle, BundleError, Trust};
use crate::bundle::{Content, Found, LookError, Mark, Origin};
use crate::clock;
use crate::policies;

/// Between two looks at a folder or a file, which cost nobody anything.
const LOCAL: Duration = Duration::from_secs(2);
/// After a failed look, doubled with each further one.
const RETRY: Duration = Duration::from_millis(500);

/// Between two looks at a URL: some time between these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// One configured bundle.
#[derive(Debug)]
pub(crate) struct Configured {
    /// Its name; empty for the folder, which is no bundle to anybody else.
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) trust: Trust,
    pub(crate) delay: Delay,
}

/// The configured bundles and how they are.
#[derive(Debug)]
pub(crate) struct Bundles {
    watched: Vec<Watched>,
    activation: Arc<Activation>,
    kept: Kept,
}

#[derive(Debug)]
struct Watched {
    configured: Configured,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mark: Option<Mark>,
    /// What is active, by its digest.
    digest: Option<Digest>,
    /// What was refused, and beside which state of the others: the same again would be.
    refused: Option<(Digest, u64)>,
    failures: u32,
    status: BundleStatus,
}

/// How a bundle is, in OPA's words (status API).
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BundleStatus {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_download: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_activation: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<StatusError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_code: Option<u16>,
}

#[derive(Debug, Clone, Serialize)]
struct StatusError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<StatusPlace>,
}

#[derive(Debug, Clone, Serialize)]
struct StatusPlace {
    file: String,
    row: usize,
}

/// Why a look changed nothing.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Look(#[from] LookError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Activation(#[from] NotActivated),
    #[error("bundle could not be read: {0}")]
    Broken(String),
}

impl Bundles {
    pub(crate) fn new(configured: Vec<Configured>, activation: Arc<Activation>, kept: Kept) -> Self {
        let watched = configured.into_iter().map(|configured| {
            let status = BundleStatus { name: configured.name.clone(), kind: "snapshot", ..BundleStatus::default() };
            Watched { configured, state: Mutex::new(State { status, ..State::default() }) }
        });
        Self { watched: watched.collect(), activation, kept }
    }

    /// Activates what was kept, then looks at what is on this machine: without waiting for anybody.
    pub(crate) async fn start(&self) {
        for watched in &self.watched {
            self.restore(watched).await;
            if !watched.configured.origin.is_remote() {
                self.look(watched).await;
            }
        }
    }

    /// Looks again and again until told to stop.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let kept = join_all(self.watched.iter().map(|watched| self.keep(watched)));
        tokio::select! {
            _ = kept => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Whether every bundle was active at least once.
    pub(crate) fn are_active(&self) -> bool {
        self.watched.iter().all(|watched| watched.state().digest.is_some())
    }

    /// How each bundle is; the folder is none.
    pub(crate) fn status(&self) -> Vec<BundleStatus> {
        let named = self.watched.iter().filter(|watched| !watched.configured.name.is_empty());
        named.map(|watched| watched.state().status.clone()).collect()
    }

    async fn keep(&self, watched: &Watched) {
        loop {
            tokio::time::sleep(watched.due()).await;
            self.look(watched).await;
        }
    }

    async fn restore(&self, watched: &Watched) {
        let name = &watched.configured.name;
        let Some(archive) = (!name.is_empty()).then(|| self.kept.read(name)).flatten() else { return };
        let content = Content::Archive(archive.into());
        match self.take(watched, content).await {
            Ok(revision) => tracing::info!(bundle = name, revision, "kept bundle is active until its source answers"),
            Err(error) => tracing::warn!(bundle = name, %error, "kept bundle is not used"),
        }
    }

    /// One look, and what follows from it.
    async fn look(&self, watched: &Watched) {
        let mark = watched.begun();
        match watched.configured.origin.look(mark).await {
            Ok(Found::Unchanged) => watched.unchanged(),
            Ok(Found::New(content, mark)) => {
                watched.downloaded(&content);
                self.judge(watched, content, mark).await;
            }
            Err(error) => watched.failed(&error.into()),
        }
    }

    async fn judge(&self, watched: &Watched, content: Content, mark: Option<Mark>) {
        let (digest, generation) = (content.digest(), self.activation.generation());
        if watched.state().digest == Some(digest) {
            watched.unchanged();
        } else if watched.state().refused == Some((digest, generation)) {
            return;
        } else if let Err(error) = self.take_new(watched, content).await {
            watched.state().refused = (!error.is_passing()).then_some((digest, generation));
            return watched.failed(&error);
        }
        watched.state().mark = mark;
    }

    async fn take_new(&self, watched: &Watched, content: Content) -> Result<(), Refused> {
        let name = &watched.configured.name;
        let revision = self.take(watched, content.clone()).await?;
        tracing::info!(bundle = name, revision, "bundle is active");
        if let Content::Archive(archive) = content {
            let (kept, file) = (self.kept.clone(), name.clone());
            let written = tokio::task::spawn_blocking(move || kept.write(&file, &archive)).await;
            if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                tracing::warn!(bundle = name, %error, "bundle was not kept for the next start");
            }
        }
        Ok(())
    }

    async fn take(&self, watched: &Watched, content: Content) -> Result<String, Refused> {
        let digest = content.digest();
        let revision = watched.configured.activate(content, &self.activation).await?;
        watched.activated(digest, &revision);
        Ok(revision)
    }
}

impl Configured {
    /// Opens and activates what a look brought; gives its revision.
    async fn activate(&self, content: Content, activation: &Activation) -> Result<String, Refused> {
        let trust = self.trust.clone();
        // In a task of its own: should what a peer sent make a library panic, this bundle alone stays what it was.
        let opened = tokio::task::spawn_blocking(move || match content {
            Content::Files(files) => Bundle::of_files(files),
            Content::Archive(bytes) => Bundle::open(&bytes, &trust),
        });
        let bundle = opened.await.map_err(|error| Refused::Broken(error.to_string()))??;
        let revision = bundle.revision.clone();
        activation.activate(&self.name, bundle).await?;
        Ok(revision)
    }

    /// Whether what is on this machine could be activated; of a URL nothing is asked.
    async fn check(&self, activation: &Activation) -> Result<(), Refused> {
        if self.origin.is_remote() {
            return Ok(());
        }
        match self.origin.look(None).await? {
            Found::New(content, _) => self.activate(content, activation).await.map(drop),
            Found::Unchanged => Ok(()),
        }
    }
}

/// Tries everything that is on this machine, and keeps nothing of it.
///
/// # Errors
/// Every problem, one a line.
pub(super) async fn check(configured: &[Configured], activation: &Activation) -> Result<(), String> {
    let mut problems = Vec::new();
    for one in configured {
        if let Err(error) = one.check(activation).await {
            problems.push(if one.name.is_empty() { format!("opa.path: {error}") } else { format!("bundle `{}`: {error}", one.name) });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

impl Content {
    fn digest(&self) -> Digest {
        match self {
            Self::Files(files) => policies::folder_digest(files),
            Self::Archive(bytes) => Digest(*blake3::hash(bytes).as_bytes()),
        }
    }
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the next look.
    fn due(&self) -> Duration {
        let (failures, delay) = (self.state().failures, self.configured.delay);
        if failures > 0 {
            let backed_off = RETRY.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1));
            return backed_off.min(if self.configured.origin.is_remote() { delay.max } else { LOCAL });
        }
        if self.configured.origin.is_remote() { between(delay) } else { LOCAL }
    }

    fn begun(&self) -> Option<Mark> {
        let mut state = self.state();
        state.status.last_request = Some(now());
        state.mark.clone()
    }

    fn unchanged(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.status.last_successful_request = state.status.last_request.clone();
        state.status.clear();
    }

    fn downloaded(&self, content: &Content) {
        let mut state = self.state();
        state.status.last_successful_request = state.status.last_request.clone();
        state.status.last_successful_download = Some(now());
        if let Content::Archive(bytes) = content {
            state.status.size = Some(bytes.len());
        }
    }

    fn activated(&self, digest: Digest, revision: &str) {
        let mut state = self.state();
        state.digest = Some(digest);
        state.failures = 0;
        state.status.active_revision = Some(revision.to_owned());
        state.status.last_successful_activation = Some(now());
        state.status.clear();
    }

    fn failed(&self, error: &Refused) {
        let (mut state, message) = (self.state(), error.to_string());
        if state.status.message.as_ref() != Some(&message) {
            tracing::warn!(bundle = self.configured.name, error = message, "bundle is not taken; the last good one stays");
        }
        state.failures = state.failures.saturating_add(1);
        state.mark = None;
        let status = &mut state.status;
        status.code = Some("bundle_error");
        status.message = Some(message);
        status.errors = error.details();
        status.http_code = match error {
            Refused::Look(LookError::Status(code)) => Some(code.as_u16()),
            _ => None,
        };
    }
}

impl BundleStatus {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn clear(&mut self) {
        self.code = None;
        self.message = None;
        self.errors.clear();
        self.http_code = None;
    }
}

impl Refused {
    /// The machine and not the bundle is to blame.
    const fn is_passing(&self) -> bool {
        matches!(self, Self::Activation(NotActivated::Unchecked(ended)) if ended.is_passing())
    }

    fn details(&self) -> Vec<StatusError> {
        let Self::Activation(NotActivated::Refused(problems)) = self else { return Vec::new() };
        let detail = |problem: &countersign_pdp_engine::policy::Problem| StatusError {
            message: problem.text.clone(),
            location: problem.file.clone().map(|file| StatusPlace { file, row: problem.line.unwrap_or_default() }),
        };
        problems.iter().map(detail).collect()
    }
}

fn now() -> String {
    rfc3339(clock::now())
}

/// Some time in between: many servers must not ask at once.
pub(super) fn between(delay: Delay) -> Duration {
    let [chance, ..] = super::chance::seed();
    delay.min + delay.max.saturating_sub(delay.min) / 256 * u32::from(chance)
}

#[cfg(test)]
mod tests;
