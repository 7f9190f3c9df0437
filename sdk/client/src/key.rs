//! What tells one question from another: all of its bytes, with a hash that nobody outside this process can foresee.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use countersign_sdk_types::EvaluationRequest;
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

/// A question as it is compared: equal only when every byte is.
#[derive(Clone)]
pub(crate) struct Key(Arc<Written>);

struct Written {
    hash: u64,
    bytes: Vec<u8>,
}

impl Key {
    /// Members are written in the order of their names, so that equal questions have equal bytes.
    pub(crate) fn of(asked: &EvaluationRequest, supported: &BTreeSet<String>) -> Option<Self> {
        let mut bytes = Vec::with_capacity(1024);
        serde_json::to_writer(&mut bytes, &(asked, supported)).ok()?;
        Some(Self(Arc::new(Written { hash: seeded().hash_one(bytes.as_slice()), bytes })))
    }

    /// How many bytes are held.
    pub(crate) fn size(&self) -> usize {
        self.0.bytes.len()
    }
}

/// One seed for the process, of the randomness that the standard library takes from the system.
fn seeded() -> &'static SeedableRandomState {
    static SEEDED: OnceLock<SeedableRandomState> = OnceLock::new();
    SEEDED.get_or_init(|| {
        let random = std::hash::RandomState::new().hash_one(0_u8);
        SeedableRandomState::with_seed(random, SharedSeed::global_random())
    })
}

/// The bytes hold what was presented, so they are not shown.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("bytes", &self.size()).finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// Takes the hash that a key brings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Brought(u64);

impl BuildHasher for Brought {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Brought {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // A key writes one number; this is for whatever else might be hashed.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
