//! The laws of the verifier, and a small synthetic pair of hands.

use std::sync::LazyLock;

use countersign_sdk_types::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::Keyed;

const DAY: i64 = 86_400_000;

fn point(millis: i64, x: f64, y: f64, kind: PointKind) -> Point {
    Point { at: Timestamp(millis), x, y, kind }
}

fn cut(points: impl IntoIterator<Item = Point>) -> Vec<ActionFeatures> {
    let mut segmenter = Segmenter::default();
    let mut actions: Vec<_> = points.into_iter().filter_map(|point| segmenter.push(point)).collect();
    actions.extend(segmenter.finish());
    actions
}

/// A movement to the right at `step` pixels each 20 ms, then a click held for `held` ms.
fn click(start: i64, steps: i64, step: f64, held: i64) -> Vec<Point> {
    let x = |nth: i64| 100.0 + step * f64::from(i32::try_from(nth).unwrap());
    let mut points: Vec<Point> =
        (0..steps).map(|nth| point(start + nth * 20, x(nth), 300.0 + (x(nth) / 40.0).sin() * 9.0, PointKind::Move)).collect();
    let end = points.last().copied().unwrap();
    points.push(Point { at: Timestamp(end.at.0 + 40), kind: PointKind::Press, ..end });
    points.push(Point { at: Timestamp(end.at.0 + 40 + held), kind: PointKind::Release, ..end });
    points
}

/// A session of `n` clicks whose pace depends on the hand, and whose lengths depend on the seed.
fn session(hand: i64, seed: i64, n: i64) -> Vec<CountedAction> {
    measured(hand, seed, n).iter().map(CountedAction::from).collect()
}

fn measured(hand: i64, seed: i64, n: i64) -> Vec<ActionFeatures> {
    let one = |nth: i64| {
        let steps = 50 + (nth * 7 + seed * 13) % 31;
        let pace = f64::from(i32::try_from(3 + hand * 5 + (nth + seed) % 3).unwrap());
        click(nth * 5000, steps, pace, 70 + hand * 60 + (nth * 3 + seed) % 25)
    };
    cut((0..n).flat_map(one))
}

fn learn_hand(hand: i64) -> PointerProfile {
    let mut profile = PointerProfile::empty();
    for nth in 1..=5 {
        profile.learn(Keyed(u32::try_from(nth).unwrap()), Timestamp(nth * DAY), &session(hand, nth, 50));
    }
    profile
}

fn made_verifier() -> PointerVerifier {
    let hands: Vec<_> = (0..4).map(learn_hand).collect();
    PointerVerifier { background: Background::of(&hands), ..PointerVerifier::default() }
}

/// Made once: making it costs more than a verdict.
static MADE: LazyLock<(PointerVerifier, Vec<PointerProfile>)> = LazyLock::new(|| (made_verifier(), (0..4).map(learn_hand).collect()));

fn verifier() -> PointerVerifier {
    MADE.0.clone()
}

fn learned(hand: usize) -> PointerProfile {
    MADE.1[hand].clone()
}

fn value(action: &ActionFeatures, name: &str) -> Option<f32> {
    action.values()[Feature::ALL.iter().position(|feature| feature.name == name).expect("a feature")]
}

fn some_features() -> impl Strategy<Value = ActionFeatures> {
    proptest::collection::vec(proptest::option::of(proptest::num::f32::ANY), FEATURES)
        .prop_map(|values| ActionFeatures::from(<[Option<f32>; FEATURES]>::try_from(values).unwrap()))
}

fn some_action() -> impl Strategy<Value = CountedAction> {
    some_features().prop_map(CountedAction::from)
}

fn some_points() -> impl Strategy<Value = Vec<Point>> {
    let kind =
        prop_oneof![Just(PointKind::Move), Just(PointKind::Drag), Just(PointKind::Press), Just(PointKind::Release), Just(PointKind::Wheel)];
    let one = (any::<i16>(), -40_000.0..40_000.0, -40_000.0..40_000.0, kind).prop_map(|(gap, x, y, kind)| (i64::from(gap), x, y, kind));
    proptest::collection::vec(one, 0..200).prop_map(|steps| {
        let mut at = 0;
        let mut points = Vec::new();
        for (gap, x, y, kind) in steps {
            at += gap / 8;
            points.push(point(at, x, y, kind));
        }
        points
    })
}

#[test]
fn an_action_ends_with_a_release_or_before_a_pause() {
    let mut points = click(0, 10, 5.0, 80);
    points.extend((0..6).map(|nth| point(5000 + nth * 100, 10.0, 10.0 + 3.0 * nth as f64, PointKind::Move)));
    points.extend((0..6).map(|nth| point(16_000 + nth * 100, 10.0, 10.0, PointKind::Move)));
    assert_eq!(cut(points).len(), 3);
}

#[test]
fn runs_that_are_too_short_or_too_long_are_dropped_whole() {
    let moves = |n: usize| (0..n).map(|nth| point(nth as i64 * 8, nth as f64 % 500.0, 0.0, PointKind::Move)).collect::<Vec<_>>();
    for (n, actions) in [(MIN_POINTS - 1, 0), (MIN_POINTS, 1), (MAX_POINTS, 1), (MAX_POINTS + 1, 0)] {
        assert_eq!(cut(moves(n)).len(), actions, "{n} points");
    }
}

#[test]
fn a_click_is_measured_in_its_units() {
    let actions = cut(click(0, 51, 4.0, 80));
    let [action] = actions.as_slice() else { panic!("one action") };
    assert_eq!(value(action, "duration"), Some(1.12));
    assert_eq!(value(action, "press duration"), Some(0.08));
    assert_eq!(value(action, "rest before press"), Some(0.04));
    assert_eq!(value(action, "movement while pressed"), Some(0.0));
    assert_eq!(value(action, "drag duration"), None);
    assert_eq!(value(action, "report interval"), Some(0.02));
    let speed = value(action, "high speed").unwrap();
    assert!((speed - 200.0).abs() < 15.0, "{speed} px/s");
}

#[test]
fn a_device_that_reports_more_often_moves_alike() {
    let trace = |every: i64| {
        (0..=2000 / every).map(move |nth| {
            let at = nth * every;
            let t = at as f64 / 1000.0;
            point(at, 400.0 * t, 80.0 * (3.0 * t).sin(), PointKind::Move)
        })
    };
    let (fast, slow) = (cut(trace(10)), cut(trace(100)));
    for (feature, (fast, slow)) in Feature::ALL.iter().zip(fast[0].values().iter().zip(slow[0].values())) {
        if !feature.is_sampling {
            assert_eq!(fast, slow, "{}", feature.name);
        }
    }
}

#[test]
fn wheels_and_points_off_the_screen_are_no_part_of_an_action() {
    let clean = click(0, 20, 5.0, 80);
    let mut odd = clean.clone();
    odd.insert(5, point(90, 65_535.0, 65_535.0, PointKind::Move));
    odd.insert(9, point(150, f64::NAN, 3.0, PointKind::Move));
    odd.insert(12, point(200, 150.0, 300.0, PointKind::Wheel));
    assert_eq!(cut(odd), cut(clean));
}

#[test]
fn a_clock_that_falls_stands_still() {
    let mut points = click(100_000, 20, 5.0, 80);
    points.iter_mut().skip(8).for_each(|point| point.at.0 -= 60_000);
    let actions = cut(points);
    assert_eq!(actions.len(), 1);
    assert!(value(&actions[0], "duration").unwrap() < 1.0);
}

#[test]
fn a_hand_is_told_from_another() {
    let verifier = verifier();
    let own = verifier.judge(&learned(1), &session(1, 9, 40));
    let other = verifier.judge(&learned(1), &session(3, 9, 40));
    assert!(own.log_odds.unwrap() < 0.0, "{own:?}");
    assert_eq!(own.raise(), 0.0);
    assert!(other.log_odds.unwrap() > 3.0, "{other:?}");
    assert_eq!(other.raise(), 3.0);
    assert!(other.text().starts_with("the pointer moves unlike the subject: "), "{}", other.text());
}

#[test]
fn few_actions_or_little_learned_cost_nothing() {
    let verifier = verifier();
    let few = verifier.judge(&learned(1), &session(3, 9, 19));
    assert_eq!((few.log_odds, few.nats()), (None, 0.0));
    assert_eq!(few.text(), "19 movements of the pointer are too few");
    let stranger = verifier.judge(&PointerProfile::empty(), &session(3, 9, 40));
    assert_eq!((stranger.log_odds, stranger.nats()), (None, 0.0));
    assert_eq!(stranger.text(), "too little is known of how the subject moves the pointer");
}

#[test]
fn a_replayed_session_is_seen_although_it_moves_as_its_owner() {
    let verifier = verifier();
    let replay = verifier.judge(&learned(1), &session(1, 4, 50));
    assert!(replay.replayed > 0);
    assert_eq!(replay.raise(), 3.0);
    assert_eq!(replay.behavior().text, format!("{} movements of the pointer repeat earlier ones exactly", replay.replayed));
    let own = session(1, 9, 5);
    assert_eq!(replayed(&PointerProfile::empty(), &own), 0);
    assert_eq!(replayed(&PointerProfile::empty(), &[own.clone(), own].concat()), 5);
}

#[test]
fn equal_weights_leave_the_report_interval_out() {
    let before = verifier().judge(&learned(1), &session(1, 9, 40)).log_odds;
    let slower = measured(1, 9, 40).into_iter().map(|action| {
        let mut values = *action.values();
        values[FEATURES - 1] = Some(0.2);
        CountedAction::from(ActionFeatures::from(values))
    });
    let slower: Vec<_> = slower.collect();
    assert_eq!(verifier().judge(&learned(1), &slower).log_odds, before);
}

#[test]
fn a_session_teaches_a_bounded_number_of_actions() {
    let mut profile = PointerProfile::empty();
    for _ in 0..5 {
        profile.learn(Keyed(1), Timestamp(DAY), &session(1, 1, 50));
    }
    assert_eq!((profile.actions(), profile.sessions()), (128, 1));
    profile.learn(Keyed(2), Timestamp(DAY), &session(1, 1, 50));
    assert_eq!((profile.actions(), profile.sessions()), (178, 2));
}

#[test]
fn what_was_learned_fades() {
    let mut profile = learned(1);
    let before = profile.actions();
    profile.learn(Keyed(9), Timestamp(130 * DAY), &[]);
    assert!((before / 3..=before / 2).contains(&profile.actions()), "{before} became {}", profile.actions());
    profile.learn(Keyed(10), Timestamp(5000 * DAY), &[]);
    assert_eq!(profile.actions(), 0);
}

#[test]
fn a_profile_is_small_and_of_one_version() {
    let bytes = learned(1).to_bytes();
    assert_eq!(bytes.len(), PointerProfile::BYTES);
    const { assert!(PointerProfile::BYTES <= 512) };
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert_eq!(PointerProfile::from_bytes(&newer), Err(ProfileError::Version(2)));
    assert_eq!(PointerProfile::from_bytes(&bytes[1..]), Err(ProfileError::Version(bytes[1])));
    assert_eq!(PointerProfile::from_bytes(&bytes[..400]), Err(ProfileError::Length));
    assert_eq!(PointerProfile::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(ProfileError::Length));
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let with = |weight: f64| PointerWeights::new(0.0, [weight; FEATURES], [0.0; FEATURES]);
    assert!(with(3.0).is_ok());
    for wrong in [f64::NAN, f64::INFINITY, 1001.0] {
        assert_eq!(with(wrong), Err(WeightsRefused));
    }
    let json = serde_json::to_string(&verifier()).unwrap();
    assert_eq!(serde_json::from_str::<PointerVerifier>(&json).unwrap(), verifier());
    assert!(serde_json::from_str::<PointerVerifier>(&json.replacen("\"bias\":-1.5", "\"bias\":4000.0", 1)).is_err());
}

#[test]
fn a_lesson_that_no_session_teaches_is_refused() {
    let lesson = PointerProfile::empty().lesson(Keyed(1), &session(1, 1, 200));
    assert_eq!(lesson.actions(), 128);
    let written = serde_json::to_value(&lesson).unwrap();
    assert_eq!(serde_json::from_value::<PointerLesson>(written.clone()).unwrap(), lesson);
    assert!(written.to_string().len() < 1500, "a lesson takes {} bytes", written.to_string().len());
    let check = |name: &str, value: serde_json::Value| {
        let mut other = written.clone();
        other[name] = value;
        assert!(serde_json::from_value::<PointerLesson>(other).is_err(), "{name}");
    };
    check("actions", 127.into());
    check("actions", 129.into());
    check("digests", (1..16).collect::<Vec<u32>>().into());
    check("digests", vec![2, 1].into());
    check("digests", vec![0].into());
    check("points", vec![1].into());
}

#[test]
fn a_lesson_too_many_is_left_out_whole() {
    let mut profile = PointerProfile::empty();
    let lesson = profile.lesson(Keyed(1), &session(1, 1, 100));
    profile.absorb(Keyed(1), Timestamp(DAY), &lesson);
    profile.absorb(Keyed(1), Timestamp(DAY), &lesson);
    assert_eq!((profile.actions(), profile.sessions()), (100, 1));
    assert_eq!(profile.lesson(Keyed(1), &session(1, 1, 100)).actions(), 28, "what the session may still teach");
}

#[test]
fn a_full_bin_halves_its_feature_and_loses_no_lesson() {
    let mut profile = PointerProfile::empty();
    for nth in 1..=20 {
        profile.learn(Keyed(nth), Timestamp(DAY), &session(1, 1, 128));
        assert!((128..=2 * 255 + 128).contains(&profile.actions()), "{}", profile.actions());
    }
}

proptest! {
    #[test]
    fn any_trace_gives_finite_features(points in some_points()) {
        for action in cut(points) {
            prop_assert!(action.values().iter().flatten().all(|value| value.is_finite()));
            let json = serde_json::to_string(&action).unwrap();
            prop_assert_eq!(serde_json::from_str::<ActionFeatures>(&json).unwrap(), action);
        }
    }

    #[test]
    fn any_features_give_a_finite_verdict_in_range(actions in proptest::collection::vec(some_action(), 0..60)) {
        let verdict = verifier().judge(&learned(2), &actions);
        prop_assert!((-1.5..=3.0).contains(&verdict.nats()));
        prop_assert!(verdict.raise() >= 0.0 && verdict.behavior().nats == verdict.raise());
        prop_assert!(verdict.parts.iter().all(|part| part.is_finite()));
        prop_assert_eq!(verdict.log_odds.is_some(), actions.len() >= 20);
    }

    #[test]
    fn the_order_of_actions_never_matters_to_a_verdict(mut actions in proptest::collection::vec(some_action(), 20..40)) {
        let before = verifier().judge(&learned(2), &actions);
        actions.reverse();
        prop_assert_eq!(verifier().judge(&learned(2), &actions), before);
    }

    #[test]
    fn a_profile_read_back_learns_on_as_if_it_had_never_been_written(
        lessons in proptest::collection::vec((0..4_u32, 0..400_i64, proptest::collection::vec(some_action(), 0..90)), 0..6),
    ) {
        let (mut kept, mut stored) = (PointerProfile::empty(), PointerProfile::empty().to_bytes());
        for (session, day, actions) in &lessons {
            kept.learn(Keyed(*session), Timestamp(day * DAY), actions);
            let mut read = PointerProfile::from_bytes(&stored).unwrap();
            read.learn(Keyed(*session), Timestamp(day * DAY), actions);
            stored = read.to_bytes();
        }
        prop_assert_eq!(kept.to_bytes(), stored);
    }

    #[test]
    fn a_bin_is_found_for_every_value_and_never_falls(a in any::<f32>(), b in any::<f32>()) {
        for feature in Feature::ALL {
            prop_assert!(feature.bin(a) < BINS);
            if a <= b {
                prop_assert!(feature.bin(a) <= feature.bin(b));
            }
        }
    }
}
