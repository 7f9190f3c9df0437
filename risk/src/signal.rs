//! The signals: each a module with its formula, its units and where it comes from.

pub(crate) mod behavior;
pub(crate) mod binding;
pub(crate) mod client;
pub(crate) mod device;
pub(crate) mod failures;
pub(crate) mod history;
pub(crate) mod hour;
pub(crate) mod network;
pub(crate) mod posture;
pub(crate) mod session;
pub(crate) mod travel;

use crate::{Evidence, EvidenceItem, Known, Sighting, Weights};

/// What speaks against a subject counts n / (n + ½) after n learned events: with nothing known everything is new, and newness says nothing.
const DOUBT: f64 = 0.5;

/// Compares a sighting with what is known. Cannot fail: what is missing is said, and lowers nothing.
#[must_use]
pub fn observe(sighting: &Sighting, known: &Known<'_>, weights: &Weights) -> Evidence {
    let learned = known.baseline.weight();
    let warmth = learned / (learned + DOUBT);
    let against_history = [
        travel::observe(sighting, known),
        network::observe(sighting, known),
        device::observe(sighting, known),
        client::observe(sighting, known),
        session::observe(sighting, known),
        hour::observe(sighting, known),
    ];
    let warmed = |item: EvidenceItem| EvidenceItem { nats: if item.nats > 0.0 { item.nats * warmth } else { item.nats }, ..item };
    let of_itself = [
        binding::observe(sighting),
        binding::counter(sighting),
        history::observe(known, weights.cold_start),
        posture::observe(sighting),
        failures::observe(sighting),
        // Has a floor of its own on what was learned, so no warmth.
        behavior::observe(known),
    ];
    let items = of_itself.into_iter().flatten().chain(against_history.into_iter().flatten().map(warmed));
    let weighted = items.map(|item| EvidenceItem { nats: item.nats * weights.factor(item.signal), ..item });
    Evidence(weighted.collect())
}
