//! The network: back-off likelihood prefix → autonomous system → country against a stated mixture of attackers.
//!
//! p(v | parent) = (c(v) + b g) / (c(parent) + b) with b = 1, where c are the subject's decayed counts and g is how common an average country (0.02),
//! system within it (0.05) and prefix within that (0.01) are. The attacker comes with 0.40 from hosting or anonymizers (only where a list says so),
//! with 0.35 from anywhere, with 0.25 from a consumer network in the subject's own country. After Freeman et al., NDSS 2016, with the
//! attacker stated instead of the population. Clipped to −2 … 3.5 nats. A new network that a working database does not list counts as one in a country
//! of its own, so that an attacker gains nothing by coming from there.

use countersign_sdk_types::Signal;

use crate::{Baseline, EvidenceItem, Sighting};

const COUNTRY: f64 = 0.02;
const SYSTEM: f64 = 0.05;
const PREFIX: f64 = 0.01;

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    let Some(prefix) = sighting.prefix else {
        let text = if sighting.private { "the address is private and has no location" } else { "the address is not known" };
        return Some(EvidenceItem::new(Signal::Network, 0.0, &[], text));
    };
    let salient = [prefix.0.to_le_bytes(), sighting.asn.map_or(0, |asn| asn.0).to_le_bytes()].concat();
    let item = |nats: f64, text: &str| EvidenceItem::new(Signal::Network, nats, &salient, text);
    if sighting.asn.is_none() && sighting.country.is_none() {
        let known = baseline.prefix(prefix) > 0.0;
        return Some(match () {
            () if known => item(-1.0, "the network is one that the subject has used before"),
            () if sighting.unlisted => item(unlisted(baseline), "a new network that no place database lists"),
            // The database is missing or stale: that is our fault, and says little of the subject.
            () => item(0.5, "nothing is known of the network"),
        });
    }
    let all = baseline.weight();
    let of_country = sighting.country.map_or(0.0, |country| baseline.country(country));
    let of_system = sighting.asn.map_or(0.0, |asn| baseline.network(asn));
    let of_prefix = baseline.prefix(prefix);
    let subject =
        backed_off(of_country, all, COUNTRY) * backed_off(of_system, of_country, SYSTEM) * backed_off(of_prefix, of_system, PREFIX);
    let hosting = if sighting.anonymizer { 0.40 * SYSTEM * PREFIX } else { 0.0 };
    let anywhere = 0.35 * COUNTRY * SYSTEM * PREFIX;
    let same_country = if of_country > 0.0 { 0.25 * SYSTEM * PREFIX } else { 0.0 };
    let nats = libm::log((hosting + anywhere + same_country) / subject).clamp(-2.0, 3.5);
    let text = match () {
        () if of_prefix > 0.0 => "the network is one that the subject has used before",
        () if of_system > 0.0 => "another part of a network that the subject uses",
        () if of_country > 0.0 => "a network that is new to the subject, in a known country",
        () => "a network in a country that is new to the subject",
    };
    Some(item(nats, text))
}

/// Addresses that a working database does not list are a country of their own: rare, and as new to a subject who never came from one as any other.
fn unlisted(baseline: &Baseline) -> f64 {
    let of_unlisted = baseline.unplaced();
    let subject = backed_off(of_unlisted, baseline.weight(), COUNTRY) * backed_off(0.0, of_unlisted, SYSTEM) * PREFIX;
    let same = if of_unlisted > 0.5 { 0.25 * SYSTEM * PREFIX } else { 0.0 };
    libm::log((0.35 * COUNTRY * SYSTEM * PREFIX + same) / subject).clamp(-2.0, 3.5)
}

fn backed_off(count: f64, of: f64, common: f64) -> f64 {
    // Counts of a parent can be smaller than its child's when the parent was dropped from a bounded list.
    ((count + common) / (of.max(count) + 1.0)).min(1.0)
}
