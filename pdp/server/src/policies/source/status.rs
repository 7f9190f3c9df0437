//! What operators are told about a source. No secret is in it.

use countersign_sdk_types::Timestamp;
use serde::Serialize;

/// How a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// `folder`, `git` or `bundle`.
    pub kind: &'static str,
    /// Where it is.
    pub at: String,
    /// When it was looked at last.
    pub looked_at: Option<Timestamp>,
    /// When it could be asked last.
    pub answered_at: Option<Timestamp>,
    /// Why it cannot be asked, where the last look failed.
    pub error: Option<String>,
}

impl SourceStatus {
    pub(super) fn new((kind, at): (&'static str, String)) -> Self {
        Self { kind, at, looked_at: None, answered_at: None, error: None }
    }

    /// The same after a look at an instant.
    pub(super) fn after(self, now: Timestamp, error: Option<String>) -> Self {
        let answered_at = if error.is_none() { Some(now) } else { self.answered_at };
        Self { looked_at: Some(now), answered_at, error, ..self }
    }
}
