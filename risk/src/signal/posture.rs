//! Device posture: what the inventory says. A fixed quarter of a nat for each rule that is known to be broken; unknown adds nothing here, because policies
//! see the pessimistic flag.

use countersign_sdk_types::Signal;

use crate::{EvidenceItem, Sighting};

pub(crate) fn observe(sighting: &Sighting) -> Option<EvidenceItem> {
    let broken = [sighting.posture.compliant, sighting.posture.managed].iter().filter(|flag| **flag == Some(false)).count();
    let nats = [0.0, 0.25, 0.5].get(broken).copied().unwrap_or(0.5);
    (broken > 0).then(|| EvidenceItem::new(Signal::Posture, nats, &[], "the inventory says that the device does not meet the rules"))
}
