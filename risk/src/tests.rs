//! The laws of the engine, and the headline case.

use std::collections::BTreeSet;

use countersign_sdk_types::{
    Asn, Coordinates, Country, DeviceId, Kilometers, Place, PlaceGap, PlaceRecord, RiskScore, SessionId, Signal, Timestamp,
};
use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400_000;
/// Monday 2026-03-02T00:00Z; Paris is one hour ahead.
const MONDAY: i64 = 1_772_409_600_000;
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

fn place(country: &str, lat: f64, lon: f64, zone: &str, asn: u32) -> Place {
    Place::Known(PlaceRecord {
        country: Country::new(country),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some(zone.to_owned()),
        asn: Some(Asn(asn)),
        ..PlaceRecord::default()
    })
}

fn paris() -> Place {
    place("FR", 48.8566, 2.3522, "Europe/Paris", 64496)
}

fn singapore() -> Place {
    place("SG", 1.3521, 103.8198, "Asia/Singapore", 64500)
}

fn salt() -> SubjectSalt {
    SubjectSalt::new([7; 32])
}

struct Scene<'a> {
    at: i64,
    address: &'a str,
    place: &'a Place,
    agent: &'a str,
    device: Option<&'a str>,
}

impl Scene<'_> {
    fn sighting(&self) -> Sighting {
        let device = self.device.map(|device| DeviceId::new(device).unwrap());
        Sighting::new(
            &RawSighting {
                at: Timestamp(self.at),
                address: Some(self.address.parse().unwrap()),
                place: self.place,
                user_agent: Some(self.agent),
                device: device.as_ref().map(|device| (device, BindingState::NotDeclared)),
                session: &SessionId::new("sid:one").unwrap(),
                binding: BindingState::NotDeclared,
                counter_regressed: false,
                posture: Posture::default(),
                failures: Failures::default(),
            },
            &salt(),
        )
    }
}

fn at_home(at: i64) -> Sighting {
    Scene { at, address: "192.0.2.10", place: &paris(), agent: FIREFOX, device: Some("laptop") }.sighting()
}

/// `days` days of office hours in Paris, one verified event each.
fn weekdays_paris(days: i64) -> (Baseline, Vec<LearnedEvent>) {
    let mornings = (0..days).map(|day| MONDAY + day * DAY + (8 + day % 3) * 3_600_000);
    let events: Vec<_> = mornings.map(|at| at_home(at).learned(Strength::StepUp)).collect();
    (Baseline::fold(&events), events)
}

fn assess(sighting: &Sighting, baseline: &Baseline) -> Assessment {
    score(&observe(sighting, baseline), &Weights::default())
}

fn points(assessment: &Assessment) -> i32 {
    assessment.reasons().iter().map(|reason| i32::from(reason.points)).sum()
}

#[test]
fn the_owner_at_work_is_nothing_unusual() {
    let (baseline, _) = weekdays_paris(20);
    let assessment = assess(&at_home(MONDAY + 21 * DAY + 9 * 3_600_000), &baseline);
    assert!(assessment.inherent() < RiskScore::new(15).unwrap(), "{assessment:?}");
}

#[test]
fn a_stolen_token_at_night_from_singapore_is_high() {
    let (mut baseline, _) = weekdays_paris(20);
    // 02:40Z is 03:40 in Paris.
    let night = MONDAY + 20 * DAY + 2 * 3_600_000 + 40 * 60_000;
    let stolen = Scene { at: night, address: "203.0.113.9", place: &singapore(), agent: FIREFOX, device: None }.sighting();
    let without_travel = assess(&stolen, &baseline);
    assert!(without_travel.inherent() >= RiskScore::new(50).unwrap(), "{without_travel:?}");
    // Verified in Paris the evening before: ten hours are too few.
    baseline.learn(&at_home(night - 9 * 3_600_000 - 40 * 60_000).learned(Strength::StepUp));
    let assessment = assess(&stolen, &baseline);
    assert!(assessment.inherent() >= RiskScore::new(70).unwrap(), "{assessment:?}");
    let named: BTreeSet<_> = assessment.reasons().iter().filter(|reason| reason.points > 0).map(|reason| reason.signal).collect();
    assert!([Signal::Travel, Signal::Hour, Signal::Network, Signal::Device].iter().all(|signal| named.contains(signal)), "{named:?}");
}

#[test]
fn travel_counts_between_verified_points_only() {
    let (baseline, _) = weekdays_paris(10);
    let last = baseline.last_point().unwrap().at.0;
    let there = |hours: i64| {
        let scene = Scene { at: last + hours * 3_600_000, address: "203.0.113.9", place: &singapore(), agent: FIREFOX, device: None };
        observe(&scene.sighting(), &baseline).items().iter().any(|item| item.signal == Signal::Travel)
    };
    assert!(there(9), "10,700 km in nine hours");
    assert!(!there(20), "10,700 km in twenty hours is a flight");
    let nowhere = observe(&at_home(last + 60_000), &Baseline::empty());
    assert!(nowhere.items().iter().all(|item| item.signal != Signal::Travel));
}

#[test]
fn a_fresh_subject_is_not_locked_out() {
    let assessment = assess(&at_home(MONDAY + 9 * 3_600_000), &Baseline::empty());
    assert!(assessment.inherent() < RiskScore::new(30).unwrap(), "{assessment:?}");
    assert!(assessment.reasons().iter().any(|reason| reason.text.contains("too little is known")));
}

#[test]
fn a_genuine_traveller_is_answered_by_the_passkey() {
    let (baseline, _) = weekdays_paris(20);
    let at = baseline.last_point().unwrap().at.0 + 9 * 3_600_000;
    let away = Scene { at, address: "203.0.113.9", place: &singapore(), agent: FIREFOX, device: Some("laptop") }.sighting();
    let assessment = assess(&away, &baseline);
    assert!(assessment.inherent() >= RiskScore::new(30).unwrap());
    assert!(assessment.remaining(&assessment.answerable()) < RiskScore::new(30).unwrap());
    assert_eq!(assessment.remaining(&BTreeSet::new()), assessment.inherent());
}

#[test]
fn another_network_is_other_evidence() {
    let (baseline, _) = weekdays_paris(20);
    let at = MONDAY + 30 * DAY;
    let here = Scene { at, address: "203.0.113.9", place: &singapore(), agent: FIREFOX, device: None }.sighting();
    let elsewhere =
        Scene { at, address: "198.51.100.200", place: &place("US", 40.7, -74.0, "America/New_York", 64499), agent: FIREFOX, device: None };
    let answered = assess(&here, &baseline).answerable();
    let assessment = assess(&elsewhere.sighting(), &baseline);
    assert!(assessment.remaining(&answered) > assessment.remaining(&assessment.answerable()), "{assessment:?}");
}

#[test]
fn a_missing_key_is_a_hard_rule_that_no_passkey_answers() {
    let (baseline, _) = weekdays_paris(20);
    let sighting = Sighting { binding: BindingState::Missing, ..at_home(MONDAY + 21 * DAY + 9 * 3_600_000) };
    let assessment = assess(&sighting, &baseline);
    assert_eq!(assessment.inherent(), RiskScore::MAX);
    assert_eq!(assessment.remaining(&assessment.answerable()), RiskScore::MAX);
    assert_eq!(points(&assessment), 100);
}

#[test]
fn unknown_places_never_score_below_familiar_ones() {
    let (baseline, _) = weekdays_paris(20);
    let at = MONDAY + 21 * DAY + 9 * 3_600_000;
    let familiar = assess(&at_home(at), &baseline).inherent();
    for gap in [PlaceGap::NoDatabase, PlaceGap::Stale, PlaceGap::NotFound, PlaceGap::NoAddress] {
        let scene = Scene { at, address: "192.0.2.10", place: &Place::Unknown(gap), agent: FIREFOX, device: Some("laptop") };
        assert!(assess(&scene.sighting(), &baseline).inherent() >= familiar);
    }
    let private = Scene { at, address: "10.0.0.7", place: &paris(), agent: FIREFOX, device: Some("laptop") }.sighting();
    assert!(private.private && private.country.is_none() && private.prefix.is_none());
    assert!(assess(&private, &baseline).inherent() >= familiar);
}

#[test]
fn coming_from_where_no_database_looks_gains_nothing() {
    let (baseline, _) = weekdays_paris(20);
    let at = MONDAY + 21 * DAY + 9 * 3_600_000;
    let score = |address: &str, place: &Place| {
        let scene = Scene { at, address, place, agent: CHROME, device: Some("thief") };
        assess(&scene.sighting(), &baseline).inherent()
    };
    let unlisted = Place::Unknown(PlaceGap::NotFound);
    let abroad = Place::Known(PlaceRecord { country: Country::new("BR"), ..PlaceRecord::default() });
    assert_eq!(score("198.18.1.7", &unlisted), score("198.18.1.7", &abroad), "as new as any other country");
    assert!(score("198.18.1.7", &unlisted) > score("198.18.1.7", &Place::Unknown(PlaceGap::NoDatabase)), "our own gap says less");
    assert_eq!(
        score("192.0.2.10", &unlisted),
        score("192.0.2.10", &Place::Unknown(PlaceGap::NoDatabase)),
        "a familiar prefix stays familiar"
    );
}

#[test]
fn one_network_teaches_four_events_a_day() {
    let (mut baseline, _) = weekdays_paris(5);
    let before = baseline.weight();
    let away = Scene { at: MONDAY + 6 * DAY, address: "203.0.113.9", place: &singapore(), agent: CHROME, device: Some("thief") };
    for _ in 0..100 {
        baseline.learn(&away.sighting().learned(Strength::StepUp));
    }
    assert!(baseline.weight() <= before + 4.0, "{}", baseline.weight());
}

#[test]
fn nothing_recorded_holds_an_address_or_an_agent() {
    let text = serde_json::to_string(&at_home(MONDAY)).unwrap();
    assert!(!text.contains("192.0.2") && !text.contains("Mozilla") && !text.contains("laptop") && !text.contains("sid:one"), "{text}");
    assert_eq!(format!("{:?}", salt()), "SubjectSalt(…)");
}

#[test]
fn a_browser_update_is_not_a_new_client() {
    let newer = FIREFOX.replace("130.0", "131.0");
    assert_eq!(Family::parse(FIREFOX), Family::parse(&newer));
    assert_ne!(Family::parse(FIREFOX), Family::parse(CHROME));
    let text = String::from(Family::parse(CHROME));
    assert_eq!(text, "Chrome/Windows/desktop");
    assert_eq!(Family::try_from(text), Ok(Family::parse(CHROME)));
}

#[test]
fn distances_are_great_circles() {
    let check = |a: (f64, f64), b: (f64, f64), expected: f64| {
        let Kilometers(found) = distance(Coordinates { lat: a.0, lon: a.1 }, Coordinates { lat: b.0, lon: b.1 });
        assert!((found - expected).abs() < expected * 0.005 + 0.1, "{a:?} {b:?}: {found}");
    };
    check((48.8566, 2.3522), (1.3521, 103.8198), 10_727.0);
    check((0.0, 179.9), (0.0, -179.9), 22.2);
    check((90.0, 0.0), (90.0, 123.0), 0.0);
    check((0.0, 0.0), (0.0, 180.0), 20_015.0);
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    assert_eq!(Weights::default().validate(), Ok(()));
    let falling = Weights { calibration: vec![(0.0, 10), (1.0, 5)], ..Weights::default() };
    assert_eq!(falling.validate(), Err(WeightsError::Calibration));
    let factor = Weights { factors: [(Signal::Hour, f64::NAN)].into(), ..Weights::default() };
    assert_eq!(factor.validate(), Err(WeightsError::Factor(Signal::Hour)));
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let where_ = prop_oneof![
        Just(("192.0.2.10", paris())),
        Just(("203.0.113.9", singapore())),
        Just(("10.1.2.3", paris())),
        Just(("198.51.100.1", Place::Unknown(PlaceGap::NotFound)))
    ];
    let agents = prop_oneof![Just(FIREFOX), Just(CHROME), Just("curl/8.0"), Just("")];
    let devices = proptest::option::of(prop_oneof![Just("laptop"), Just("phone"), Just("thief")]);
    (0..200i64, 0..DAY, where_, agents, devices).prop_map(|(day, time, (address, place), agent, device)| {
        Scene { at: MONDAY + day * DAY + time, address, place: &place, agent, device }.sighting()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_add_up_and_scores_stay_in_range(sightings in proptest::collection::vec(any_sighting(), 0..40), now in any_sighting()) {
        let events: Vec<_> = sightings.iter().map(|sighting| sighting.learned(Strength::StepUp)).collect();
        let assessment = assess(&now, &Baseline::fold(&events));
        prop_assert_eq!(points(&assessment), i32::from(assessment.inherent().value()));
        prop_assert!(assessment.remaining(&assessment.answerable()) <= assessment.inherent());
    }

    #[test]
    fn worse_evidence_never_lowers_the_score(sightings in proptest::collection::vec(any_sighting(), 0..40), now in any_sighting(), failures in 0..20u32) {
        let events: Vec<_> = sightings.iter().map(|sighting| sighting.learned(Strength::StepUp)).collect();
        let baseline = Baseline::fold(&events);
        let before = assess(&now, &baseline).inherent();
        let worse = [
            Sighting { failures: Failures { subject: failures, address: 0 }, ..now.clone() },
            Sighting { posture: Posture { compliant: Some(false), managed: None }, ..now.clone() },
            Sighting { binding: BindingState::Mismatch, ..now.clone() },
            Sighting { counter_regressed: true, ..now.clone() },
            Sighting { anonymizer: true, ..now.clone() },
        ];
        for worse in worse {
            prop_assert!(assess(&worse, &baseline).inherent() >= before);
        }
    }

    #[test]
    fn learning_is_a_fold(sightings in proptest::collection::vec(any_sighting(), 0..60), cut in 0..60usize) {
        let events: Vec<_> = sightings.iter().map(|sighting| sighting.learned(Strength::StepUp)).collect();
        let (first, rest) = events.split_at(cut.min(events.len()));
        let stored = serde_json::to_vec(&Baseline::fold(first)).unwrap();
        let mut incremental: Baseline = serde_json::from_slice(&stored).unwrap();
        rest.iter().for_each(|event| incremental.learn(event));
        prop_assert_eq!(serde_json::to_vec(&incremental).unwrap(), serde_json::to_vec(&Baseline::fold(&events)).unwrap());
    }
}
