//! What is normal for one subject: a bounded, decaying summary of verified events. It is a fold of [`LearnedEvent`]s in log order.

use std::collections::BTreeMap;

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, Timestamp};
use serde::{Deserialize, Serialize};

use crate::signal::client::Family;
use crate::signal::hour;
use crate::{Keyed, Weights};

/// How an event was verified; says how much of it is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// By a step-up with user verification: learned whole, at once.
    StepUp,
    /// By a proved key at low risk: a quarter.
    BoundLowRisk,
}

/// What the journal keeps of a verified event: keyed identifiers and coarse places, no address and no agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedEvent {
    /// When.
    pub at: Timestamp,
    /// How it was verified.
    pub strength: Strength,
    /// The network prefix, keyed.
    pub prefix: Option<Keyed>,
    /// The network's number.
    pub asn: Option<Asn>,
    /// The country.
    pub country: Option<Country>,
    /// The place, rounded to 0.1 degree.
    pub point: Option<Coordinates>,
    /// Its radius.
    pub radius: Option<Kilometers>,
    /// Its IANA zone.
    pub time_zone: Option<String>,
    /// The client family.
    pub family: Option<Family>,
    /// The device, keyed.
    pub device: Option<Keyed>,
    /// The session, keyed.
    pub session: Keyed,
}

/// Where and when the subject was last verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifiedPoint {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub point: Coordinates,
    /// How sure the database is of it.
    pub radius: Option<Kilometers>,
}

/// What was last seen of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionTrace {
    pub(crate) asn: Option<Asn>,
    pub(crate) family: Option<Family>,
}

/// A subject's normal. Weights halve every [`Weights::half_life_days`]; each list keeps its heaviest entries only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The layout; 1.
    version: u8,
    /// The instant to which the weights below are decayed.
    decayed_to: Option<Timestamp>,
    /// Weight of all learned events.
    total: f64,
    countries: BTreeMap<Country, f64>,
    networks: BTreeMap<Asn, f64>,
    prefixes: BTreeMap<Keyed, f64>,
    families: BTreeMap<Family, f64>,
    devices: BTreeMap<Keyed, f64>,
    /// Weight per half hour of the day in the home zone.
    half_hours: Vec<f64>,
    home_zone: Option<String>,
    last_point: Option<VerifiedPoint>,
    sessions: Vec<(Keyed, SessionTrace)>,
    /// The day (UTC) for which `learned_today` counts, and events per network on it (0 stands for networks without a number).
    today: i64,
    learned_today: BTreeMap<Asn, u32>,
}

const COUNTRIES: usize = 6;
const NETWORKS: usize = 12;
const PREFIXES: usize = 16;
const FAMILIES: usize = 6;
const DEVICES: usize = 6;
const SESSIONS: usize = 4;
/// Events that one network may teach in a day: an attacker with one phished proof must not become normal by repetition.
const PER_NETWORK_AND_DAY: u32 = 4;
const MILLIS_A_DAY: i64 = 86_400_000;

impl Baseline {
    /// Nothing learned yet.
    #[must_use]
    pub fn empty() -> Self {
        Self { version: 1, ..Self::default() }
    }

    /// Folds events in log order.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a LearnedEvent>) -> Self {
        let mut baseline = Self::empty();
        events.into_iter().for_each(|event| baseline.learn(event));
        baseline
    }

    /// Learns one verified event.
    pub fn learn(&mut self, event: &LearnedEvent) {
        if !self.admits(event) {
            return;
        }
        self.decay(event.at);
        let weight = match event.strength {
            Strength::StepUp => 1.0,
            Strength::BoundLowRisk => 0.25,
        };
        self.total += weight;
        add(&mut self.countries, event.country, weight, COUNTRIES);
        add(&mut self.networks, event.asn, weight, NETWORKS);
        add(&mut self.prefixes, event.prefix, weight, PREFIXES);
        add(&mut self.families, event.family, weight, FAMILIES);
        add(&mut self.devices, event.device, weight, DEVICES);
        // The first zone is home; a traveller re-anchors with the step-up that was made there.
        if event.time_zone.is_some() && (self.home_zone.is_none() || event.strength == Strength::StepUp) {
            self.home_zone.clone_from(&event.time_zone);
        }
        self.half_hours.resize(hour::BINS, 0.0);
        if let Some(bin) = self.half_hours.get_mut(hour::bin(event.at, self.home_zone.as_deref())) {
            *bin += weight;
        }
        if let Some(point) = event.point {
            self.last_point = Some(VerifiedPoint { at: event.at, point, radius: event.radius });
        }
        self.sessions.retain(|(session, _)| *session != event.session);
        self.sessions.insert(0, (event.session, SessionTrace { asn: event.asn, family: event.family }));
        self.sessions.truncate(SESSIONS);
    }

    fn admits(&mut self, event: &LearnedEvent) -> bool {
        let day = event.at.0.div_euclid(MILLIS_A_DAY);
        if day != self.today {
            self.today = day;
            self.learned_today.clear();
        }
        let count = self.learned_today.entry(event.asn.unwrap_or(Asn(0))).or_default();
        *count = count.saturating_add(1);
        *count <= PER_NETWORK_AND_DAY
    }

    fn decay(&mut self, now: Timestamp) {
        let days = self.decayed_to.map_or(0.0, |then| whole(now.since(then).0) / whole(MILLIS_A_DAY.unsigned_abs()));
        self.decayed_to = Some(self.decayed_to.map_or(now, |then| then.max(now)));
        let factor = libm::exp2(-days / Weights::default().half_life_days);
        self.total *= factor;
        let lists = self.countries.values_mut().chain(self.networks.values_mut()).chain(self.prefixes.values_mut());
        let lists = lists.chain(self.families.values_mut()).chain(self.devices.values_mut()).chain(self.half_hours.iter_mut());
        lists.for_each(|weight| *weight *= factor);
    }

    /// The decayed number of learned events.
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.total
    }

    /// Where the subject was last verified.
    #[must_use]
    pub const fn last_point(&self) -> Option<&VerifiedPoint> {
        self.last_point.as_ref()
    }

    /// Whether this subject used a device in a verified event.
    #[must_use]
    pub fn knows_device(&self, device: Keyed) -> bool {
        self.devices.contains_key(&device)
    }

    pub(crate) fn country(&self, country: Country) -> f64 {
        self.countries.get(&country).copied().unwrap_or(0.0)
    }

    /// The weight of events from addresses that no database places.
    pub(crate) fn unplaced(&self) -> f64 {
        (self.total - self.countries.values().sum::<f64>()).max(0.0)
    }

    pub(crate) fn network(&self, asn: Asn) -> f64 {
        self.networks.get(&asn).copied().unwrap_or(0.0)
    }

    pub(crate) fn prefix(&self, prefix: Keyed) -> f64 {
        self.prefixes.get(&prefix).copied().unwrap_or(0.0)
    }

    pub(crate) fn family(&self, family: Family) -> f64 {
        self.families.get(&family).copied().unwrap_or(0.0)
    }

    pub(crate) fn device_count(&self) -> usize {
        self.devices.len()
    }

    pub(crate) fn half_hours(&self) -> &[f64] {
        &self.half_hours
    }

    pub(crate) fn home_zone(&self) -> Option<&str> {
        self.home_zone.as_deref()
    }

    pub(crate) fn session(&self, session: Keyed) -> Option<SessionTrace> {
        self.sessions.iter().find(|(known, _)| *known == session).map(|(_, trace)| *trace)
    }
}

/// Adds weight to an entry and drops the lightest ones past the bound (ties: the greatest key goes, so that order never depends on memory).
fn add<K: Ord + Copy>(list: &mut BTreeMap<K, f64>, key: Option<K>, weight: f64, most: usize) {
    let Some(key) = key else { return };
    *list.entry(key).or_insert(0.0) += weight;
    while list.len() > most {
        let others = list.iter().filter(|(other, _)| **other != key);
        let lightest = others.min_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0))).map(|(other, _)| *other);
        lightest.map(|lightest| list.remove(&lightest));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of milliseconds below 2^53 is exact")]
pub(crate) const fn whole(count: u64) -> f64 {
    count as f64
}
