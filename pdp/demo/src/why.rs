//! Why a decision came out as it did, in a shape that a page can draw; the words of the terminal are kept beside it.

use std::net::IpAddr;

use countersign_sdk_types::{Effect, Reason};
use serde::Serialize;

use crate::backstage::Place;

/// One decision, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// Its id.
    pub decision: String,
    /// The answer.
    pub effect: Effect,
    /// When, in Paris, as people read it.
    pub at: String,
    /// Where the request came from.
    pub client: Option<IpAddr>,
    /// What was wrong, where nothing could be decided or the answer was no.
    pub detail: Option<String>,
    /// The risk, 0 to 100, after live grants.
    pub risk: Option<u8>,
    /// The risk before grants: the threat itself.
    pub inherent: Option<u8>,
    /// What it is made of, the weightiest first.
    pub reasons: Vec<Reason>,
    /// What the policy says for people.
    pub policy: Vec<String>,
    /// What would have made it an allow.
    pub remedy: String,
    /// All of it as `countersign why` prints it.
    pub text: String,
}

impl Why {
    /// The answer, in a heading.
    #[must_use]
    pub const fn answer(&self) -> &'static str {
        match self.effect {
            Effect::Allow => "Allowed",
            Effect::StepUp => "Not like this: prove it with a passkey",
            Effect::Deny => "Denied",
        }
    }

    /// The risk that counted is lower than the threat, because a proof answered it.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.risk < self.inherent
    }

    /// Where the request came from, by name.
    #[must_use]
    pub fn place(&self) -> Option<&'static str> {
        self.client.map(|client| Place::of(client).name())
    }

    /// Reasons that weigh anything.
    pub fn weighing(&self) -> impl Iterator<Item = Bar<'_>> {
        self.reasons.iter().filter(|reason| reason.points != 0).map(|reason| Bar {
            signal: reason.signal.name(),
            points: reason.points,
            length: reason.points.unsigned_abs(),
            text: &reason.text,
        })
    }
}

/// A reason as a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar<'a> {
    /// The kind of evidence.
    pub signal: &'a str,
    /// Its points.
    pub points: i8,
    /// How long the bar is, of 100.
    pub length: u8,
    /// One sentence.
    pub text: &'a str,
}

impl Bar<'_> {
    /// The points with their sign.
    #[must_use]
    pub fn signed(&self) -> String {
        format!("{:+}", self.points)
    }
}

#[cfg(test)]
mod tests;
