//! What the engine costs on one core, of two thousand subjects with sixty learned events each: keying a request, scoring it, learning from it.

use std::hint::black_box;

use countersign_risk::{
    Baseline, Churn, Known, LearnedEvent, Organisation, RawSighting, Salts, Sighting, Strength, SubjectSalt, Trail, Weights, observe, score,
};
use countersign_sdk_types::{Asn, Coordinates, Country, DeviceId, Kilometers, Place, PlaceRecord, SessionId, Timestamp};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const SUBJECTS: usize = 2_000;
const EVENTS: i64 = 60;
const DAY: i64 = 86_400_000;
const START: i64 = 1_772_409_600_000;
const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

struct Subject {
    salts: Salts,
    baseline: Baseline,
    trail: Trail,
    now: Sighting,
    next: LearnedEvent,
}

fn place(n: u32) -> Place {
    let [a, b] = [b'A' + u8::try_from(n % 26).unwrap_or(0), b'A' + u8::try_from(n / 26 % 26).unwrap_or(0)].map(char::from);
    Place::Known(PlaceRecord {
        country: Country::new(&format!("{a}{b}")),
        at: Some(Coordinates { lat: f64::from(n % 60), lon: f64::from(n % 170) }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some("Europe/Paris".to_owned()),
        asn: Some(Asn(64_496 + n % 500)),
        ..PlaceRecord::default()
    })
}

fn sighting(n: u32, at: i64, salts: &Salts) -> Option<Sighting> {
    let (cookie, session) = (DeviceId::new(format!("device-{}", n % 3)).ok()?, SessionId::new(format!("sid:{at}")).ok()?);
    let place = place(n);
    let raw = RawSighting {
        address: format!("192.{}.{}.{}", n % 250, n / 250 % 250, at / DAY % 250).parse().ok(),
        user_agent: Some(AGENT),
        cookie: Some(&cookie),
        ..RawSighting::new(Timestamp(at), &place, &session)
    };
    Some(Sighting::new(&raw, salts))
}

/// A subject with a home, an office, a phone and some travel.
fn subject(n: u32) -> Option<Subject> {
    let key = |of: u32| SubjectSalt::new(std::array::from_fn(|at| u8::try_from((of >> (at % 4 * 8)) & 255).unwrap_or(0)));
    let salts = Salts { subject: key(n + 1), organisation: key(0) };
    let mut baseline = Baseline::empty();
    for day in 0..EVENTS {
        let where_ = match day % 5 {
            0 | 1 => n,
            2 => n + 1,
            3 => n + 2,
            _ => n + 3 + u32::try_from(day).unwrap_or(0),
        };
        let at = START + day * DAY + i64::from(n % 12) * 3_600_000;
        baseline.learn(&sighting(where_, at, &salts)?.learned(Strength::StepUp));
    }
    let first = sighting(n, START + EVENTS * DAY, &salts)?;
    let mut trail = Trail::begin(&first);
    trail.pass(&first);
    let elsewhere = if n.is_multiple_of(3) { n + 77 } else { n };
    let now = sighting(elsewhere, START + EVENTS * DAY + 3_600_000, &salts)?;
    let next = now.learned(Strength::StepUp);
    Some(Subject { salts, baseline, trail, now, next })
}

fn costs(criterion: &mut Criterion) {
    let subjects: Vec<Subject> = (0..u32::try_from(SUBJECTS).unwrap_or(0)).filter_map(subject).collect();
    assert_eq!(subjects.len(), SUBJECTS, "the subjects could not be set up");
    let weights = Weights::default();
    let organisation = Organisation { prefix: 1, network: 6, churn: Churn { events: 40, moved: 12 }, device: 0 };
    let mut turn = subjects.iter().cycle();
    criterion.bench_function("risk/key a request", |bencher| {
        bencher.iter(|| turn.next().and_then(|subject| sighting(7, START, black_box(&subject.salts))));
    });
    let mut turn = subjects.iter().cycle();
    criterion.bench_function("risk/score", |bencher| {
        bencher.iter(|| {
            let subject = turn.next()?;
            let known = Known {
                baseline: &subject.baseline,
                organisation,
                trail: Some(&subject.trail),
                behavior: None,
                is_asked_when_unknown: true,
            };
            Some(score(observe(black_box(&subject.now), &known, &weights), &weights.calibration))
        });
    });
    let mut turn = subjects.iter().cycle();
    criterion.bench_function("risk/learn", |bencher| {
        let setup = || turn.next().map(|subject| (subject.baseline.clone(), subject.next.clone()));
        bencher.iter_batched(setup, |given| given.map(|(mut baseline, event)| (baseline.learn(&event), baseline)), BatchSize::SmallInput);
    });
    let mut turn = subjects.iter().cycle();
    criterion.bench_function("risk/read a stored baseline", |bencher| {
        let setup = || turn.next().map(|subject| subject.baseline.to_bytes()).unwrap_or_default();
        bencher.iter_batched(setup, |bytes| Baseline::from_bytes(&bytes), BatchSize::SmallInput);
    });
}

criterion_group!(benches, costs);
criterion_main!(benches);
