//! The facts that an edge holds, by presentation: in memory, and bounded.

use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::capsule::Granted;
use countersign_sdk_types::{DecisionId, Digest};
use quick_cache::sync::Cache;

/// Facts, and how they came.
pub(super) struct Held {
    pub(super) granted: Granted,
    /// The decision that they came with.
    pub(super) under: DecisionId,
    /// When that was asked for, on the clock that only runs forward.
    pub(super) asked: Duration,
}

/// All of them.
pub(super) struct Capsules(Cache<Digest, Arc<Held>>);

impl Capsules {
    pub(super) fn new(most: usize) -> Self {
        Self(Cache::new(most.max(1)))
    }

    pub(super) fn get(&self, presentation: &Digest) -> Option<Arc<Held>> {
        self.0.get(presentation)
    }

    pub(super) fn keep(&self, held: Arc<Held>) {
        self.0.insert(held.granted.capsule.presentation(), held);
    }

    pub(super) fn remove(&self, presentation: &Digest) {
        self.0.remove(presentation);
    }
}
