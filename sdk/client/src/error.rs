//! The one error of this crate: opaque, with a kind. None of them ever means allow.

/// What went wrong, by who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The client was built with something that cannot work: an address, a name, a secret.
    Configuration,
    /// No answer within the deadline.
    Deadline,
    /// No connection, or it broke.
    Unreachable,
    /// The decision point does not accept this caller or this question (a 4xx status).
    Refused,
    /// The decision point said that it cannot answer (a 5xx status).
    Unavailable,
    /// The answer is not one: too large, not strict JSON, of the wrong shape.
    Malformed,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a decision point that is not this client; the message must hold no secret.
    #[must_use]
    pub const fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self { kind, message, source: None }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn because(kind: ErrorKind, message: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, message, source: Some(source.into()) }
    }
}
