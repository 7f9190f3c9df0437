//! What a sighting says against, or for, its subject: a list of named contributions.

use countersign_sdk_types::{Digest, RiskScore, Signal};
use serde::{Deserialize, Serialize};

/// One contribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceItem {
    /// Its kind.
    pub signal: Signal,
    /// The clipped log-likelihood ratio in nats: above zero speaks for an attacker.
    pub nats: f64,
    /// The score is at least this, whatever else was seen: 100 for a hard rule, 0 for most.
    pub floor: RiskScore,
    /// One sentence for people.
    pub text: String,
    /// What exactly was seen, so that a grant can answer this and nothing else.
    pub digest: Digest,
}

/// All contributions, in the order of [`Signal::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence(pub(crate) Vec<EvidenceItem>);

impl Evidence {
    /// The contributions.
    #[must_use]
    pub fn items(&self) -> &[EvidenceItem] {
        &self.0
    }
}

impl EvidenceItem {
    pub(crate) fn new(signal: Signal, nats: f64, salient: &[u8], text: impl Into<String>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("countersign evidence 1");
        hasher.update(signal.name().as_bytes()).update(&[0]).update(salient);
        Self { signal, nats, floor: RiskScore::MIN, text: text.into(), digest: Digest(*hasher.finalize().as_bytes()) }
    }

    pub(crate) fn hard(signal: Signal, salient: &[u8], text: impl Into<String>) -> Self {
        Self { floor: RiskScore::MAX, ..Self::new(signal, 0.0, salient, text) }
    }
}
