//! The day that a subject's clock expects at an instant: a density over the half hours of the home zone.

use countersign_sdk_types::Timestamp;
use serde::{Serialize, Serializer};

use super::kernel::{HALF_HOURS, NEAR_RING, Ring, smoothed};
use super::zone::half_hour;
use super::{Clock, Zones};

/// What any one half hour is worth where all are alike.
pub(super) const UNIFORM: f64 = 1.0 / 48.0;
/// Events that a uniform day is worth.
const PRIOR: f64 = 2.0;
/// The most that the zone before the last one says.
const AWAY: f64 = 0.5;

/// When a subject is expected, as the hour signal sees it at an instant. For people to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hours {
    /// The home zone: an IANA name or an offset; UTC where none is known.
    pub zone: String,
    /// The chance of each half hour of the local day, from midnight on; they add up to one.
    #[serde(serialize_with = "as_list")]
    pub half_hours: [f64; HALF_HOURS],
    /// The half hour of the instant, from 0.
    pub now: usize,
}

fn as_list<S: Serializer>(half_hours: &[f64; HALF_HOURS], writer: S) -> Result<S::Ok, S::Error> {
    half_hours.as_slice().serialize(writer)
}

/// What is learned, as it counts at an instant.
pub(super) struct Day {
    /// Events per half hour.
    learned: [f32; HALF_HOURS],
    /// Their sum.
    all: f64,
    /// The share that is read on the clock of the zone before, and how many half hours that one is later.
    away: Option<(f64, usize)>,
}

impl Day {
    /// The chance of a half hour in the home zone, seen through a kernel.
    pub(super) fn expected(&self, kernel: &Ring, half_hour: usize) -> f64 {
        (smoothed(&self.learned, kernel, half_hour) + PRIOR * UNIFORM) / (self.all + PRIOR)
    }

    /// The chance that the subject comes in a half hour of the home zone.
    pub(super) fn subject(&self, half_hour: usize) -> f64 {
        let home = self.expected(&NEAR_RING, half_hour);
        let Some((share, later)) = self.away else { return home };
        (1.0 - share) * home + share * self.expected(&NEAR_RING, (half_hour + later) % HALF_HOURS)
    }
}

impl Clock {
    /// The day as it is expected at an instant; none while too little is known.
    pub(super) fn day(&self, at: Timestamp, zones: &Zones) -> Option<Day> {
        let (learned, all) = self.learned(at)?;
        let away = zones.away.as_ref().map(|away| {
            let [home, before] = self.zones.weights().map(f64::from);
            let later = half_hour(at, away) + HALF_HOURS - half_hour(at, &zones.home);
            ((before / (home + before).max(1.0)).min(AWAY), later)
        });
        Some(Day { learned, all, away })
    }

    /// The half hour that an instant is in, in the home zone.
    pub(crate) fn half_hour(&self, at: Timestamp) -> usize {
        half_hour(at, &self.zones().home)
    }

    /// When the subject is expected, and which half hour it is; none while too little is known.
    #[must_use]
    pub fn hours(&self, at: Timestamp) -> Option<Hours> {
        let zones = self.zones();
        let day = self.day(at, &zones)?;
        let mut half_hours = [0.0; HALF_HOURS];
        half_hours.iter_mut().enumerate().for_each(|(i, chance)| *chance = day.subject(i));
        Some(Hours { zone: self.home().unwrap_or("UTC").to_owned(), half_hours, now: half_hour(at, &zones.home) })
    }
}
