//! What is normal for one subject: a bounded, decaying summary of verified events. It is a fold of [`LearnedEvent`]s in log order: the same events give
//! the same bytes, whether they are folded in one go or one by one.

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fingerprint::{Fingerprint, Look};
use crate::signal::client::Family;
use crate::signal::hour::{Clock, Hours};
use crate::tally::{Fading, Marked, Tally, Versioned};
use crate::{Keyed, LearnedEvent, SessionTag, compact};

/// Where somebody was, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// When.
    pub at: Timestamp,
    /// Where, rounded to 0.1 degree.
    #[serde(with = "compact::point")]
    pub point: Option<Coordinates>,
    /// How sure the database is of it.
    #[serde(with = "compact::radius")]
    pub radius: Option<Kilometers>,
}

/// A subject's normal, in at most 1 KiB. Weights halve every 120 days; each list keeps its heaviest entries only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The instant to which the weights below are decayed.
    decayed_to: Option<Timestamp>,
    /// Weight of all learned events.
    total: f32,
    /// Of those, the weight of events with a proved key.
    keyed: f32,
    /// And of events that did not say what the client was.
    unnamed: f32,
    countries: Tally<Country, f32, 6>,
    /// Autonomous systems; marked is the weight of events that moved to a new prefix within one that was known.
    networks: Tally<Asn, Marked, 8>,
    prefixes: Tally<Keyed, f32, 12>,
    hosts: Tally<Keyed, f32, 6>,
    families: Tally<Family, Versioned, 5>,
    /// Devices by cookie and by key; marked is the weight of events in which a key was proved.
    devices: Tally<Keyed, Marked, 6>,
    /// What the latest devices looked like.
    looks: Vec<Look>,
    clock: Clock,
    last: Option<Whereabouts>,
    /// The day (UTC) of the newest event, and the network and session of each that counted on it.
    today: i32,
    learned_today: Vec<(Option<Asn>, SessionTag)>,
    /// What waits until its day is over, the oldest first.
    waiting: Vec<LearnedEvent>,
}

/// An event as it was learned, for the organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The event.
    pub event: LearnedEvent,
    /// For a subject who had been in the autonomous system: whether the prefix was new to them.
    pub moved: Option<bool>,
}

/// The layout of [`Baseline::to_bytes`].
const LAYOUT: u8 = 4;
/// Days until a learned event counts half: flat from 60 to 240 on real clocks.
const HALF_LIFE_DAYS: f32 = 120.0;
/// Events that count in a day, in one network on it, and in one session on it: an attacker with one phished proof must not become normal by repetition.
const A_DAY: usize = 6;
const A_NETWORK_AND_DAY: usize = 4;
const A_SESSION_AND_DAY: usize = 2;
/// Looks that are remembered.
const LOOKS: usize = 3;
/// Weak events that may wait.
const WAITING: usize = 2;
const MILLIS_A_DAY: i64 = 86_400_000;

impl Baseline {
    /// Nothing learned yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Folds events in log order.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a LearnedEvent>) -> Self {
        let mut baseline = Self::empty();
        events.into_iter().for_each(|event| {
            baseline.learn(event);
        });
        baseline
    }

    /// Learns one verified event, and those before it whose day of waiting is over. Returns what was settled, in order.
    pub fn learn(&mut self, event: &LearnedEvent) -> Vec<Settled> {
        self.learn_told(event, event.at)
    }

    /// Learns a verified event that was told later than it happened, as [`Self::learn`] does. If its day is over by then, it does not wait.
    pub fn learn_told(&mut self, event: &LearnedEvent, told: Timestamp) -> Vec<Settled> {
        let mut settled = self.settle(told);
        if !self.admits(event, told) {
            return settled;
        }
        self.count(event);
        if waits(event, told) {
            // What a script told does not wait: it is the least of what a login teaches.
            self.waiting.push(LearnedEvent { fingerprint: event.fingerprint.and_then(Fingerprint::of_headers), ..event.clone() });
        } else {
            settled.push(self.take(event.clone()));
        }
        settled
    }

    /// Learns what has waited for a day. Looking at a baseline does this first, so that a quiet subject is known by what they did before.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Settled> {
        let (waiting, due): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().partition(|event| waits(event, now));
        self.waiting = waiting;
        due.into_iter().map(|event| self.take(event)).collect()
    }

    /// Takes back what waits: of one session, or all of it. What is settled stays; it can only fade.
    pub fn roll_back(&mut self, session: Option<SessionTag>) {
        let is_kept = |event: &LearnedEvent| session.is_some_and(|session| event.session != session);
        let (waiting, back): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().partition(is_kept);
        self.waiting = waiting;
        // It stays known that they were here, so that no import teaches again what was taken back.
        if let Some(latest) = back.iter().map(|event| event.at).max() {
            self.fade(latest);
        }
    }

    /// The sessions of what waits.
    pub fn waiting(&self) -> impl Iterator<Item = SessionTag> {
        self.waiting.iter().map(|event| event.session)
    }

    fn take(&mut self, event: LearnedEvent) -> Settled {
        self.fade(event.at);
        let weight = event.strength.weight();
        let was_here = self.networks.weight(event.asn) > 0.0;
        let moved = event.prefix.is_some_and(|prefix| self.prefixes.get(prefix).is_none());
        let keyed = if event.key.is_some() { weight } else { 0.0 };
        self.total += weight;
        self.keyed += keyed;
        self.unnamed += if event.client.is_none() { weight } else { 0.0 };
        self.countries.change(event.country, |entry| *entry += weight);
        self.networks.change(event.asn, |entry| entry.add(weight, if was_here && moved { weight } else { 0.0 }));
        self.prefixes.change(event.prefix, |entry| *entry += weight);
        self.hosts.change(event.host, |entry| *entry += weight);
        self.families.change(event.client.map(|client| client.family), |entry| {
            entry.add(weight, event.client.map_or(0, |client| client.version), event.tls);
        });
        for device in [event.cookie, event.key] {
            self.devices.change(device, |entry| entry.add(weight, keyed));
        }
        if let Some(look) = event.fingerprint.map(Look) {
            self.looks.retain(|known| *known != look);
            self.looks.insert(0, look);
            self.looks.truncate(LOOKS);
        }
        self.clock.learn(event.at, event.time_zone.as_deref(), f64::from(weight));
        if event.point.is_some() && self.last.as_ref().is_none_or(|last| last.at <= event.at) {
            self.last = Some(Whereabouts { at: event.at, point: event.point, radius: event.radius });
        }
        Settled { moved: was_here.then_some(moved), event }
    }

    /// Whether [`Self::learn_told`] would learn an event now, or its day, network or session has taught enough, or too much waits.
    #[must_use]
    pub fn admits(&self, event: &LearnedEvent, told: Timestamp) -> bool {
        let learned_today = if day(event) == self.today { self.learned_today.as_slice() } else { &[] };
        let in_network = learned_today.iter().filter(|(asn, _)| *asn == event.asn).count();
        let in_session = learned_today.iter().filter(|(_, session)| *session == event.session).count();
        let waiting = self.waiting.iter().filter(|event| waits(event, told)).count();
        let bounded = learned_today.len() < A_DAY && in_network < A_NETWORK_AND_DAY && in_session < A_SESSION_AND_DAY;
        bounded && (!waits(event, told) || waiting < WAITING)
    }

    fn count(&mut self, event: &LearnedEvent) {
        if day(event) != self.today {
            self.today = day(event);
            self.learned_today.clear();
        }
        self.learned_today.push((event.asn, event.session));
    }

    /// What is left at an instant of a weight as it is kept.
    #[inline]
    fn faded(&self, now: Timestamp) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a fading needs no more than the precision of a float")]
        let days = self.decayed_to.map_or(0.0, |then| now.since(then).0 as f32 / MILLIS_A_DAY as f32);
        libm::exp2f(-days / HALF_LIFE_DAYS)
    }

    fn fade(&mut self, now: Timestamp) {
        let factor = self.faded(now);
        self.decayed_to = Some(self.decayed_to.map_or(now, |then| then.max(now)));
        self.total.fade(factor);
        self.keyed.fade(factor);
        self.unnamed.fade(factor);
        self.countries.fade(factor);
        self.networks.fade(factor);
        self.prefixes.fade(factor);
        self.hosts.fade(factor);
        self.families.fade(factor);
        self.devices.fade(factor);
    }

    /// The stored form: a byte for the layout, then a compact encoding; at most 1 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing plain data into memory has no way to fail; an empty form would be refused when read.
        postcard::to_extend(self, vec![LAYOUT]).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        let totals = [self.total, self.keyed, self.unnamed].iter().all(Fading::is_sound);
        let places = self.countries.is_sound() && self.networks.is_sound() && self.prefixes.is_sound() && self.hosts.is_sound();
        totals && places && self.families.is_sound() && self.devices.is_sound()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When the layout is another, or the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BaselineError> {
        let (layout, body) = bytes.split_first().ok_or(BaselineError::Damaged)?;
        if *layout != LAYOUT {
            return Err(BaselineError::Layout(*layout));
        }
        match postcard::take_from_bytes(body) {
            Ok((baseline, [])) if Self::is_sound(&baseline) => Ok(baseline),
            _ => Err(BaselineError::Damaged),
        }
    }
}

/// The day of an event, in UTC.
fn day(event: &LearnedEvent) -> i32 {
    i32::try_from(event.at.0.div_euclid(MILLIS_A_DAY)).unwrap_or(i32::MAX)
}

/// Whether an event has to wait still.
const fn waits(event: &LearnedEvent, now: Timestamp) -> bool {
    event.strength.waits() && now.0.saturating_sub(event.at.0) < MILLIS_A_DAY
}

/// Why a stored baseline cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// Another version wrote it; folding the log again makes it anew.
    #[error("the baseline has layout {0}, which this version does not read")]
    Layout(u8),
    /// The bytes are no baseline.
    #[error("the baseline is damaged")]
    Damaged,
}

/// What the signals ask.
impl Baseline {
    /// The number of learned events, decayed to the newest.
    #[must_use]
    pub fn weight(&self) -> f64 {
        f64::from(self.total)
    }

    /// When the latest event was that was learned, waits or was taken back; `None` before any. What is older would be learned out of order.
    #[must_use]
    pub fn known_until(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|event| event.at).chain(self.decayed_to).max()
    }

    /// The weight of events that said what the client was.
    pub(crate) fn named(&self) -> f64 {
        f64::from((self.total - self.unnamed).max(0.0))
    }

    /// What is left of that number at an instant: it fades in silence too, and looking at it changes no byte.
    #[must_use]
    pub fn weight_at(&self, now: Timestamp) -> f64 {
        f64::from(self.total * self.faded(now))
    }

    /// The share of learned events in which a key was proved, with one event's doubt.
    pub(crate) fn keyed_share(&self) -> f64 {
        f64::from(self.keyed / (self.total + 1.0))
    }

    /// Where the subject was last verified.
    #[must_use]
    pub const fn last(&self) -> Option<&Whereabouts> {
        self.last.as_ref()
    }

    /// Whether this subject used a device in a verified event.
    #[must_use]
    pub fn knows_device(&self, device: Keyed) -> bool {
        self.devices.get(device).is_some()
    }

    pub(crate) fn device(&self, device: Keyed) -> Option<Marked> {
        self.devices.get(device)
    }

    pub(crate) fn resembles(&self, look: Fingerprint) -> bool {
        self.looks.iter().any(|known| known.0.resembles(look))
    }

    pub(crate) fn has_devices(&self) -> bool {
        self.devices.len() > 0
    }

    pub(crate) fn country(&self, country: Option<Country>) -> f64 {
        f64::from(self.countries.weight(country))
    }

    pub(crate) fn countries(&self) -> usize {
        self.countries.len()
    }

    /// The weight of events from addresses that no database places.
    pub(crate) fn unplaced(&self) -> f64 {
        f64::from((self.total - self.countries.total()).max(0.0))
    }

    pub(crate) fn network(&self, asn: Option<Asn>) -> Marked {
        asn.and_then(|asn| self.networks.get(asn)).unwrap_or_default()
    }

    pub(crate) fn networks(&self) -> usize {
        self.networks.len()
    }

    pub(crate) fn prefix(&self, prefix: Option<Keyed>) -> f64 {
        f64::from(self.prefixes.weight(prefix))
    }

    pub(crate) fn host(&self, host: Option<Keyed>) -> f64 {
        f64::from(self.hosts.weight(host))
    }

    pub(crate) fn family(&self, family: Family) -> Option<Versioned> {
        self.families.get(family)
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The half hour of the day, from 0 to 47, that it is for the subject: in the home zone, or in UTC where none is known.
    #[must_use]
    pub fn half_hour(&self, at: Timestamp) -> usize {
        self.clock.half_hour(at)
    }

    /// When the subject is expected, as the hour signal sees it at an instant; none while too little is known.
    #[must_use]
    pub fn hours(&self, at: Timestamp) -> Option<Hours> {
        self.clock.hours(at)
    }
}
