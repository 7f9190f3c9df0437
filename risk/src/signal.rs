//! The signals: each a module with its formula, its units and where it comes from.

pub(crate) mod binding;
pub(crate) mod client;
pub(crate) mod device;
pub(crate) mod failures;
pub(crate) mod hour;
pub(crate) mod network;
pub(crate) mod posture;
pub(crate) mod session;
pub(crate) mod travel;

use crate::{Baseline, Evidence, EvidenceItem, Sighting};

/// Compares a sighting with what is normal. Cannot fail: what is missing is said, and lowers nothing.
///
/// With fewer than about five learned events a contribution counts n / (n + 3): the first day of a subject is neither trusted nor blocked.
#[must_use]
pub fn observe(sighting: &Sighting, baseline: &Baseline) -> Evidence {
    let learned = baseline.weight();
    let warmth = if learned < 5.0 { learned / (learned + 3.0) } else { 1.0 };
    let against_history = [
        travel::observe(sighting, baseline),
        network::observe(sighting, baseline),
        device::observe(sighting, baseline),
        client::observe(sighting, baseline),
        session::observe(sighting, baseline),
        hour::observe(sighting, baseline),
    ];
    let against_history = against_history.into_iter().flatten().map(|item| EvidenceItem { nats: item.nats * warmth, ..item });
    let of_itself = [binding::observe(sighting), binding::counter(sighting), posture::observe(sighting), failures::observe(sighting)];
    Evidence(of_itself.into_iter().flatten().chain(against_history).collect())
}
