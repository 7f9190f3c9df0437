//! What a whole organisation uses: networks and devices with the subjects that were verified there.
//!
//! One row a thing. It names nobody: subjects are tags keyed under their own salts, so that destroying a salt leaves a number behind.

use countersign_sdk_types::{Asn, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Keyed, Settled, Sighting};

/// Subjects that a row remembers; more than this many say nothing more.
const MOST_SUBJECTS: usize = 8;
/// Days for which a subject counts as using a thing.
const FRESH_DAYS: u32 = 30;
const MILLIS_A_DAY: i64 = 86_400_000;
/// Days after which a subject's move counts again.
const COUNTED_EVERY_DAYS: u32 = 7;
/// Other subjects from which on their moves say something of a network.
const MOVERS: u8 = 3;
/// Events after which a row's counts are halved, so that it follows what changes.
const MOST_EVENTS: u16 = 512;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A network prefix, keyed under the organisation's salt.
    Prefix(Keyed),
    /// An autonomous system.
    Network(Asn),
    /// A device by its key or its cookie, keyed under the organisation's salt.
    Device(Keyed),
}

impl Settled {
    /// The rows that learn of this event.
    pub fn things(&self) -> impl Iterator<Item = Thing> {
        let (event, shared) = (&self.event, self.event.shared);
        let all = [shared.prefix.map(Thing::Prefix), event.asn.map(Thing::Network), shared.device.map(Thing::Device)];
        all.into_iter().flatten()
    }
}

/// Who was verified with one network, prefix or device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// The subjects who were verified here last, the latest first.
    subjects: Vec<Visitor>,
    /// Verified events of subjects who had been here before.
    events: u16,
    /// Those of them from a prefix that was new to their subject.
    moved: u16,
}

/// One subject of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Visitor {
    subject: Keyed,
    /// The day on which they were last verified here.
    newest: u32,
    /// The day on which their move, or that they stayed, was last counted.
    counted: u32,
}

/// What the organisation says of one sighting: other subjects only.
///
/// Its rows are [`Sharing`]; [`Organisation::of`] reads the three that a sighting concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Organisation {
    /// Subjects verified in the prefix within 30 days, at most eight.
    pub prefix: u8,
    /// Subjects verified in the autonomous system within 30 days, at most eight.
    pub network: u8,
    /// How often a verified event in that system comes from a prefix that is new to a subject who had been in the system before.
    pub churn: Churn,
    /// Subjects verified with the device within 30 days, at most eight.
    pub device: u8,
}

/// Moves between the prefixes of an autonomous system, out of so many events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Churn {
    /// Events.
    pub events: u16,
    /// Those from a prefix that was new to their subject.
    pub moved: u16,
}

impl Organisation {
    /// Asks the rows about a sighting.
    ///
    /// # Errors
    /// What `row` gives.
    pub fn of<E>(sighting: &Sighting, mut row: impl FnMut(Thing) -> Result<Option<Sharing>, E>) -> Result<Self, E> {
        let mut ask = |thing: Option<Thing>| thing.map_or(Ok(None), &mut row).map(Option::unwrap_or_default);
        let prefix = ask(sighting.shared.prefix.map(Thing::Prefix))?;
        let network = ask(sighting.asn.map(Thing::Network))?;
        let device = ask(sighting.shared.device.map(Thing::Device))?;
        let others = |row: &Sharing| row.others(sighting.shared.subject, sighting.at);
        // What few people do says nothing of a network.
        let churn = if others(&network) >= MOVERS { network.churn() } else { Churn::default() };
        Ok(Self { prefix: others(&prefix), network: others(&network), churn, device: others(&device) })
    }
}

impl Churn {
    /// Events from which on a network is judged.
    const ENOUGH: u16 = 8;

    /// Subjects move between its prefixes more often than not: a mobile carrier.
    #[must_use]
    pub const fn is_carrier(self) -> bool {
        self.events >= Self::ENOUGH && self.moved * 2 > self.events
    }
}

impl Sharing {
    /// A subject was verified here.
    pub fn learn(&mut self, settled: &Settled) {
        let (subject, at) = (settled.event.shared.subject, settled.event.at);
        let known = self.subjects.iter().find(|known| known.subject == subject).copied();
        let mut visitor = known.unwrap_or(Visitor { subject, newest: 0, counted: 0 });
        // One person who wanders every day is one mover.
        if let Some(moved) = settled.moved.filter(|_| day(at) >= visitor.counted + COUNTED_EVERY_DAYS) {
            visitor.counted = day(at);
            self.events += 1;
            self.moved += u16::from(moved);
        }
        // A past that is told late does not push out who is here today.
        let is_fresh = self.subjects.iter().all(|known| known.newest.saturating_sub(day(at)) <= FRESH_DAYS);
        if is_fresh {
            visitor.newest = visitor.newest.max(day(at));
            self.subjects.retain(|known| known.subject != subject);
            self.subjects.push(visitor);
            self.subjects.sort_by_key(|known| std::cmp::Reverse(known.newest));
            self.subjects.truncate(MOST_SUBJECTS);
        }
        if self.events >= MOST_EVENTS {
            self.events /= 2;
            self.moved /= 2;
        }
    }

    /// Other subjects within 30 days.
    #[must_use]
    pub fn others(&self, subject: Keyed, now: Timestamp) -> u8 {
        let fresh = |then: u32| day(now).saturating_sub(then) <= FRESH_DAYS;
        let others = self.subjects.iter().filter(|known| known.subject != subject && fresh(known.newest)).count();
        u8::try_from(others).unwrap_or(u8::MAX)
    }

    /// How subjects move between the prefixes.
    #[must_use]
    pub const fn churn(&self) -> Churn {
        Churn { events: self.events, moved: self.moved }
    }
}

fn day(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(MILLIS_A_DAY)).unwrap_or(0)
}
