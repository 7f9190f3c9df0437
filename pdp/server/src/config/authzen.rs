//! What AuthZEN offers, and to whom.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_pdp_engine::signing::SigningKey;
use serde::Deserialize;

/// Which of AuthZEN's APIs an enforcement point may use. A search tells more than a decision does, so it is given by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthzenUse {
    /// None.
    None,
    /// Evaluation, one by one or many at once.
    #[default]
    Evaluate,
    /// These, and the searches.
    Search,
}

/// A client certificate by which an enforcement point is known, once the listener's `client_ca` vouched for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// An alternative name in it: `dns:…` or `uri:…`.
    Alternative(String),
    /// The base64url of the SHA-256 of its DER.
    Thumbprint(String),
}

/// The limits of AuthZEN's APIs, and its metadata.
#[derive(Debug, Clone)]
pub struct Authzen {
    /// The identifier of the decision point, without a slash at its end.
    pub identifier: Option<String>,
    /// Signs the metadata.
    pub signing_key: Option<SigningKey>,
    /// Types of obligations beside those of the profile.
    pub obligations: BTreeSet<String>,
    /// How long a batch, or a page of a search, may take.
    pub deadline: Duration,
    /// The most evaluations of a batch.
    pub most_evaluations: usize,
    /// The most candidates that a page of a search looks at.
    pub most_candidates: usize,
}

impl Default for Authzen {
    fn default() -> Self {
        Self {
            identifier: None,
            signing_key: None,
            obligations: BTreeSet::new(),
            deadline: Duration::from_secs(1),
            most_evaluations: 1000,
            most_candidates: 1000,
        }
    }
}
