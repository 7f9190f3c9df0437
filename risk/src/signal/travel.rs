//! Impossible travel between verified points, aware of how inaccurate places are.
//!
//! d' = max(0, d − r₁ − r₂ − 50 km), great-circle distance by the haversine formula on a sphere of 6,371 km. It counts when d' / Δt > 1,000 km/h, d' > 100 km
//! (1,000 km when a radius is 200 km or more: such places are guesses) and the autonomous system is new to the subject, which removes
//! thirteen of fourteen false alarms. Worth 2.5 nats.

use countersign_sdk_types::{Coordinates, Kilometers, Signal};

use crate::baseline::whole;
use crate::{Baseline, EvidenceItem, Sighting};

const SLACK: f64 = 50.0;
const KMH: f64 = 1_000.0;

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    let (last, here, asn) = (baseline.last_point()?, sighting.point?, sighting.asn?);
    if baseline.network(asn) > 0.0 {
        return None;
    }
    let radius = |radius: Option<Kilometers>| radius.map_or(200.0, |Kilometers(radius)| radius.max(0.0));
    let (from, to) = (radius(last.radius), radius(sighting.radius));
    let Kilometers(apart) = distance(last.point, here);
    let apart = (apart - from - to - SLACK).max(0.0);
    let least = if from >= 200.0 || to >= 200.0 { 1_000.0 } else { 100.0 };
    // An instant at least a minute long: two requests in one second are no evidence of infinite speed.
    let hours = (whole(sighting.at.since(last.at).0) / 3_600_000.0).max(1.0 / 60.0);
    if apart <= least || apart / hours <= KMH {
        return None;
    }
    let mut salient = asn.0.to_le_bytes().to_vec();
    salient.extend(sighting.country.iter().flat_map(|country| country.bytes()));
    let text = format!("{:.0} km since the last verified event, {:.0} hours before", libm::round(apart / 10.0) * 10.0, libm::ceil(hours));
    Some(EvidenceItem::new(Signal::Travel, 2.5, &salient, text))
}

/// The great-circle distance (haversine; R. W. Sinnott, "Virtues of the Haversine", 1984).
#[must_use]
pub fn distance(a: Coordinates, b: Coordinates) -> Kilometers {
    let half = |degrees: f64| libm::sin(degrees.to_radians() / 2.0);
    let (lat, lon) = (half(b.lat - a.lat), half(b.lon - a.lon));
    let h = lat * lat + libm::cos(a.lat.to_radians()) * libm::cos(b.lat.to_radians()) * lon * lon;
    Kilometers(2.0 * 6_371.0 * libm::asin(libm::sqrt(h.clamp(0.0, 1.0))))
}
