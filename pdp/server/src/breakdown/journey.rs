//! From where to where: the event's point, and those that travel is judged from.

use std::fmt;

use countersign_risk::{Known, Sighting, Whereabouts, distance};
use countersign_sdk_types::{Coordinates, Kilometers, Timestamp};
use serde::Serialize;

const MILLIS_AN_HOUR: f64 = 3_600_000.0;

/// A point on the globe, as sure as a database is of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spot {
    /// Where.
    pub point: Coordinates,
    /// How inaccurate that is, from 0.
    pub radius: Option<Kilometers>,
}

/// From an earlier spot to here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Leg {
    /// From where.
    pub from: Spot,
    /// When the subject or session was there.
    pub at: Timestamp,
    /// How long ago, in hours.
    pub hours: f64,
    /// How far away; none where the event has no point.
    pub distance: Option<Kilometers>,
}

/// The event's point, and those that travel is judged from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Journey {
    /// Where the event is.
    pub here: Option<Spot>,
    /// From where the subject was last verified.
    pub verified: Option<Leg>,
    /// From where the session last passed at low risk.
    pub passed: Option<Leg>,
}

impl Journey {
    pub(super) fn of(sighting: &Sighting, known: &Known<'_>) -> Self {
        let here = sighting.point.and_then(|point| Spot::new(point, sighting.radius));
        let leg = |from: Option<&Whereabouts>| from.and_then(|from| Leg::new(from, here, sighting.at));
        let passed = known.trail.and_then(|trail| trail.last.as_ref());
        Self { here, verified: leg(known.baseline.last()), passed: leg(passed) }
    }
}

impl Spot {
    /// None where the numbers are none of this globe.
    fn new(point: Coordinates, radius: Option<Kilometers>) -> Option<Self> {
        let is_legal = (-90.0..=90.0).contains(&point.lat) && (-180.0..=180.0).contains(&point.lon);
        let radius = radius.filter(|Kilometers(radius)| (0.0..=20_100.0).contains(radius));
        is_legal.then_some(Self { point, radius })
    }
}

impl Leg {
    fn new(from: &Whereabouts, here: Option<Spot>, now: Timestamp) -> Option<Self> {
        let spot = Spot::new(from.point?, from.radius)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds below 2^53 are exact")]
        let hours = now.since(from.at).0 as f64 / MILLIS_AN_HOUR;
        Some(Self { from: spot, at: from.at, hours, distance: here.map(|here| distance(spot.point, here.point)) })
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coordinates { lat, lon } = self.point;
        let (north, east) = (if lat < 0.0 { 'S' } else { 'N' }, if lon < 0.0 { 'W' } else { 'E' });
        write!(f, "{:.1}° {north} {:.1}° {east}", lat.abs(), lon.abs())?;
        self.radius.iter().try_for_each(|Kilometers(radius)| write!(f, " ± {radius:.0} km"))
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.from)?;
        self.distance.iter().try_for_each(|Kilometers(distance)| write!(f, "{distance:.0} km away, "))?;
        write!(f, "{:.1} h before", self.hours)
    }
}
