//! Recent failures, each fading by half every ten minutes. Being asked for a proof is no failure; a failed assertion is.
//!
//! | what failed | nats each | at most |
//! |---|---|---|
//! | a proof of this subject | 0.25 | 1 |
//! | a proof or a token from this address | 0.1 | 0.5 |
//! | a token on this device | 0.25 | 0.5 |
//! | a request that the policy refused this subject | 0.02 | 0.2 |
//! | proofs of other subjects, from this network (spraying) | 0.25 from the second subject on | 1 |
//!
//! At most 1.4 together, 28 points: no passkey answers failures, so they tip a balance and never shut anybody out by themselves. Repeated demands are
//! stopped by a lock. Refusals count little: an application that polls what it may not read is no attacker.

use countersign_sdk_types::Signal;

use crate::{EvidenceItem, Sighting};

const MOST: f64 = 1.4;

pub(crate) fn observe(sighting: &Sighting) -> Option<EvidenceItem> {
    let failures = sighting.failures;
    let nats = |count: u32, each: f64, most: f64| (f64::from(count) * each).min(most);
    let sprayed = nats(failures.sprayed.saturating_sub(1), 0.25, 1.0);
    let own = nats(failures.subject, 0.25, 1.0) + nats(failures.address, 0.1, 0.5) + nats(failures.device, 0.25, 0.5);
    let all = (own + nats(failures.denials, 0.02, 0.2) + sprayed).min(MOST);
    let text = match sprayed > 0.0 {
        true => "the network tried the accounts of several subjects a short while ago",
        false => "proofs, tokens or requests failed here a short while ago",
    };
    (all > 0.0).then(|| EvidenceItem::new(Signal::Failures, all, &[], text))
}
