//! The allows that are kept: bounded by how many, and by how many bytes.

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::answer::Allow;
use crate::key::{Brought, Key};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// The most allows.
    pub(crate) entries: usize,
    /// The most bytes, about.
    pub(crate) bytes: usize,
}

/// What is kept, by question.
#[derive(Debug)]
pub(crate) struct Kept(Cache<Key, Allow, Weigh, Brought, DefaultLifecycle<Key, Allow>>);

/// Each entry weighs what it holds, and at least its share: so the bound on bytes is one on entries too.
#[derive(Debug, Clone)]
pub(crate) struct Weigh {
    share: u64,
}

impl Weighter<Key, Allow> for Weigh {
    fn weight(&self, key: &Key, allow: &Allow) -> u64 {
        u64::try_from(key.size().saturating_add(allow.size())).unwrap_or(u64::MAX).max(self.share)
    }
}

impl Kept {
    pub(crate) fn new(room: Room) -> Self {
        // No entry is smaller than this.
        let entries = room.entries.min(room.bytes / 512).max(1);
        let bytes = u64::try_from(room.bytes).unwrap_or(u64::MAX);
        let share = bytes.div_ceil(u64::try_from(entries).unwrap_or(u64::MAX));
        Self(Cache::with(entries, bytes, Weigh { share }, Brought::default(), DefaultLifecycle::default()))
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Allow> {
        self.0.get(key)
    }

    pub(crate) fn keep(&self, key: Key, allow: Allow) {
        self.0.insert(key, allow);
    }

    /// Removes this allow, and no other that has taken its place.
    pub(crate) fn remove(&self, key: &Key, allow: &Allow) {
        self.0.remove_if(key, |kept| std::sync::Arc::ptr_eq(kept.held(), allow.held()));
    }

    /// Removes what is over.
    pub(crate) fn tidy(&self) {
        self.0.retain(|_, allow| !allow.held().is_over());
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}
