//! The hour of the day in the subject's home zone: ln q(half hour) − ln p(half hour), bent to stay between −1 and 1.5 nats.
//!
//! p is what the subject's [`Clock`] expects: a circular kernel density (von Mises, 1.5 h) over 48 half hours. Three memories add up in it. A long one
//! (half-life 240 d) holds the habit; a short one (14 d, counted twice) lets old habits fade; and the last verified event counts as eight, half as much
//! a day later, since who was up late is up late. A uniform day worth two events is added. Where the zone of earlier events differs from that of the
//! last one, at most half of p is read on the earlier zone's clock: a traveller and a laptop that is still set to home both look familiar.
//!
//! q is the attacker: four in five come at any hour, one in five when the subject has gone, 8 to 12 hours after a habit. It is not the population, whose
//! density rewards whoever comes at a common hour. The day of the week is left out: it gained nothing at such history sizes. Hour alone is weak
//! evidence, hence the bounds. They are approached and not cut, so that a stranger hour always counts a little more.

mod day;
mod kernel;
mod memory;
mod wire;
mod zone;

use countersign_sdk_types::{Signal, Timestamp};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use day::Hours;
use day::UNIFORM;
use kernel::{HALF_HOURS, LATER_RING};
use memory::{Memory, faded};
use zone::{ZoneName, half_hour, resolve};

use crate::{EvidenceItem, Known, Sighting};

/// What must be known before anything is said: three events of the last quarter.
const ENOUGH: f64 = 2.5;
/// How often the short memory counts.
const RECENT: f64 = 2.0;
/// Events that the last one is worth at first; it halves in a day.
const LAST: f64 = 8.0;
/// The share of attackers who wait until the subject has gone.
const WAITING: f64 = 0.2;
const MILLIS_A_DAY: f64 = 86_400_000.0;

/// When a subject is active: decayed weights of verified events per half hour of the local day, and the zone of the last one.
///
/// Bounded: below 320 bytes in a compact binary form. A fold of its events: the same events give the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    habit: Memory<HALF_HOURS, 240>,
    recent: Memory<HALF_HOURS, 14>,
    /// Of the home zone, and of the one before.
    zones: Memory<2, 30>,
    home: Option<ZoneName>,
    away: Option<ZoneName>,
    last: Option<Last>,
}

/// The last verified event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    at: Timestamp,
    half_hour: u8,
    /// Its weight, in hundredths of an event.
    percent: u8,
}

/// The zones of a [`Clock`], looked up.
#[derive(Debug, Clone)]
pub struct Zones {
    home: TimeZone,
    away: Option<TimeZone>,
}

impl Clock {
    /// Learns a verified event of a weight from 0 to 1. Its zone, an IANA name or an offset such as `+05:30`, becomes home; without one, or with one that
    /// nobody knows, home stays where it is (UTC at first).
    pub fn learn(&mut self, at: Timestamp, zone: Option<&str>, weight: f64) {
        let named = zone.and_then(|name| Some((ZoneName::new(name)?, resolve(name)?)));
        let local = match named {
            Some((name, zone)) => {
                self.anchor(name);
                zone
            }
            None => self.home().and_then(resolve).unwrap_or(TimeZone::UTC),
        };
        let half_hour = half_hour(at, &local);
        self.habit.learn(at, half_hour, weight);
        self.recent.learn(at, half_hour, weight);
        self.zones.learn(at, 0, weight);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
        let percent = libm::round(100.0 * weight.clamp(0.0, 1.0)) as u8;
        self.last = Some(Last { at, half_hour: u8::try_from(half_hour).unwrap_or(0), percent });
    }

    /// Makes a zone home; the one that was is kept as the zone before.
    fn anchor(&mut self, name: ZoneName) {
        let [home, away] = *self.zones.weights();
        match (&self.home, &self.away) {
            (Some(known), _) if *known == name => return,
            (_, Some(before)) if *before == name => self.zones.replace([away, home]),
            (Some(_), _) => self.zones.replace([0, home]),
            // What was learned in UTC, before any zone was known, is no zone of the subject.
            (None, _) => {}
        }
        self.away = self.home.replace(name);
    }

    /// The zone of the last verified event that had one.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.home.as_ref().map(ZoneName::as_str)
    }

    /// The decayed number of learned events.
    #[must_use]
    pub fn weight(&self, at: Timestamp) -> f64 {
        self.habit.unit(at) * f64::from(self.habit.sum())
    }

    /// Looks the zones up. This costs more than [`Clock::nats_in`]; the result is good until the next [`Clock::learn`].
    #[must_use]
    pub fn zones(&self) -> Zones {
        let look_up = |name: &Option<ZoneName>| name.as_ref().and_then(|name| resolve(name.as_str()));
        Zones { home: look_up(&self.home).unwrap_or(TimeZone::UTC), away: look_up(&self.away) }
    }

    /// How much an hour speaks for an attacker, from −1 to 1.5 nats; none while too little is known.
    #[must_use]
    pub fn nats(&self, at: Timestamp) -> Option<f64> {
        self.nats_in(at, &self.zones())
    }

    /// [`Clock::nats`] with zones that were looked up before.
    #[must_use]
    pub fn nats_in(&self, at: Timestamp, zones: &Zones) -> Option<f64> {
        self.ratio(at, zones).map(bent)
    }

    /// ln q − ln p as it is.
    fn ratio(&self, at: Timestamp, zones: &Zones) -> Option<f64> {
        let day = self.day(at, zones)?;
        let local = half_hour(at, &zones.home);
        let attacker = (1.0 - WAITING) * UNIFORM + WAITING * day.expected(&LATER_RING, local);
        Some(libm::log(attacker / day.subject(local)))
    }

    /// Events per half hour, as all three memories count them at an instant, and their sum; none while that is too little.
    fn learned(&self, at: Timestamp) -> Option<([f32; HALF_HOURS], f64)> {
        let (habit, recent) = (self.habit.unit(at), RECENT * self.recent.unit(at));
        let (of_habit, of_recent) = (habit * f64::from(self.habit.sum()), recent * f64::from(self.recent.sum()));
        if of_habit < ENOUGH {
            return None;
        }
        let mut learned = [0.0; HALF_HOURS];
        let (long_unit, short_unit) = (single(habit), single(recent));
        for ((sum, long), short) in learned.iter_mut().zip(self.habit.weights()).zip(self.recent.weights()) {
            *sum = f32::from(*long) * long_unit + f32::from(*short) * short_unit;
        }
        let last = self.last.as_ref().map_or(0.0, |last| last.events(at));
        if let Some(sum) = self.last.as_ref().and_then(|last| learned.get_mut(usize::from(last.half_hour))) {
            *sum += single(last);
        }
        Some((learned, of_habit + of_recent + last))
    }
}

impl Last {
    /// How many events it counts for at an instant.
    fn events(&self, at: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some thousand years are exact")]
        let days = at.0.saturating_sub(self.at.0).max(0) as f64 / MILLIS_A_DAY;
        LAST * f64::from(self.percent) / 100.0 * faded(days)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a count of events, to seven digits")]
const fn single(events: f64) -> f32 {
    events as f32
}

/// Leaves −0.5 … 1 nats as they are; beyond, half a nat is left, of which each half nat takes all but 1/e.
fn bent(nats: f64) -> f64 {
    let left = |beyond: f64| 0.5 * libm::exp(-2.0 * beyond);
    match nats {
        high if high > 1.0 => 1.5 - left(high - 1.0),
        low if low < -0.5 => left(-0.5 - low) - 1.0,
        between => between,
    }
}

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    Some(item(known.baseline.clock().nats(sighting.at)))
}

fn item(nats: Option<f64>) -> EvidenceItem {
    let text = match nats {
        None => "too little is known of the subject's hours",
        Some(nats) if nats > 0.5 => "an hour at which the subject is seldom seen",
        Some(_) => "an hour at which the subject is often seen",
    };
    // A proof at noon does not answer for the night.
    EvidenceItem::new(Signal::Hour, nats.unwrap_or(0.0), &[u8::from(nats.is_some_and(|nats| nats > 0.5))], text)
}

#[cfg(test)]
mod tests;
