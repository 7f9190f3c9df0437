//! The hour of the day in the subject's home zone: −ln 48 − ln p(half hour), clipped to −1 … 1.5 nats.
//!
//! p is a circular kernel density over 48 half hours, von Mises with a width of 1.5 h (κ = 6.5), with a uniform prior worth five events; the
//! attacker is uniform. On real clocks this beat the ratio to the population and the split into weekdays at such history sizes. Hour alone is weak
//! evidence, hence the clip.

use countersign_sdk_types::{Signal, Timestamp};
use jiff::tz::TimeZone;

use crate::{Baseline, EvidenceItem, Sighting};

/// Half hours in a day.
pub(crate) const BINS: usize = 48;
const PRIOR: f64 = 5.0;
const KAPPA: f64 = 6.5;

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    if baseline.weight() < 3.0 {
        return Some(EvidenceItem::new(Signal::Hour, 0.0, &[], "too little is known of the subject's hours"));
    }
    let density = density(baseline.half_hours(), bin(sighting.at, baseline.home_zone()));
    let nats = (-libm::log(density * 48.0)).clamp(-1.0, 1.5);
    let text = if nats > 0.5 { "an hour at which the subject is seldom seen" } else { "an hour at which the subject is often seen" };
    Some(EvidenceItem::new(Signal::Hour, nats, &[], text))
}

/// The half hour of the day at an instant in a zone; UTC when the zone is not known.
pub(crate) fn bin(at: Timestamp, zone: Option<&str>) -> usize {
    let zone = zone.and_then(|zone| jiff::tz::db().get(zone).ok()).unwrap_or(TimeZone::UTC);
    let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let local = zone.to_datetime(instant);
    let half_hour = i32::from(local.hour()) * 2 + i32::from(local.minute()) / 30;
    usize::try_from(half_hour).unwrap_or(0) % BINS
}

/// The probability of one half hour.
fn density(weights: &[f64], at: usize) -> f64 {
    let kernel = |steps: usize| {
        let angle = f64::from(u32::try_from(steps).unwrap_or(0)) * std::f64::consts::TAU / 48.0;
        libm::exp(KAPPA * (libm::cos(angle) - 1.0))
    };
    let norm: f64 = (0..BINS).map(kernel).sum();
    let all: f64 = weights.iter().sum();
    let near: f64 = weights.iter().enumerate().map(|(bin, weight)| weight * kernel((bin + BINS - at) % BINS)).sum();
    (near / norm + PRIOR / 48.0) / (all + PRIOR)
}
