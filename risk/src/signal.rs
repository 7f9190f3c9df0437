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
    let mut items = Vec::with_capacity(MOST);
    let mut add = |item: Option<EvidenceItem>, warmth: f64| {
        let Some(mut item) = item else { return };
        item.nats *= weights.factor(item.signal) * if item.nats > 0.0 { warmth } else { 1.0 };
        items.push(item);
    };
    add(binding::observe(sighting), 1.0);
    add(binding::counter(sighting), 1.0);
    add(history::observe(sighting, known, weights.cold_start), 1.0);
    add(posture::observe(sighting), 1.0);
    add(failures::observe(sighting), 1.0);
    // Has a floor of its own on what was learned, so no warmth.
    add(behavior::observe(known), 1.0);
    add(travel::observe(sighting, known), warmth);
    add(network::observe(sighting, known), warmth);
    add(device::observe(sighting, known), warmth);
    add(client::observe(sighting, known), warmth);
    add(session::observe(sighting, known), warmth);
    add(hour::observe(sighting, known), warmth);
    Evidence(items)
}

/// Pieces of evidence that one sighting may give.
const MOST: usize = 12;
