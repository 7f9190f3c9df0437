//! A breakdown repeats what was scored, and says what is not known.

use countersign_pdp_engine::record::Record;
use countersign_risk::{Baseline, RawSighting, Salts, Strength, SubjectSalt, Trail, Weights, observe, score};
use countersign_sdk_types::{
    Asn, Coordinates, DecisionId, DenialCode, DeviceId, Kilometers, Place, PlaceGap, PlaceRecord, SessionId, Tenant,
};

use super::*;

const HOUR: i64 = 3_600_000;
/// Monday 2026-03-02T00:00Z.
const MONDAY: i64 = 1_772_409_600_000;

/// A place with a network of its own.
pub(crate) fn at(lat: f64, lon: f64, asn: u32) -> Place {
    Place::Known(PlaceRecord {
        country: Country::new("FR"),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some("Europe/Paris".to_owned()),
        asn: Some(Asn(asn)),
        ..PlaceRecord::default()
    })
}

pub(crate) fn paris() -> Place {
    at(48.9, 2.4, 3_215)
}

fn sighting(hour: i64, place: &Place, device: Option<&str>) -> Sighting {
    let salt = || SubjectSalt::new([7; 32]);
    let device = device.map(|name| DeviceId::new(name).unwrap());
    let session = SessionId::new("s").unwrap();
    let raw = RawSighting {
        address: Some(if *place == paris() { "192.0.2.10" } else { "203.0.113.7" }.parse().unwrap()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        cookie: device.as_ref(),
        ..RawSighting::new(Timestamp(MONDAY + hour * HOUR), place, &session)
    };
    Sighting::new(&raw, &Salts { subject: salt(), organisation: salt() })
}

/// Nine in the morning in Paris on twenty days, with the session there an hour ago; then a stolen token at one place or another.
pub(crate) fn stolen(home: &Place, place: &Place) -> (Breakdown, Assessment) {
    let days = (0..20).map(|day| sighting(day * 24 + 8, home, Some("laptop")).learned(Strength::StepUp));
    let baseline = Baseline::fold(&days.collect::<Vec<_>>());
    let before = sighting(20 * 24 + 1, home, Some("laptop"));
    let mut trail = Trail::begin(&before);
    trail.pass(&before);
    let thief = sighting(20 * 24 + 2, place, None);
    let known = Known {
        baseline: &baseline,
        organisation: Organisation::default(),
        trail: Some(&trail),
        behavior: None,
        is_asked_when_unknown: true,
    };
    let assessment = score(observe(&thief, &known, &Weights::default()), &Weights::default().calibration);
    (Breakdown::of("event 1".to_owned(), "alice".to_owned(), &thief, &known, &assessment), assessment)
}

#[test]
fn a_breakdown_is_what_was_scored() {
    let (breakdown, assessment) = stolen(&paris(), &at(1.3, 103.8, 64_500));
    let points: i32 = breakdown.contributions.iter().map(|one| i32::from(one.points)).sum();
    assert_eq!((points, breakdown.score), (i32::from(assessment.inherent().value()), assessment.inherent()));
    let told: Vec<_> = breakdown.contributions.iter().map(|one| (one.signal, one.points, one.text.clone())).collect();
    let reasons: Vec<_> = assessment.reasons().iter().map(|reason| (reason.signal, reason.points, reason.text.clone())).collect();
    assert_eq!(told, reasons, "in the order of the reasons");
    let sum: f64 = assessment.evidence().items().iter().map(|item| item.nats).sum();
    assert!((breakdown.sum - sum).abs() < 1e-9);
    assert!(breakdown.after_passkey < breakdown.score);
}

#[test]
fn the_table_tells_signals_places_and_hours() {
    let table = stolen(&paris(), &at(1.3, 103.8, 64_500)).0.to_string();
    for told in [
        "travel",
        "network",
        "answers",
        "sum",
        "after a passkey",
        "03:00–03:30 in Europe/Paris",
        "network new",
        "device –",
        "here: FR, 1.3° N 103.8° E ± 20 km",
        "session passed: 48.9° N 2.4° E ± 20 km, 10728 km away, 1.0 h before",
        "last verified: 48.9° N 2.4° E ± 20 km, 10728 km away, 18.0 h before",
    ] {
        assert!(table.contains(told), "`{told}` is not in:\n{table}");
    }
}

#[test]
fn what_is_not_known_is_said() {
    let nothing = sighting(3, &Place::Unknown(PlaceGap::NotFound), None);
    let known = Known {
        baseline: &Baseline::empty(),
        organisation: Organisation::default(),
        trail: None,
        behavior: None,
        is_asked_when_unknown: true,
    };
    let assessment = score(observe(&nothing, &known, &Weights::default()), &Weights::default().calibration);
    let table = Breakdown::of(String::new(), String::new(), &nothing, &known, &assessment).to_string();
    for told in
        ["here: no point is known", "last verified: no point is known", "too little is known of the subject's hours", "[at least 30]"]
    {
        assert!(table.contains(told), "`{told}` is not in:\n{table}");
    }
}

#[test]
fn points_off_the_globe_are_no_points() {
    let (breakdown, _) = stolen(&at(91.0, 0.0, 1), &at(0.0, 200.0, 2));
    assert_eq!((breakdown.journey.here, breakdown.journey.verified), (None, None));
}

#[test]
fn a_denial_before_the_score_says_so() {
    let id = DecisionId::new("main.1.1").unwrap();
    let record = Record::for_denial(id, Timestamp(MONDAY), Tenant::new("main").unwrap(), None, DenialCode::MalformedRequest.into());
    let said = Breakdown::of_record(&record).unwrap_err().to_string();
    assert!(said.starts_with("decision `main.1.1` was a deny before anything was scored: "), "{said}");
}

#[test]
fn a_half_hour_reads_as_on_a_clock() {
    assert_eq!([0, 1, 47].map(half_hour), ["00:00–00:30", "00:30–01:00", "23:30–00:00"]);
}
