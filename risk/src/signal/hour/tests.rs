//! What a clock learns, forgets and says.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Monday 2026-03-02T00:00Z. Paris is one hour ahead until the 29th, then two; Singapore is eight.
const MONDAY: i64 = 1_772_409_600_000;
const PARIS: &str = "Europe/Paris";
const SINGAPORE: &str = "Asia/Singapore";

/// One event a day at an hour in UTC.
fn daily(clock: &mut Clock, days: std::ops::Range<i64>, hour: i64, zone: &str) {
    days.for_each(|day| clock.learn(Timestamp(MONDAY + day * DAY + hour * HOUR), Some(zone), 1.0));
}

/// At nine in Paris, while it is winter there.
fn nine_in_paris(days: i64) -> Clock {
    let mut clock = Clock::default();
    daily(&mut clock, 0..days, 8, PARIS);
    clock
}

fn ratio(clock: &Clock, day: i64, hour: i64) -> f64 {
    clock.ratio(Timestamp(MONDAY + day * DAY + hour * HOUR), &clock.zones()).unwrap()
}

#[test]
fn a_habit_stays_at_its_local_hour_when_the_clocks_change() {
    let clock = nine_in_paris(26);
    let (winter, summer) = (ratio(&clock, 26, 8), ratio(&clock, 27, 7));
    assert!((winter - summer).abs() < 0.1, "nine in winter {winter}, nine in summer {summer}");
    assert!(winter < -1.5 && ratio(&clock, 26, 20) > 1.5, "{winter}");
    assert!(ratio(&clock, 27, 8) > summer + 0.1, "ten in summer");
}

#[test]
fn a_traveller_is_at_home_after_one_verified_event() {
    let mut clock = nine_in_paris(20);
    let nine_there = |clock: &Clock, day: i64| clock.nats(Timestamp(MONDAY + day * DAY + HOUR)).unwrap();
    assert!(nine_there(&clock, 20) > 0.5, "two in the morning at home");
    daily(&mut clock, 20..21, 1, SINGAPORE);
    assert_eq!(clock.home(), Some(SINGAPORE));
    assert!(nine_there(&clock, 21) < -0.8, "{}", nine_there(&clock, 21));
    assert!(clock.nats(Timestamp(MONDAY + 21 * DAY + 8 * HOUR)).unwrap() < -0.5, "the hours of the zone before stay familiar");
    daily(&mut clock, 21..22, 8, PARIS);
    assert_eq!((clock.home(), clock.away.as_ref().map(ZoneName::as_str)), (Some(PARIS), Some(SINGAPORE)), "and back");
}

#[test]
fn bounds_are_approached() {
    for (nats, expected) in [(0.0, 0.0), (1.0, 1.0), (-0.5, -0.5), (1.5, 1.316), (3.0, 1.491), (-1.0, -0.816), (-2.0, -0.975)] {
        assert!((bent(nats) - expected).abs() < 1e-3, "{nats} {}", bent(nats));
    }
}

#[test]
fn old_habits_fade() {
    let mut clock = Clock::default();
    daily(&mut clock, 0..60, 8, "UTC");
    daily(&mut clock, 60..102, 14, "UTC");
    let (new, old) = (ratio(&clock, 103, 14), ratio(&clock, 103, 8));
    assert!(new < old - 0.2, "six weeks of afternoons {new} outweigh sixty mornings {old}");
    let years = MONDAY + 3_000 * DAY;
    assert_eq!((clock.nats(Timestamp(years)), clock.weight(Timestamp(years)) < 1.0), (None, true), "and are forgotten");
}

#[test]
fn the_night_before_counts_for_a_day() {
    let mut clock = nine_in_paris(20);
    let midnight = |clock: &Clock, day: i64| ratio(clock, day, 23);
    let before = midnight(&clock, 21);
    daily(&mut clock, 20..21, 23, PARIS);
    assert!(midnight(&clock, 21) < before - 1.0 && midnight(&clock, 21) < midnight(&clock, 24) - 0.1);
}

#[test]
fn too_little_history_says_so_and_costs_nothing() {
    let two = nine_in_paris(2);
    assert_eq!((two.nats(Timestamp(MONDAY + 2 * DAY)), nine_in_paris(3).nats(Timestamp(MONDAY + 3 * DAY)).is_some()), (None, true));
    let mut quarters = Clock::default();
    (0..8).for_each(|day| quarters.learn(Timestamp(MONDAY + day * DAY), None, 0.25));
    assert_eq!(quarters.nats(Timestamp(MONDAY + 8 * DAY)), None, "eight quarters are two");
    let item = said(&two, Timestamp(MONDAY + 2 * DAY));
    assert_eq!((item.nats, &*item.text), (0.0, "too little is known of the subject's hours"));
}

#[test]
fn zones_that_nobody_knows_leave_home_where_it_is() {
    let mut clock = nine_in_paris(5);
    let long = "x".repeat(10_000);
    for zone in [None, Some("Mars/Olympus"), Some(""), Some("+99:99"), Some(long.as_str())] {
        clock.learn(Timestamp(MONDAY + 6 * DAY), zone, 1.0);
        assert_eq!(clock.home(), Some(PARIS), "{zone:?}");
    }
    clock.learn(Timestamp(MONDAY + 7 * DAY), Some("+05:30"), 1.0);
    assert_eq!((clock.home(), clock.last.as_ref().unwrap().half_hour), (Some("+05:30"), 11));
}

#[test]
fn every_zone_of_the_database_can_be_home() {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    assert!(names.len() > 400);
    for name in names {
        assert!(ZoneName::new(&name).is_some() && resolve(&name).is_some(), "{name}");
    }
}

#[test]
fn a_full_memory_keeps_its_shape() {
    let mut memory = Memory::<2, 360>::default();
    (0..30_000).for_each(|event| memory.learn(Timestamp(MONDAY), usize::from(event % 3 == 0), 1.0));
    let [often, seldom] = memory.weights().map(f64::from);
    assert!(often > 8_000.0 && (often / seldom - 2.0).abs() < 0.1, "{often} {seldom}");
}

#[test]
fn what_is_no_clock_is_refused() {
    let stored = serde_json::to_value(nine_in_paris(3)).unwrap();
    assert!(serde_json::from_value::<Clock>(stored.clone()).is_ok());
    for weights in [vec![0; 47], vec![0; 49], vec![70_000; 48]] {
        let mut bad = stored.clone();
        bad["habit"]["weights"] = weights.into();
        assert!(serde_json::from_value::<Clock>(bad).is_err());
    }
    let mut bad = stored;
    bad["home"] = "x".repeat(33).into();
    assert!(serde_json::from_value::<Clock>(bad).is_err());
}

fn said(clock: &Clock, at: Timestamp) -> EvidenceItem {
    item(clock.nats(at))
}

type Learned = (i64, Option<&'static str>, f64);

fn any_event() -> impl Strategy<Value = Learned> {
    let at = prop_oneof![9 => MONDAY..MONDAY + 800 * DAY, 1 => any::<i64>()];
    let names = [PARIS, SINGAPORE, "America/Argentina/ComodRivadavia", "Antarctica/DumontDUrville", "-03:30", "nowhere"];
    (at, proptest::option::of(proptest::sample::select(names.to_vec())), prop_oneof![Just(1.0), Just(0.25), 0.0..=1.0])
}

fn learn(clock: &mut Clock, events: &[Learned]) {
    events.iter().for_each(|(at, zone, weight)| clock.learn(Timestamp(*at), *zone, *weight));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn learning_is_a_fold_of_few_bytes(events in proptest::collection::vec(any_event(), 0..80), cut in 0..80usize) {
        let (first, rest) = events.split_at(cut.min(events.len()));
        let mut whole = Clock::default();
        learn(&mut whole, &events);
        let mut half = Clock::default();
        learn(&mut half, first);
        let mut stored: Clock = postcard::from_bytes(&postcard::to_allocvec(&half).unwrap()).unwrap();
        learn(&mut stored, rest);
        let bytes = postcard::to_allocvec(&whole).unwrap();
        prop_assert_eq!(postcard::to_allocvec(&stored).unwrap(), bytes.clone());
        prop_assert!(bytes.len() <= 320, "{} bytes", bytes.len());
        let text: Clock = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
        prop_assert_eq!(text, whole);
    }

    #[test]
    fn what_is_said_is_finite_and_in_range(events in proptest::collection::vec(any_event(), 0..80), (now, ..) in any_event()) {
        let mut clock = Clock::default();
        learn(&mut clock, &events);
        let nats = clock.nats(Timestamp(now));
        prop_assert!(nats.is_none_or(|nats| nats.is_finite() && (-1.0..=1.5).contains(&nats)), "{:?}", nats);
        let ratio = clock.ratio(Timestamp(now), &clock.zones());
        prop_assert!(ratio.is_none_or(|nats| nats.abs() < 12.0), "{:?}", ratio);
    }

    #[test]
    fn bending_keeps_the_order(a in -8.0..8.0, apart in 0.001..1.0) {
        let b = a + apart;
        prop_assert!(bent(a) < bent(b), "{} {}", bent(a), bent(b));
    }

    #[test]
    fn any_stored_weights_can_be_read_and_say_something_in_range(weights in proptest::collection::vec(any::<u16>(), HALF_HOURS), (now, zone, weight) in any_event()) {
        let mut stored = serde_json::to_value(nine_in_paris(5)).unwrap();
        stored["habit"]["weights"] = weights.clone().into();
        stored["recent"]["weights"] = weights.into();
        stored["last"]["half_hour"] = 255.into();
        let mut clock: Clock = serde_json::from_value(stored).unwrap();
        clock.learn(Timestamp(now), zone, weight);
        prop_assert!(clock.nats(Timestamp(now)).is_none_or(|nats| (-1.0..=1.5).contains(&nats)));
    }
}

#[test]
fn the_hours_that_are_shown_are_those_that_are_judged() {
    let mut clock = nine_in_paris(20);
    daily(&mut clock, 20..21, 1, SINGAPORE);
    for hour in 0..24 {
        let at = Timestamp(MONDAY + 21 * DAY + hour * HOUR);
        let hours = clock.hours(at).unwrap();
        let sum: f64 = hours.half_hours.iter().sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        assert_eq!((hours.zone.as_str(), hours.now), (SINGAPORE, usize::try_from((hour + 8) % 24 * 2).unwrap()));
        let day = clock.day(at, &clock.zones()).unwrap();
        let attacker = (1.0 - WAITING) * UNIFORM + WAITING * day.expected(&LATER_RING, hours.now);
        assert_eq!(clock.nats(at), Some(bent(libm::log(attacker / hours.half_hours[hours.now]))));
    }
    assert_eq!(Clock::default().hours(Timestamp(MONDAY)), None);
}
