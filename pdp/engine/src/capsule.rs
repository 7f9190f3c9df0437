//! What a decision point knows of one presentation, for an edge that decides by itself what is plainly safe.
//!
//! It holds no salt. What a request shows was keyed by the decision point, so a capsule is good for the very same presentation only: the same subject,
//! session, token, device, client and address. What is asked, and when, may differ.

use std::borrow::Cow;

use countersign_risk::{BindingState, Sighting};
use countersign_sdk_types::{Digest, Lease, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decide::{Decided, decide_on};
use crate::facts::Facts;
use crate::identify::{Identified, IdentifiedBy};
use crate::request::Credentials;
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// The facts of one presentation, as the decision point had them when it was asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    presentation: Digest,
    facts: Facts,
    sighting: Sighting,
}

impl Capsule {
    /// The capsule of a decided request; none where its facts are not for keeping: an emergency, a lock, a proof that was good once, a session cookie, or a
    /// token whose session left no trail yet.
    #[must_use]
    pub fn of(identified: &Identified, credentials: &Credentials, facts: &Facts, sighting: &Sighting) -> Option<Self> {
        let is_told = match identified.by {
            IdentifiedBy::Token => facts.trail.is_some(),
            IdentifiedBy::Pep => true,
            IdentifiedBy::Session => false,
        };
        let is_plain = identified.binding == BindingState::NotDeclared && credentials.proof.is_none();
        let is_calm = !facts.break_glass && facts.revoked.is_none() && facts.locked_until.is_none() && !facts.repeated_demand;
        let presentation = presentation(identified, credentials)?;
        (is_told && is_plain && is_calm).then(|| Self { presentation, facts: facts.clone(), sighting: sighting.clone() })
    }

    /// Whose it is.
    #[must_use]
    pub const fn presentation(&self) -> Digest {
        self.presentation
    }

    /// What time it was at the decision point.
    #[must_use]
    pub const fn seen(&self) -> Timestamp {
        self.sighting.at
    }

    /// Decides another request of the same presentation; `None` for any other. Pure, and the same `decide` as everywhere.
    #[must_use]
    pub fn decide(&self, identified: &Identified, credentials: &Credentials, snapshot: &Snapshot, now: Timestamp) -> Option<Decided> {
        if presentation(identified, credentials) != Some(self.presentation) || now < self.sighting.at {
            return None;
        }
        let sighting = Sighting { at: now, ..self.sighting.clone() };
        Some(decide_on(sighting, identified, &self.facts_at(now), snapshot, now))
    }

    /// What waited for its day when the facts were looked up may be known by now, as it would be to the decision point.
    fn facts_at(&self, now: Timestamp) -> Cow<'_, Facts> {
        if self.facts.baseline.waiting().next().is_none() {
            return Cow::Borrowed(&self.facts);
        }
        let mut facts = self.facts.clone();
        facts.baseline.settle(now);
        Cow::Owned(facts)
    }
}

/// A capsule with what ends it, as a decision point hands it to an edge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// How long, and until what.
    pub lease: Lease,
    /// The facts.
    pub capsule: Capsule,
}

/// The name of everything that facts and sighting rest on, apart from what is asked and when.
///
/// INVARIANT: whatever a look-up of facts or a sighting reads of a request is in here; a new member of either is judged here.
#[must_use]
pub fn presentation(identified: &Identified, credentials: &Credentials) -> Option<Digest> {
    let Identified { request, subject, session, device, token, binding, by } = identified;
    let Credentials { token: presented, proof, session_cookie, device: cookie, grant } = credentials;
    let named = request.asserted_subject.as_ref().map(|subject| (&subject.kind, &subject.id));
    let asked = (&request.tenant, &request.pep, named, request.client_address, &request.agent, &request.client_certificate);
    let proved = (subject, session, device, token, binding, by);
    let brought = (presented, proof, session_cookie, cookie, grant);
    // A digest, so that no secret is in what is kept or sent.
    let bytes = serde_json::to_vec(&(asked, proved, brought)).ok()?;
    Some(Digest(*blake3::Hasher::new_derive_key("countersign presentation 1").update(&bytes).finalize().as_bytes()))
}
