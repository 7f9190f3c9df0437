//! On which terms snapshots and facts are handed to who decides in-process.

use countersign_pdp_engine::signing::SigningKey;
use countersign_sdk_types::{Millis, Seconds};

/// The terms of signed snapshots, and of the facts that edges hold.
#[derive(Debug, Clone)]
pub struct SnapshotTerms {
    /// Signs snapshots; without it none is given.
    pub signing_key: Option<SigningKey>,
    /// How long a snapshot is good.
    pub life: Seconds,
    /// How long an edge may hold the facts of a subject, while its watch lives.
    pub facts: Millis,
}

impl Default for SnapshotTerms {
    fn default() -> Self {
        Self { signing_key: None, life: Seconds(24 * 3600), facts: Millis(900_000) }
    }
}
