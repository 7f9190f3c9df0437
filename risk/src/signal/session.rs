//! Session continuity: a session that was verified in one client and network and turns up in another. Another client is worth 1.5 nats (a browser
//! does not change under a session), another network 0.5 (people move).

use countersign_sdk_types::Signal;

use crate::{Baseline, EvidenceItem, Sighting};

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    let known = baseline.session(sighting.session)?;
    let moved_client = known.family.is_some() && sighting.family.is_some() && known.family != sighting.family;
    let moved_network = known.asn.is_some() && sighting.asn.is_some() && known.asn != sighting.asn;
    let (nats, text) = match (moved_client, moved_network) {
        (false, false) => return None,
        (true, true) => (2.0, "the session moved to another client and another network"),
        (true, false) => (1.5, "the session moved to another client"),
        (false, true) => (0.5, "the session moved to another network"),
    };
    Some(EvidenceItem::new(Signal::Session, nats, &[], text))
}
