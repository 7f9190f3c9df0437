//! Recent failures, each fading by half every ten minutes. Being asked for a proof is no failure; a failed assertion is.
//!
//! | what failed | nats each | at most |
//! |---|---|---|
//! | a proof of this subject | 0.5 | 2 |
//! | a proof or a token from this address | 0.25 | 1 |
//! | a token on this device | 0.5 | 1 |
//! | a request that the policy refused this subject | 0.05 | 0.5 |
//! | proofs of other subjects, from this network (spraying) | 0.5 each from the second on | 2 |
//!
//! At most 3 together. Refusals count little: an application that polls what it may not read is no attacker.

use countersign_sdk_types::Signal;

use crate::{EvidenceItem, Sighting};

const MOST: f64 = 3.0;

pub(crate) fn observe(sighting: &Sighting) -> Option<EvidenceItem> {
    let failures = sighting.failures;
    let nats = |count: u32, each: f64, most: f64| (f64::from(count) * each).min(most);
    let sprayed = nats(failures.sprayed.saturating_sub(1), 0.5, 2.0);
    let own = nats(failures.subject, 0.5, 2.0) + nats(failures.address, 0.25, 1.0) + nats(failures.device, 0.5, 1.0);
    let all = (own + nats(failures.denials, 0.05, 0.5) + sprayed).min(MOST);
    let text = match sprayed > 0.0 {
        true => "the network tried the accounts of several subjects a short while ago",
        false => "proofs, tokens or requests failed here a short while ago",
    };
    (all > 0.0).then(|| EvidenceItem::new(Signal::Failures, all, &[], text))
}
