//! What a sighting says against, or for, its subject: a list of named contributions.

use std::borrow::Cow;

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
    pub text: Cow<'static, str>,
    /// What exactly was seen, so that a grant can answer this and nothing else: the signal, and the keyed identifiers that it looked at.
    pub digest: Digest,
}

/// All contributions.
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
    /// `salient`: what the evidence rests on, at most 30 bytes. It is keyed where it could name anything, so it is kept as it is.
    pub(crate) fn new(signal: Signal, nats: f64, salient: &[u8], text: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(salient.len() <= 30, "two pieces of evidence could be taken for one");
        let mut seen = [0; 32];
        let [kind, length, rest @ ..] = &mut seen;
        (*kind, *length) = (signal as u8, u8::try_from(salient.len()).unwrap_or(u8::MAX));
        if let Some(part) = rest.get_mut(..salient.len()) {
            part.copy_from_slice(salient);
        }
        Self { signal, nats, floor: RiskScore::MIN, text: text.into(), digest: Digest(seen) }
    }

    pub(crate) fn hard(signal: Signal, salient: &[u8], text: impl Into<Cow<'static, str>>) -> Self {
        Self { floor: RiskScore::MAX, ..Self::new(signal, 0.0, salient, text) }
    }
}
