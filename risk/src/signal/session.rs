//! Session continuity: a session that turns up in another network or client than it was first seen in.
//!
//! ln [ p(seen | stolen) / p(seen | genuine) ] of a continued session. People carry sessions home and back; they seldom carry one into a network in
//! which they were never verified, and a thief always does:
//!
//! | the session came from elsewhere, and here … | nats |
//! |---|---|
//! | the system is new to the subject | 3.5 |
//! | only the prefix is new | 1 + ½ ln (1 / m), at most 2.25 |
//! | only the prefix is new, and the session stayed in its system | ln (1 / m), at most 2.5 |
//! | everything is known, or the subject's key was proved | 0 |
//!
//! where m is how often the subject moves between prefixes of the system: nearly always with a mobile carrier, which then costs nothing. Another browser
//! family or operating system is worth 1.5 more: a browser does not change under a session.

use countersign_sdk_types::Signal;

use super::network;
use crate::{EvidenceItem, Keyed, Known, Sighting};

const NEW_SYSTEM: f64 = 3.5;
const NEW_PREFIX: f64 = 1.0;
const MOST: f64 = 2.5;
const OTHER_CLIENT: f64 = 1.5;

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    let origin = known.trail?.origin;
    let has_moved = origin.prefix.is_some() && sighting.prefix.is_some() && origin.prefix != sighting.prefix;
    let is_new = has_moved && known.baseline.prefix(sighting.prefix) <= 0.0;
    let unusual = || (-libm::log(network::moves(sighting, known))).clamp(0.0, MOST);
    let carried = match () {
        () if !is_new || known.is_continuous(sighting) => 0.0,
        () if origin.asn.is_some() && origin.asn == sighting.asn => unusual(),
        () if known.baseline.network(sighting.asn).weight > 0.0 => NEW_PREFIX + unusual() / 2.0,
        () => NEW_SYSTEM,
    };
    // One that stops saying what it is, is another one.
    let is_other = origin.client.is_some_and(|then| sighting.client.is_none_or(|now| then.family != now.family));
    let swapped = if is_other { OTHER_CLIENT } else { 0.0 };
    let text = match (carried > 0.0, swapped > 0.0) {
        (false, false) => return None,
        (true, true) => "the session moved to another client, in a network that is new to the subject",
        (false, true) => "the session moved to another client",
        (true, false) => "the session moved to a network that is new to the subject",
    };
    let [a, b, c, d] = sighting.prefix.map_or([0; 4], |Keyed(prefix)| prefix.to_le_bytes());
    let salient = [a, b, c, d, sighting.client.map_or(u8::MAX, |client| client.family.code())];
    Some(EvidenceItem::new(Signal::Session, carried + swapped, &salient, text))
}
