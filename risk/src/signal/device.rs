//! The device: ln [ p(seen | attacker) / p(seen | subject) ].
//!
//! - A proved key that the subject has used before: −4 nats. It cannot be copied. One that three others of the organisation prove too belongs to a client
//!   that acts for them, and is no credit.
//! - A known cookie: −1, since it is copied together with a token.
//! - An unknown or hidden device: ln (0.7 / e), at most 3, where e = 0.4 / (n + 8) is how often a genuine event comes on a new device after n learned
//!   events. A fingerprint whose components match a known device halves that: a cleared cookie or an updated browser is not a new device. Half only,
//!   since every component can be copied.
//! - No key from a subject whose devices prove keys: ln (0.95 / (1.02 − s)), at most 3, where s is the share of learned events with a key; at least 1.5
//!   for a device that itself proved one before.
//! - A device that three others of the organisation use too, a kiosk, is no credit; and no blame in a network of the subject or of the organisation. Its cookie
//!   is known to many, so elsewhere it is as new as any.

use countersign_sdk_types::Signal;

use crate::known::KIOSK;
use crate::{EvidenceItem, Keyed, Known, Sighting};

const PROVED: f64 = -4.0;
const COOKIE: f64 = -1.0;
const HIDDEN: f64 = 0.7;
const NEW: f64 = 0.05;
const BELIEF: f64 = 8.0;
const MOST: f64 = 3.0;
/// What a device that proved a key before, and now does not, is worth at least.
const WITHOUT_ITS_KEY: f64 = 1.5;

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    let baseline = known.baseline;
    let item = |nats: f64, text: &'static str| {
        EvidenceItem::new(
            Signal::Device,
            nats,
            &sighting.key.or(sighting.cookie).map_or([0; 4], |Keyed(device)| device.to_le_bytes()),
            text,
        )
    };
    let resembles = sighting.fingerprint.is_some_and(|fingerprint| baseline.resembles(fingerprint));
    let new = || libm::log(HIDDEN * (baseline.weight() + BELIEF) / (NEW * BELIEF)).clamp(0.0, MOST);
    let unseen = || new() * if resembles { 0.5 } else { 1.0 };
    let keyless = || libm::log(0.95 / (1.02 - baseline.keyed_share())).clamp(0.0, MOST);
    let is_shared = known.organisation.device >= KIOSK;
    let is_at_home = || baseline.prefix(sighting.prefix) > 0.0 || known.organisation.prefix >= KIOSK;
    if let Some(key) = sighting.key {
        return Some(match baseline.knows_device(key) {
            true if is_shared => item(0.0, "the key is one that many subjects prove, so it is a client's and no person's"),
            true => item(PROVED, "the device proved a key that the subject has used before"),
            false => item(unseen(), "the device proved a key that is new to the subject"),
        });
    }
    Some(match sighting.cookie.and_then(|cookie| baseline.device(cookie)) {
        Some(device) if device.is_keyed() => item(keyless().max(WITHOUT_ITS_KEY), "the device did not prove the key that it proved before"),
        Some(_) if is_shared => item(0.0, "the device is shared by many"),
        Some(_) => item(COOKIE, "the device is one that the subject has used before"),
        None if is_shared && is_at_home() => item(keyless(), "the device is shared by many"),
        None if sighting.cookie.is_none() && !baseline.has_devices() => item(0.0, "no device is known"),
        None if resembles => item(unseen() + keyless(), "the device is not known, and looks like one that the subject has used before"),
        None if sighting.cookie.is_none() => item(unseen() + keyless(), "the device does not show itself, though the subject's devices do"),
        None => item(unseen() + keyless(), "the device is new to the subject"),
    })
}
