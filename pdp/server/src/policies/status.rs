//! What operators are told about the policy: what is active since when, and what stands against the folder's content.

use countersign_sdk_types::{Digest, Revision, Timestamp};
use serde::Serialize;

/// The active revision, and a candidate that is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// What decides.
    pub revision: Revision,
    /// Since when.
    pub activated_at: Timestamp,
    /// What the folder holds, where that was refused.
    pub candidate: Option<CandidateStatus>,
}

/// A refused candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateStatus {
    /// Of the folder's content.
    pub digest: Digest,
    /// What stands against it, a sentence each.
    pub problems: Vec<String>,
}
