//! The one error of this crate: opaque, with a kind. None of them ever means allow.

use std::sync::Arc;

/// What went wrong, by who can mend it.
///
/// ```
/// use countersign_sdk_client::{Client, ErrorKind};
///
/// let error = Client::builder("ftp://pdp.example").pep("payroll", "secret").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client was built with something that cannot work: an address, a name, a secret. Or a question cannot be sent as it is.
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
    /// Nothing was asked: every address failed so often that it is left alone for a moment.
    CircuitOpen,
}

/// Why there is no answer.
///
/// It is opaque: [`Error::kind`] is what a program can act on. It never holds a secret.
///
/// ```
/// use countersign_sdk_client::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "the snapshot is too old");
/// assert_eq!(error.to_string(), "the snapshot is too old");
/// ```
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: &'static str,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a decision point that is not this client; the message must hold no secret.
    ///
    /// ```
    /// # use countersign_sdk_client::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Deadline, "too late").kind(), ErrorKind::Deadline);
    /// ```
    #[must_use]
    pub const fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self { kind, message, source: None }
    }

    /// What went wrong.
    ///
    /// ```
    /// # use countersign_sdk_client::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Unreachable, "no connection");
    /// assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Deadline));
    /// ```
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn because(kind: ErrorKind, message: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, message, source: Some(Arc::from(source.into())) }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
