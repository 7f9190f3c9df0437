//! How the pointer of a session moved, against how the subject moves it. The client's own word: it raises a score and never lowers one.

use countersign_sdk_types::Signal;
use serde::{Deserialize, Serialize};

use crate::{EvidenceItem, Known};

/// More than a verifier gives is not believed.
const MOST_NATS: f64 = 3.0;

/// What a pointer verifier says of a session: enough to decide and to replay, and nothing of single actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behavior {
    /// What is added to the sum of the signals, in nats; below zero counts as zero.
    pub nats: f64,
    /// Actions repeat earlier ones to the last bit.
    pub is_replay: bool,
    /// One sentence for people.
    pub text: String,
}

impl Behavior {
    /// What was seen, for a grant to answer: a pointer that moved as its owner's at the ceremony answers nothing for one that no longer does.
    fn salient(&self) -> &'static [u8] {
        match () {
            () if self.is_replay => b"replay",
            () if self.nats > 0.0 => b"movement",
            () => b"own",
        }
    }
}

pub(crate) fn observe(known: &Known<'_>) -> Option<EvidenceItem> {
    let behavior = known.behavior?;
    Some(EvidenceItem::new(Signal::Behavior, behavior.nats.clamp(0.0, MOST_NATS), behavior.salient(), behavior.text.clone()))
}
