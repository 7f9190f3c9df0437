//! Recent failures: half a nat for each failed proof of the subject, a quarter for each failure from the address, at most two nats together.
//! Being asked for a proof is no failure; a failed assertion is.

use countersign_sdk_types::Signal;

use crate::{EvidenceItem, Sighting};

pub(crate) fn observe(sighting: &Sighting) -> Option<EvidenceItem> {
    let failures = sighting.failures;
    let nats = (0.5 * f64::from(failures.subject) + 0.25 * f64::from(failures.address)).min(2.0);
    (nats > 0.0).then(|| EvidenceItem::new(Signal::Failures, nats, &[], "proofs or tokens failed here a short while ago"))
}
