//! Impossible travel, aware of how inaccurate places are.
//!
//! d' = max(0, d − r₁ − r₂ − 50 km), great-circle distance by the haversine formula on a sphere of 6,371 km. It counts when d' / Δt > 1,000 km/h (an
//! airliner with a tail wind), d' > 100 km (1,000 km when a radius is 200 km or more: such places are guesses) and the autonomous system is new to
//! the subject, which removes thirteen of fourteen false alarms. From where: the last verified point, or where the session was last let through at
//! low risk; either is enough, so that what is not verified can raise a score and never lower one. Satellite and relay networks have exits far from
//! their users, and say nothing; nor does a leap of a device that proves the subject's key. Worth 2 nats.

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, Signal};

use crate::{EvidenceItem, Known, Sighting, Whereabouts};

const SLACK: f64 = 50.0;
const KMH: f64 = 1_000.0;
const LEAST: f64 = 100.0;
const LEAST_OF_GUESSES: f64 = 1_000.0;
const GUESS: f64 = 200.0;
const NATS: f64 = 2.0;

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    let asn = sighting.asn?;
    if known.baseline.network(Some(asn)).weight > 0.0 || is_elsewhere_by_design(asn) || known.is_continuous(sighting) {
        return None;
    }
    let from = [known.baseline.last(), known.trail.and_then(|trail| trail.last.as_ref())];
    let leap = from.into_iter().flatten().find_map(|from| leap(from, sighting))?;
    let [a, b] = sighting.country.map_or([0; 2], Country::bytes);
    let salient = u64::from(asn.0) << 16 | u64::from(u16::from_be_bytes([a, b]));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a distance on the globe, and hours in which it is too far"
    )]
    let (apart, hours) = (libm::round(leap.apart / 10.0) as u32 * 10, libm::ceil(leap.hours) as u32);
    let text = format!("{apart} km or more from where the subject was within the last {hours} hours");
    Some(EvidenceItem::new(Signal::Travel, NATS, &salient.to_be_bytes(), text))
}

/// Satellite carriers (AS14593 Starlink, AS7155 Viasat, AS6621 Hughes, AS22351 Intelsat) and relays (AS36183, the egress of iCloud Private Relay, and
/// AS13335, that of WARP): the exit is where the operator has one.
const fn is_elsewhere_by_design(asn: Asn) -> bool {
    matches!(asn.0, 14_593 | 7_155 | 6_621 | 22_351 | 36_183 | 13_335)
}

struct Leap {
    apart: f64,
    hours: f64,
}

/// A distance that nobody covers in the time.
fn leap(from: &Whereabouts, sighting: &Sighting) -> Option<Leap> {
    let radius = |radius: Option<Kilometers>| radius.map_or(GUESS, |Kilometers(radius)| radius.max(0.0));
    let (there, here) = (radius(from.radius), radius(sighting.radius));
    let Kilometers(apart) = distance(from.point?, sighting.point?);
    let apart = (apart - there - here - SLACK).max(0.0);
    let least = if there >= GUESS || here >= GUESS { LEAST_OF_GUESSES } else { LEAST };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds below 2^53 are exact")]
    let millis = sighting.at.since(from.at).0 as f64;
    // An instant at least a minute long: two requests in one second are no evidence of infinite speed.
    let hours = (millis / 3_600_000.0).max(1.0 / 60.0);
    (apart > least && apart / hours > KMH).then_some(Leap { apart, hours })
}

/// The great-circle distance (haversine; R. W. Sinnott, "Virtues of the Haversine", 1984).
#[must_use]
pub fn distance(a: Coordinates, b: Coordinates) -> Kilometers {
    let half = |degrees: f64| libm::sin(degrees.to_radians() / 2.0);
    let (lat, lon) = (half(b.lat - a.lat), half(b.lon - a.lon));
    let h = lat * lat + libm::cos(a.lat.to_radians()) * libm::cos(b.lat.to_radians()) * lon * lon;
    Kilometers(2.0 * 6_371.0 * libm::asin(libm::sqrt(h.clamp(0.0, 1.0))))
}
