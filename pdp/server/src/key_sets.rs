//! The keys of issuers, kept fresh: looked at again and again, sooner when a token names a key that is not there, and forgotten when they are too old.
//!
//! A set that cannot be fetched or read changes nothing: the last good keys decide until they are stale, and then none do.

mod source;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_pdp_engine::identify::{Check, Issuers};
use countersign_pdp_engine::keys::KeySet;
use countersign_sdk_types::Timestamp;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::watch;

use self::source::FetchError;
pub use self::source::Source;
use self::watched::Watched;
use crate::metrics::{FetchOutcome, Metrics};
use crate::watch::Hub;

/// When keys are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two looks at a URL.
    pub refresh: Duration,
    /// Between two looks at a file.
    pub poll: Duration,
    /// After a failed look, doubled with each further one.
    pub retry: Duration,
    /// Between two looks that unknown keys cause, for each issuer; also the longest time between failed looks.
    pub on_demand: Duration,
    /// How long a request with an unknown key waits for a look: proxies stop waiting at 150 ms.
    pub wait: Duration,
    /// How long one look may take.
    pub within: Duration,
    /// How old the last good keys may become.
    pub max_stale: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            poll: Duration::from_secs(2),
            retry: Duration::from_secs(1),
            on_demand: Duration::from_secs(30),
            wait: Duration::from_millis(80),
            within: Duration::from_secs(5),
            max_stale: Duration::from_secs(3600),
        }
    }
}

/// How the keys of one issuer are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeySetStatus {
    /// They were there at least once.
    pub loaded: bool,
    /// How many keys there are now.
    pub keys: usize,
    /// Why the last look failed; none when it did not.
    pub last_error: Option<String>,
    /// When a look last succeeded.
    pub last_success: Option<Timestamp>,
}

/// All issuers with their current keys.
#[derive(Debug)]
pub struct KeySets {
    current: ArcSwap<Issuers>,
    watched: BTreeMap<String, Watched>,
    timing: Timing,
    metrics: Arc<Metrics>,
    /// Who is told when keys are no longer used.
    hub: OnceLock<Arc<Hub>>,
}

impl KeySets {
    /// Issuers as configured, and where the keys of some come from. Keys that an issuer has already count as read now; an issuer without a source
    /// keeps its keys for good.
    #[must_use]
    pub fn new(base: Issuers, sources: BTreeMap<String, Source>, timing: Timing, metrics: Arc<Metrics>) -> Self {
        let watched = sources.into_iter().map(|(iss, source)| {
            let has_keys = base.by_iss.get(&iss).is_some_and(|issuer| !issuer.keys.is_empty());
            (iss, Watched::new(source, has_keys))
        });
        Self { watched: watched.collect(), current: ArcSwap::from_pointee(base), timing, metrics, hub: OnceLock::new() }
    }

    /// Tells this stream when keys are no longer used.
    pub fn tell(&self, hub: Arc<Hub>) {
        let _ = self.hub.set(hub);
    }

    /// The issuers with their keys as of now.
    #[must_use]
    pub fn current(&self) -> Arc<Issuers> {
        self.current.load_full()
    }

    /// Looks at every source once, all at the same time; [`KeySets::status`] says how it went.
    pub async fn load(&self) {
        join_all(self.watched.iter().map(|(iss, watched)| self.look(iss, watched))).await;
    }

    /// Keeps the keys fresh until told to stop.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let kept = join_all(self.watched.iter().map(|(iss, watched)| self.keep(iss, watched)));
        tokio::select! {
            _ = kept => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// A token of this issuer names a key that is not there. At most every 30 s this makes a look; callers wait a moment for it. True when a look
    /// ended meanwhile: then the token is worth one more try. The look goes on when nobody waits any longer.
    pub async fn unknown_key(&self, iss: &str) -> bool {
        let Some(watched) = self.watched.get(iss) else { return false };
        let Some(mut looks) = watched.demand(self.timing.on_demand) else { return false };
        let Ok(_waiter) = watched.waiters.try_acquire() else { return false };
        tokio::time::timeout(self.timing.wait, looks.changed()).await.is_ok_and(|ended| ended.is_ok())
    }

    /// Looks at every source soon, because an operator said so.
    pub fn refresh(&self) {
        self.watched.values().for_each(|watched| watched.wanted.notify_one());
    }

    /// How the keys of each issuer are.
    #[must_use]
    pub fn status(&self) -> BTreeMap<String, KeySetStatus> {
        let current = self.current();
        // Whose tokens are all asked about needs no keys.
        let signing = current.by_iss.iter().filter(|(_, issuer)| issuer.check != Check::Introspection);
        let status = |(iss, issuer): (&String, &countersign_pdp_engine::identify::Issuer)| {
            let keys = issuer.keys.len();
            (iss.clone(), self.watched.get(iss).map_or_else(|| fixed(keys), |watched| watched.status(keys)))
        };
        signing.map(status).collect()
    }

    /// Whether the keys of every issuer were there once.
    ///
    /// # Errors
    /// The issuers of which they were not, in one sentence.
    pub fn ready(&self) -> Result<(), String> {
        let missing: Vec<_> = self.status().into_iter().filter(|(_, status)| !status.loaded).map(|(iss, _)| format!("`{iss}`")).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no keys yet of {}", missing.join(", "))) }
    }

    async fn keep(&self, iss: &str, watched: &Watched) {
        loop {
            let due = watched.due(iss, &self.timing);
            tokio::select! {
                () = tokio::time::sleep(due) => {}
                () = watched.wanted.notified() => {}
            }
            self.expire(iss, watched);
            self.look(iss, watched).await;
        }
    }

    /// One look, and what follows from it.
    async fn look(&self, iss: &str, watched: &Watched) {
        let _one = watched.looking.lock().await;
        let outcome = match watched.source.fetch(self.timing.within).await {
            Ok(content) => self.take(iss, watched, content).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.unwrap_or_else(|error| {
            watched.failed(iss, &error);
            FetchOutcome::Failed
        });
        self.expire(iss, watched);
        self.metrics.key_set_fetched(outcome);
        watched.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
    }

    /// Takes what was fetched, when it is a key set that can be used.
    async fn take(&self, iss: &str, watched: &Watched, content: Bytes) -> Result<FetchOutcome, FetchError> {
        let digest = blake3::hash(&content);
        if watched.has_read(&digest) {
            watched.succeeded(digest);
            return Ok(FetchOutcome::Unchanged);
        }
        // In a task of its own: should what a peer sent make a library panic, this issuer alone keeps its old keys.
        let parsed = tokio::task::spawn_blocking(move || KeySet::parse(&content)).await;
        let parsed = parsed.map_err(|error| FetchError::KeySet(error.to_string()))?;
        let keys = parsed.map_err(|error| FetchError::KeySet(error.to_string()))?;
        if keys.is_empty() {
            return Err(FetchError::NoKey);
        }
        tracing::info!(issuer = iss, keys = keys.len(), "key set changed");
        self.publish(iss, &keys);
        watched.succeeded(digest);
        Ok(FetchOutcome::Changed)
    }

    /// Old keys are no keys.
    fn expire(&self, iss: &str, watched: &Watched) {
        if watched.forget(self.timing.max_stale) {
            tracing::error!(issuer = iss, "keys are stale and no longer used");
            self.publish(iss, &KeySet::default());
        }
    }

    fn publish(&self, iss: &str, keys: &KeySet) {
        let before = self.current.rcu(|issuers| {
            let mut next = Issuers::clone(issuers);
            if let Some(issuer) = next.by_iss.get_mut(iss) {
                issuer.keys = keys.clone();
            }
            next
        });
        // Keys are not told apart: where there were some, one of them may be gone, and with it every token that it signed.
        let had_keys = before.by_iss.get(iss).is_some_and(|issuer| !issuer.keys.is_empty());
        if had_keys && let Some(hub) = self.hub.get() {
            hub.reset();
        }
    }
}

fn fixed(keys: usize) -> KeySetStatus {
    KeySetStatus { loaded: keys > 0, keys, last_error: None, last_success: None }
}

#[cfg(test)]
mod tests;
