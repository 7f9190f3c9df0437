//! The network: back-off likelihood address → prefix → autonomous system → country, per subject, against a stated mixture of attackers.
//!
//! ln [ p(seen | attacker) / p(seen | subject) ] at the coarsest level that is new to the subject (Freeman et al., NDSS 2016, with the attacker stated
//! instead of the population, since attackers do not behave like other users):
//!
//! | seen | attacker | subject, after n learned events |
//! |---|---|---|
//! | a known address, −3 … −0.5 nats | 0.01 | its share of all events |
//! | a known prefix, −1.5 … −0.5 nats | 0.05 | its share of all events |
//! | a known system, new prefix | 0.10 | share of the system · how often the subject moves in it |
//! | a known country, new system | 0.30 | (0.5 · other systems + 0.04 · 20) / (n + 20) |
//! | a new country | 0.50 | (0.5 · other countries + 0.02 · 20) / (n + 20) |
//!
//! How often a subject moves between prefixes of a system is smoothed by how the organisation moves in it, and that by one move in ten: mobile carriers
//! come out as what they are, with no list of them. A prefix in which three others of the organisation were verified within 30 days is an office, and costs
//! nothing, unless a list calls it an anonymizer. A system that nobody in the organisation uses adds 0.7 nats, one that few use 0.2; one that many use
//! takes 0.3, and 1 when it is a mobile carrier.
//! Lists add: a network known as hosting or as an anonymizer is worth one nat more where it is new. What no list says counts nothing, since most
//! hosting networks are on none. A new network that a working place database does not list counts as a country of its own.
//! With a key that the subject proved before, a network that is new to them counts nothing: what cannot be copied was not carried there by a thief alone.

use countersign_sdk_types::Signal;

use crate::{EvidenceItem, Known, Sighting};

/// Where attackers come from: another country, another network in a country of the subject, another part of a network of the subject.
const ABROAD: f64 = 0.50;
const ELSEWHERE: f64 = 0.30;
const NEARBY: f64 = 0.10;
/// In a prefix of the subject, and at an address of theirs: behind the same router, on the same wireless network.
const PREFIX: f64 = 0.05;
const ADDRESS: f64 = 0.01;
/// How often a genuine event comes from a new country or a new system, and how many events that belief is worth.
const NEW_COUNTRY: f64 = 0.02;
const NEW_SYSTEM: f64 = 0.04;
const BELIEF: f64 = 20.0;
/// What each further country or system in a subject's list adds to the count of new ones. Half: some were learned because they were new.
const EACH: f64 = 0.5;
/// How often a genuine event in a known system comes from a new prefix: the belief, its worth in the organisation's events, and in the subject's.
const MOVES: f64 = 0.1;
const MOVES_IN_ORGANISATION: f64 = 10.0;
const MOVES_OF_SUBJECT: f64 = 6.0;
/// Others of the organisation who make a prefix an office, and a system a common one.
const OFFICE: u8 = 3;
const COMMON: u8 = 5;
/// Less than the weakest event: what is below is rounding.
const SOME: f64 = 0.2;
/// What a known anonymizer or hosting network adds where it is new.
const LISTED: f64 = 1.0;

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    let Some(prefix) = sighting.prefix else {
        let text = if sighting.private { "the address is private and has no location" } else { "the address is not known" };
        return Some(EvidenceItem::new(Signal::Network, 0.0, &[], text));
    };
    let salient = u64::from(prefix.0) << 32 | u64::from(sighting.asn.map_or(0, |asn| asn.0));
    let (nats, text) = compare(sighting, known);
    let nats = if known.is_continuous(sighting) { nats.min(0.0) } else { nats };
    Some(EvidenceItem::new(Signal::Network, nats, &salient.to_be_bytes(), text))
}

fn compare(sighting: &Sighting, known: &Known<'_>) -> (f64, &'static str) {
    let (baseline, organisation) = (known.baseline, known.organisation);
    let listed = if sighting.anonymizer { LISTED } else { 0.0 };
    let (host, prefix) = (baseline.host(sighting.host), baseline.prefix(sighting.prefix));
    let is_placed = sighting.asn.is_some() || sighting.country.is_some();
    match () {
        () if host > 0.0 => (familiar(ADDRESS, host, known).max(-3.0), "the address is one that the subject has used before"),
        () if prefix > 0.0 => (familiar(PREFIX, prefix, known).max(-1.5), "the network is one that the subject has used before"),
        () if organisation.prefix >= OFFICE && !sighting.anonymizer => (0.0, "the network is one that others of the organisation use"),
        () if !is_placed && sighting.unlisted => {
            (abroad(known, baseline.unplaced() >= SOME) + listed, "a new network that no place database lists")
        }
        // The database is missing or stale: that is our fault, and says little of the subject.
        () if !is_placed => (0.5, "nothing is known of the network"),
        () if baseline.network(sighting.asn).weight > 0.0 => {
            (nearby(sighting, known) + listed, "another part of a network that the subject uses")
        }
        () if baseline.country(sighting.country) > 0.0 => {
            (elsewhere(known) + listed, "a network that is new to the subject, in a known country")
        }
        () => (abroad(known, false) + listed, "a network in a country that is new to the subject"),
    }
}

/// An address or a prefix of the subject: the more of their events come from it, the less it speaks for an attacker.
fn familiar(attacker: f64, weight: f64, known: &Known<'_>) -> f64 {
    libm::log(attacker * (known.baseline.weight() + 1.0) / weight).min(-0.5)
}

/// A country that is new to the subject; or, where the subject came from unlisted addresses before, one more of those.
fn abroad(known: &Known<'_>, is_usual: bool) -> f64 {
    let others = count(known.baseline.countries().saturating_sub(1));
    let subject = (EACH * others + NEW_COUNTRY * BELIEF) / (known.baseline.weight() + BELIEF);
    let nats = libm::log(ABROAD / subject) + rarity(known);
    if is_usual { elsewhere(known) } else { nats.clamp(0.0, 4.5) }
}

fn elsewhere(known: &Known<'_>) -> f64 {
    let others = count(known.baseline.networks().saturating_sub(1));
    let subject = (EACH * others + NEW_SYSTEM * BELIEF) / (known.baseline.weight() + BELIEF);
    (libm::log(ELSEWHERE / subject) + rarity(known)).clamp(0.0, 3.5)
}

/// Never more than a system that is new altogether.
fn nearby(sighting: &Sighting, known: &Known<'_>) -> f64 {
    let share = f64::from(known.baseline.network(sighting.asn).weight) / (known.baseline.weight() + 1.0);
    libm::log(NEARBY / (share * moves(sighting, known))).clamp(-0.5, (elsewhere(known) - 0.2).max(0.0))
}

/// How often an event of the subject in this autonomous system comes from a prefix that is new to them.
pub(super) fn moves(sighting: &Sighting, known: &Known<'_>) -> f64 {
    let (system, churn) = (known.baseline.network(sighting.asn), known.organisation.churn);
    let usual = (f64::from(churn.moved) + MOVES * MOVES_IN_ORGANISATION) / (f64::from(churn.events) + MOVES_IN_ORGANISATION);
    (f64::from(system.marked) + usual * MOVES_OF_SUBJECT) / (f64::from(system.weight) + MOVES_OF_SUBJECT)
}

fn rarity(known: &Known<'_>) -> f64 {
    match known.organisation.network {
        0 => 0.7,
        few if few < COMMON => 0.2,
        _ if known.organisation.churn.is_carrier() => -1.0,
        _ => -0.3,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the length of a list of a few entries")]
const fn count(entries: usize) -> f64 {
    entries as f64
}
