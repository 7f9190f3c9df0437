//! What a thief's request shows, made from what the session's own showed; and what a revision answers it.

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::facts::{DeviceFacts, Facts};
use countersign_pdp_engine::record::{Circumstances, Supposed, suppose};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::{BindingState, Failures, Organisation, Posture, Sighting, Trail, Weights};
use countersign_sdk_types::{Place, RiskLevel, Timestamp};

use super::Kind;
use super::cast::{Cast, Victim, next_door};

const MINUTE: i64 = 60_000;
const HALF_HOUR: i64 = 30 * MINUTE;
const DAY: i64 = 24 * 60 * MINUTE;
/// The days of a slow walk: next door, then in another network of the country, then far away.
const WALK: i64 = 8;
const NEXT_DOOR_UNTIL: i64 = 3;
const IN_COUNTRY_UNTIL: i64 = 6;

/// What a revision answers an attacker; `None` where the log has no place to come from.
pub(super) fn answer(kind: Kind, victim: &Victim<'_>, cast: &Cast, snapshot: &Snapshot, weights: &Weights) -> Option<Summary> {
    let own = victim.record.circumstances()?;
    if kind == Kind::SlowWalk {
        return walk(victim, cast, &own, snapshot, weights);
    }
    let attempt = attempt(kind, victim, cast, &own)?;
    Some(suppose(victim.record, attempt, weights)?.ask(snapshot).summary)
}

fn attempt(kind: Kind, victim: &Victim<'_>, cast: &Cast, own: &Circumstances) -> Option<Circumstances> {
    let minutes = |most: u64| i64::try_from(victim.number("minutes", 0) % most).unwrap_or(0) * MINUTE;
    let thief = match kind {
        Kind::TokenNear => at(near(victim, own)?, own, HALF_HOUR / 2 + minutes(45)),
        Kind::OddHour => at(near(victim, own)?, own, until_least_expected(own)),
        Kind::Vpn => at(anonymous(victim, own, cast.elsewhere(victim, own)?), own, HALF_HOUR / 2 + minutes(24 * 60)),
        Kind::StolenToken | Kind::SlowWalk => at(moved(victim, own, cast.far(victim, own)?), own, HALF_HOUR / 2 + minutes(24 * 60)),
    };
    Some(thief)
}

/// Step by step, day by day. What was let through at low risk is where the session goes on from, as in a server; it is not verified, so nothing is learned.
fn walk(victim: &Victim<'_>, cast: &Cast, own: &Circumstances, snapshot: &Snapshot, weights: &Weights) -> Option<Summary> {
    let (next_door, far) = (near(victim, own)?, moved(victim, own, cast.far(victim, own)?));
    let in_country = cast.elsewhere(victim, own).map_or_else(|| next_door.clone(), |scene| moved(victim, own, scene));
    let (mut trail, mut last) = (next_door.facts.trail.clone(), None);
    for day in 1..=WALK {
        let place = match () {
            () if day <= NEXT_DOOR_UNTIL => &next_door,
            () if day <= IN_COUNTRY_UNTIL => &in_country,
            () => &far,
        };
        let mut step = at(place.clone(), own, day * (DAY + 2 * HALF_HOUR));
        step.facts.trail.clone_from(&trail);
        let step = suppose(victim.record, step, weights)?;
        let answer = step.ask(snapshot).summary;
        if let Some(trail) = trail.as_mut().filter(|_| goes_on(&step, &answer)) {
            Trail::pass(trail, step.sighting());
        }
        last = Some(answer);
    }
    last
}

fn goes_on(step: &Supposed, answer: &Summary) -> bool {
    matches!(answer, Summary::Allow(_)) && step.assessment().inherent().level() == RiskLevel::Low
}

/// The token and what was copied with it: no key, no grant, and nothing that only the subject's own browser tells.
fn stolen(own: &Circumstances) -> Circumstances {
    let mut thief = own.clone();
    let Circumstances { sighting, facts, .. } = &mut thief;
    if sighting.binding == BindingState::Proved {
        (sighting.binding, sighting.key) = (BindingState::Missing, None);
    }
    sighting.failures = Failures::default();
    *facts = Facts {
        grants: Vec::new(),
        behavior: None,
        failures: Failures::default(),
        demanded_at: None,
        repeated_demand: false,
        ..facts.clone()
    };
    if sighting.cookie.is_none() {
        without_device(&mut thief);
    }
    thief
}

fn without_device(thief: &mut Circumstances) {
    (thief.sighting.cookie, thief.sighting.key, thief.sighting.posture) = (None, None, Posture::default());
    thief.sighting.shared.device = None;
    (thief.facts.device, thief.facts.organisation.device) = (DeviceFacts::default(), 0);
}

/// Another part of the subject's own network; none where they came from no network.
fn near(victim: &Victim<'_>, own: &Circumstances) -> Option<Circumstances> {
    own.sighting.prefix?;
    let mut thief = stolen(own);
    victim.move_to_new_network(&mut thief.sighting, own);
    // Nobody of the organisation is there.
    thief.facts.organisation.prefix = 0;
    thief.address = thief.address.map(next_door);
    Some(thief)
}

/// In a network of the log that is new to the subject.
fn moved(victim: &Victim<'_>, own: &Circumstances, scene: &Circumstances) -> Circumstances {
    let mut thief = stolen(own);
    let (there, others) = (&scene.sighting, scene.facts.organisation);
    thief.sighting = Sighting {
        asn: there.asn,
        country: there.country,
        point: there.point,
        radius: there.radius,
        time_zone: there.time_zone.clone(),
        anonymizer: there.anonymizer,
        private: false,
        unlisted: false,
        ..thief.sighting
    };
    victim.move_to_new_network(&mut thief.sighting, own);
    // Whoever was seen there uses the network as well, as far as it is known: that speaks for the thief.
    let network = others.network.saturating_add(1).min(8);
    thief.facts.organisation = Organisation { network, device: thief.facts.organisation.device, ..others };
    thief.facts.place = scene.facts.place.clone();
    thief.address = scene.address;
    thief
}

/// The token alone, in the browser of whoever was seen there, behind an anonymizer.
fn anonymous(victim: &Victim<'_>, own: &Circumstances, scene: &Circumstances) -> Circumstances {
    let mut thief = moved(victim, own, scene);
    without_device(&mut thief);
    let there = &scene.sighting;
    thief.sighting = Sighting { client: there.client, fingerprint: there.fingerprint, tls: there.tls, anonymizer: true, ..thief.sighting };
    if let Place::Known(place) = &mut thief.facts.place {
        place.anonymizer = Some(true);
    }
    (thief.agent, thief.facts.components) = (scene.agent.clone(), None);
    thief
}

/// The same, so much later than the session was seen.
fn at(mut thief: Circumstances, own: &Circumstances, later: i64) -> Circumstances {
    thief.sighting.at = Timestamp(own.sighting.at.0.saturating_add(later));
    thief
}

/// How long it is from the session to the middle of the half hour at which the subject is least expected; half a day where that is not known.
fn until_least_expected(own: &Circumstances) -> i64 {
    let now = own.sighting.at;
    let Some(hours) = own.facts.baseline.hours(now) else { return DAY / 2 };
    let least = hours.half_hours.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(half_hour, _)| half_hour);
    let ahead = (least + hours.half_hours.len() - hours.now) % hours.half_hours.len();
    i64::try_from(ahead).unwrap_or(0) * HALF_HOUR + HALF_HOUR / 2 - now.0.rem_euclid(HALF_HOUR)
}
