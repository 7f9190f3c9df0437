//! What is learned, when, how much, and in how few bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::laws::{any_event, any_scene};
use super::*;

#[test]
fn a_weak_event_counts_after_a_day_and_can_be_taken_back() {
    let mut baseline = weekdays(1);
    let before = baseline.weight();
    let login = Scene { address: "198.51.100.7", place: lyon(), ..at_home(NEXT) }.learned(Strength::SecondFactor);
    baseline.learn(&login);
    assert!(baseline.weight() <= before, "it waits");
    let mut settled = baseline.clone();
    settled.settle(Timestamp(NEXT + DAY - 1));
    assert_eq!(settled, baseline, "until its day is over");
    assert_eq!(settled.settle(Timestamp(NEXT + DAY)).len(), 1);
    assert!(settled.weight() > before * 0.8 + 0.4, "{}", settled.weight());
    let mut other = baseline.clone();
    other.roll_back(Some(SessionTag(1)));
    assert_eq!(other, baseline, "another session's revocation takes nothing back");
    baseline.roll_back(Some(login.session));
    assert!(baseline.settle(Timestamp(NEXT + 9 * DAY)).is_empty());
}

#[test]
fn what_is_told_when_its_day_is_over_does_not_wait() {
    // Five log-ins on each of five days, told a week later, and two of the last hours.
    let day = |day: i64| (0..5).map(move |n| MONDAY + day * DAY + n * 4 * HOUR);
    let told = MONDAY + 11 * DAY;
    let past: Vec<_> =
        (0..5).flat_map(day).chain([told - 2 * HOUR, told - HOUR]).map(|at| at_home(at).learned(Strength::SecondFactor)).collect();
    let mut baseline = Baseline::empty();
    let admitted: Vec<_> = past
        .iter()
        .map(|event| {
            let is_admitted = baseline.admits(event, Timestamp(told));
            baseline.learn_told(event, Timestamp(told));
            is_admitted
        })
        .collect();
    assert!(admitted.iter().enumerate().all(|(n, admitted)| *admitted == (n % 5 != 4)), "four a day of a network: {admitted:?}");
    assert_eq!(baseline.waiting().count(), 2, "the last day is not over");
    assert!(baseline.weight() > 9.5, "{}", baseline.weight());
    assert_eq!(baseline.settle(Timestamp(told + DAY)).len(), 2);
    let mut one_by_one = Baseline::fold(&past);
    one_by_one.settle(Timestamp(told + DAY));
    assert!(one_by_one.weight() < 6.0, "two a day, when each was told at once: {}", one_by_one.weight());
}

#[test]
fn a_baseline_says_how_late_it_is_whatever_waits_or_was_taken_back() {
    let mut baseline = Baseline::empty();
    assert_eq!(baseline.known_until(), None);
    baseline.learn(&at_home(MONDAY).learned(Strength::StepUp));
    assert_eq!(baseline.known_until(), Some(Timestamp(MONDAY)));
    let login = at_home(MONDAY + HOUR).learned(Strength::PhishingResistant);
    assert!(baseline.admits(&login, login.at));
    baseline.learn(&login);
    assert_eq!(baseline.known_until(), Some(login.at), "it waits");
    let mut settled = baseline.clone();
    settled.settle(Timestamp(MONDAY + 9 * DAY));
    assert_eq!(settled.known_until(), Some(login.at), "looking teaches nothing");
    baseline.roll_back(Some(login.session));
    assert_eq!((baseline.known_until(), baseline.waiting().count()), (Some(login.at), 0), "it is not to be taught again");
    for hour in [2, 3] {
        baseline.learn(&at_home(MONDAY + hour * HOUR).learned(Strength::SecondFactor));
    }
    let third = abroad(MONDAY + 4 * HOUR);
    assert!(!baseline.admits(&third.learned(Strength::SecondFactor), Timestamp(third.at)), "two may wait");
    assert!(baseline.admits(&third.learned(Strength::StepUp), Timestamp(third.at)));
    assert!(baseline.admits(&third.learned(Strength::SecondFactor), Timestamp(MONDAY + 2 * DAY)), "tomorrow nothing waits");
}

#[test]
fn a_step_up_is_learned_at_once_and_weighs_most() {
    let weight = |strength: Strength| {
        let mut baseline = Baseline::fold(&[at_home(NEXT).learned(strength)]);
        let at_once = baseline.weight();
        baseline.settle(Timestamp(NEXT + DAY));
        (at_once, baseline.weight())
    };
    assert_eq!(weight(Strength::StepUp), (1.0, 1.0));
    assert_eq!(weight(Strength::PhishingResistant), (0.0, 1.0));
    assert_eq!(weight(Strength::SecondFactor), (0.0, 0.5));
    assert_eq!(weight(Strength::BoundLowRisk), (0.0, 0.25));
}

#[test]
fn one_day_one_network_and_one_session_teach_only_so_much() {
    let taught = |session: fn(i64) -> String, network: fn(i64) -> u32| {
        let mut baseline = Baseline::empty();
        for n in 0..100 {
            let place = place("SG", 1.35, 103.8, "Asia/Singapore", network(n));
            baseline.learn(&Scene { place, session: session(n), ..abroad(MONDAY + n * 60_000) }.learned(Strength::StepUp));
        }
        baseline.weight()
    };
    assert!(taught(|n| n.to_string(), |_| 64_500) <= 4.0, "a network");
    assert!(taught(|_| "one".to_owned(), |n| 64_500 + n as u32) <= 2.0, "a session");
    assert!(taught(|n| n.to_string(), |n| 64_500 + n as u32) <= 6.0, "a day");
}

#[test]
fn one_phished_proof_buys_no_normal() {
    let mut baseline = weekdays(8);
    let thief = |at: i64| Scene { cookie: Some("thief"), ..abroad(at) };
    let elsewhere = |at: i64| Scene {
        address: "198.51.100.200",
        place: place("US", 40.7, -74.0, "America/New_York", 64_499),
        cookie: None,
        ..abroad(at)
    };
    let at = MONDAY + 56 * DAY + 20 * HOUR;
    let before = assess(&elsewhere(at + 3 * DAY), &known(&baseline)).inherent().value();
    baseline.learn(&thief(at).learned(Strength::StepUp));
    let after = assess(&elsewhere(at + 3 * DAY), &known(&baseline)).inherent().value();
    assert!(before.saturating_sub(after) <= 10, "{before} {after}");
}

#[test]
fn the_organisation_learns_what_its_subjects_settle() {
    let mut rows: BTreeMap<Thing, Sharing> = BTreeMap::new();
    for subject in 1..=4 {
        let mut baseline = Baseline::empty();
        for event in [9, 10].map(|hour| Scene { subject, ..at_home(NEXT + hour * HOUR) }.learned(Strength::StepUp)) {
            for settled in baseline.learn(&event) {
                settled.things().for_each(|thing| rows.entry(thing).or_default().learn(&settled));
            }
        }
    }
    let asked = |scene: &Scene<'_>| Organisation::of(&scene.sighting(), |thing| Ok::<_, ()>(rows.get(&thing).cloned())).unwrap();
    let stranger = asked(&Scene { subject: 9, ..at_home(NEXT + DAY) });
    assert_eq!((stranger.prefix, stranger.network, stranger.device), (4, 4, 4));
    assert_eq!(stranger.churn, Churn { events: 4, moved: 0 });
    assert_eq!(asked(&Scene { subject: 1, ..at_home(NEXT + DAY) }).prefix, 3, "oneself is no other");
    assert_eq!(asked(&Scene { subject: 9, ..at_home(NEXT + 40 * DAY) }).prefix, 0, "a month later nobody is there");
    assert_eq!(asked(&Scene { subject: 9, cookie: None, ..abroad(NEXT + DAY) }), Organisation::default());
}

#[test]
fn a_past_that_is_told_late_pushes_nobody_out_of_the_organisation() {
    let mut row = Sharing::default();
    let mut learn = |subject: u8, at: i64| {
        let event = Scene { subject, ..at_home(at) }.learned(Strength::SecondFactor);
        Baseline::empty().learn_told(&event, Timestamp(NEXT + DAY)).iter().for_each(|settled| row.learn(settled));
    };
    (1..=8).for_each(|subject| learn(subject, NEXT));
    (9..=16).for_each(|subject| learn(subject, NEXT - 31 * DAY));
    let owner = at_home(NEXT).sighting().shared.subject;
    assert_eq!(row.others(owner, Timestamp(NEXT + DAY)), 7, "the owner is one of the eight");
}

#[test]
fn one_subject_alone_makes_no_carrier() {
    let mut rows: BTreeMap<Thing, Sharing> = BTreeMap::new();
    let mut teach = |scene: &Scene<'_>, baseline: &mut Baseline| {
        for settled in baseline.learn(&scene.learned(Strength::StepUp)) {
            settled.things().for_each(|thing| rows.entry(thing).or_default().learn(&settled));
        }
    };
    let mut wanderer = Baseline::empty();
    let addresses: Vec<String> = (0..60).map(|n| format!("192.0.{n}.10")).collect();
    for (n, address) in (0..).zip(&addresses) {
        teach(&Scene { address, ..at_home(NEXT + n * DAY / 2) }, &mut wanderer);
    }
    let later = Scene { subject: 9, ..at_home(NEXT + 31 * DAY) };
    let asked = |rows: &BTreeMap<Thing, Sharing>| {
        Organisation::of(&later.sighting(), |thing| Ok::<_, ()>(rows.get(&thing).cloned())).unwrap().churn
    };
    for subject in 1..=3 {
        let mut baseline = Baseline::empty();
        (0..3).for_each(|day| teach(&Scene { subject, ..at_home(NEXT + (28 + day) * DAY) }, &mut baseline));
    }
    let churn = asked(&rows);
    // Sixty events in a month are five moves; the three who stay count as much.
    assert!(churn.moved <= 5, "{churn:?}");
    rows.values_mut().for_each(|row| *row = Sharing::default());
    assert_eq!(asked(&rows), Churn::default());
}

#[test]
fn nothing_recorded_holds_an_address_an_agent_or_a_name() {
    let scene = Scene {
        hints: Hints { ja4: Some("t13d1715h2"), language: Some("fr-FR"), ..Hints::default() },
        key: Some("jkt:1"),
        ..at_home(MONDAY)
    };
    let (sighting, event) = (scene.sighting(), scene.learned(Strength::StepUp));
    let text = serde_json::to_string(&(&sighting, &event, Baseline::fold([&event]))).unwrap();
    for secret in ["192.0.2", "Mozilla", "laptop", "sid:", "jkt", "t13d", "fr-FR"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(format!("{:?}", salts(7).subject), "SubjectSalt(…)");
    let other = Scene { subject: 8, ..scene }.sighting();
    assert!(sighting.prefix != other.prefix && sighting.cookie != other.cookie, "salts keep subjects apart");
    assert_eq!(sighting.shared.prefix, other.shared.prefix, "and the organisation's brings them together");
}

#[test]
fn damaged_and_foreign_bytes_are_refused() {
    let bytes = weekdays(2).to_bytes();
    assert_eq!(Baseline::from_bytes(&bytes), Ok(weekdays(2)));
    assert_eq!(Baseline::from_bytes(&[]), Err(BaselineError::Damaged));
    assert_eq!(Baseline::from_bytes(&[1, 2, 3]), Err(BaselineError::Layout(1)));
    assert_eq!(Baseline::from_bytes(&bytes[..bytes.len() - 1]), Err(BaselineError::Damaged));
    assert_eq!(Baseline::from_bytes(&[&bytes[..], &[0]].concat()), Err(BaselineError::Damaged));
}

/// Lists, quarantine and names as full as they get.
#[test]
fn a_baseline_takes_at_most_a_kibibyte() {
    let mut baseline = Baseline::empty();
    let mut most = 0;
    for n in 0..600_i64 {
        let zone = if n % 2 == 0 { "America/Argentina/ComodRivadavia" } else { "America/North_Dakota/New_Salem" };
        let country: String = [b'A' + (n % 26) as u8, b'A' + (n / 26 % 26) as u8].map(char::from).iter().collect();
        let place = place(&country, -(n as f64 % 90.0), 179.9, zone, u32::MAX - n as u32);
        let (address, session, cookie, key) =
            (format!("2001:db8:{n:x}::1"), "s".repeat(100) + &n.to_string(), format!("c{n}"), format!("k{n}"));
        let agent = format!("{} Firefox/{}", ["Windows NT", "iPhone", "Android", "CrOS", "Mac OS X", "Linux"][n as usize % 6], 60_000 + n);
        let (ja4, version) = (format!("t{n}"), format!("\"{n}\""));
        let hints =
            Hints { ja4: Some(&ja4), platform_version: Some(&version), language: Some(&version), mobile: Some("?0"), ..Hints::default() };
        let scene = Scene {
            at: NEXT + n * DAY / 7 + (n * n * 37 % 1440) * 60_000,
            address: &address,
            place,
            agent: &agent,
            hints,
            cookie: Some(&cookie),
            key: Some(&key),
            session,
            subject: 7,
        };
        baseline.learn(&scene.learned(if n % 3 == 0 { Strength::StepUp } else { Strength::SecondFactor }));
        most = most.max(baseline.to_bytes().len());
    }
    assert!(most <= 1024, "{most} bytes");
    assert!(most > 700, "the lists are not full: {most} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn learning_is_a_fold(events in proptest::collection::vec(any_event(), 0..60), cut in 0..60usize) {
        let (first, rest) = events.split_at(cut.min(events.len()));
        let stored = Baseline::fold(first).to_bytes();
        let mut incremental = Baseline::from_bytes(&stored).unwrap();
        rest.iter().for_each(|event| { incremental.learn(event); });
        let whole = Baseline::fold(&events).to_bytes();
        prop_assert!(whole.len() <= 1024);
        prop_assert_eq!(incremental.to_bytes(), whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1200), scene in any_scene()) {
        if let Ok(baseline) = Baseline::from_bytes(&bytes) {
            let assessment = assess(&scene, &known(&baseline));
            prop_assert!(assessment.inherent().value() <= 100);
        }
    }

    #[test]
    fn a_hundred_unverified_events_move_nothing(events in proptest::collection::vec(any_event(), 0..20), scenes in proptest::collection::vec(any_scene(), 100), now in any_scene()) {
        let baseline = Baseline::fold(&events);
        let before = assess(&now, &known(&baseline)).inherent();
        // All that unverified events leave is a trail.
        let mut trail = Trail::begin(&now.sighting());
        scenes.iter().for_each(|scene| trail.pass(&scene.sighting()));
        let after = assess(&now, &Known { trail: Some(&trail), ..known(&baseline) }).inherent();
        prop_assert!(after >= before);
    }
}
