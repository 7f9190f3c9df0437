//! What holds of every sighting and every history.

use std::collections::BTreeSet;

use countersign_sdk_types::PlaceGap;
use proptest::prelude::*;

use super::*;

pub(super) fn any_scene() -> impl Strategy<Value = Scene<'static>> {
    let where_ = prop_oneof![
        Just(("192.0.2.10", paris())),
        Just(("192.0.2.11", paris())),
        Just(("192.0.3.11", paris())),
        Just(("198.51.100.7", lyon())),
        Just(("203.0.113.9", singapore())),
        Just(("2001:db8:1::7", lyon())),
        Just(("10.1.2.3", paris())),
        Just(("198.51.100.1", Place::Unknown(PlaceGap::NotFound))),
    ];
    let agents = prop_oneof![Just(FIREFOX), Just(CHROME), Just("curl/8.0"), Just("")];
    let devices = || proptest::option::of(prop_oneof![Just("laptop"), Just("phone"), Just("thief")]);
    let said = proptest::option::of(prop_oneof![Just("t13d1"), Just("t13d2")]);
    let when = (0..400_i64, 0..DAY);
    (when, where_, agents, devices(), devices(), said, 0..5_u8).prop_map(
        |((day, time), (address, place), agent, cookie, key, ja4, session)| Scene {
            at: MONDAY + day * DAY + time,
            address,
            place,
            agent,
            hints: Hints { ja4, ..Hints::default() },
            cookie,
            key,
            session: format!("sid:{session}"),
            subject: 7,
        },
    )
}

pub(super) fn any_event() -> impl Strategy<Value = LearnedEvent> {
    let strengths =
        prop_oneof![Just(Strength::StepUp), Just(Strength::PhishingResistant), Just(Strength::SecondFactor), Just(Strength::BoundLowRisk)];
    (any_scene(), strengths).prop_map(|(scene, strength)| scene.learned(strength))
}

fn any_organisation() -> impl Strategy<Value = Organisation> {
    let churn = (0..512_u16, 0..512_u16).prop_map(|(events, moved)| Churn { events, moved: moved.min(events) });
    (0..9_u8, 0..9_u8, churn, 0..9_u8).prop_map(|(prefix, network, churn, device)| Organisation { prefix, network, churn, device })
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    assert_eq!(Weights::default().validate(), Ok(()));
    let falling = Weights { calibration: Calibration::new([(0.0, 10), (1.0, 5)]), ..Weights::default() };
    assert_eq!(falling.validate(), Err(WeightsError::Calibration));
    let certain = Weights { calibration: Calibration::new([(0.0, 10), (1.0, 100)]), ..Weights::default() };
    assert_eq!(certain.validate(), Err(WeightsError::Calibration), "100 is for hard rules");
    let factor = Weights { factors: [(Signal::Hour, f64::NAN)].into(), ..Weights::default() };
    assert_eq!(factor.validate(), Err(WeightsError::Factor(Signal::Hour)));
}

#[test]
fn a_tenants_own_traffic_moves_the_map_within_bounds() {
    let sums = |from: f64, width: f64| (0..2_000).map(|n| from + width * f64::from(n) / 2_000.0).collect::<Vec<_>>();
    assert_eq!(Calibration::of_traffic(&sums(-4.0, 4.0)[..999]), None, "percentiles of few are chance");
    let usual = Calibration::of_traffic(&sums(-4.0, 4.0)).unwrap();
    let legal = |calibration: &Calibration| Weights { calibration: calibration.clone(), ..Weights::default() }.validate();
    assert_eq!(legal(&usual), Ok(()));
    let at = |calibration: &Calibration, score: u8| calibration.knots().iter().find(|(_, known)| *known == score).unwrap().0;
    assert!((at(&usual, 30) - -0.2).abs() < 0.06, "30 points at the 95th percentile: {usual:?}");
    let hostile = Calibration::of_traffic(&sums(20.0, 50.0)).unwrap();
    assert_eq!(legal(&hostile), Ok(()));
    assert_eq!(at(&hostile, 30), 2.0, "two nats and no further");
    assert!(at(&hostile, 74) <= 12.1);
    assert_eq!(at(&Calibration::of_traffic(&sums(-60.0, 1.0)).unwrap(), 30), -2.0);
}

#[test]
fn every_signal_is_listed_once_and_says_what_answers_it() {
    let names: BTreeSet<_> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    assert_eq!(names.len(), Signal::ALL.len());
    let unanswered: Vec<_> = Signal::ALL.into_iter().filter(|signal| !signal.answered_by_passkey()).map(Signal::name).collect();
    assert_eq!(unanswered, ["revocation", "binding", "counter", "posture", "failures"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_add_up_and_scores_stay_in_range(
        events in proptest::collection::vec(any_event(), 0..40), now in any_scene(), organisation in any_organisation(), first in proptest::option::of(any_scene()),
    ) {
        let baseline = Baseline::fold(&events);
        let trail = first.map(|scene| Trail::begin(&scene.sighting()));
        let assessment = assess(&now, &Known { organisation, trail: trail.as_ref(), ..known(&baseline) });
        prop_assert_eq!(points(&assessment), i32::from(assessment.inherent().value()));
        prop_assert!(assessment.remaining(&assessment.answerable()) <= assessment.inherent());
        prop_assert!(assessment.evidence().items().iter().all(|item| item.nats.is_finite() && item.nats.abs() <= 7.0));
    }

    #[test]
    fn worse_evidence_never_lowers_the_score(
        events in proptest::collection::vec(any_event(), 0..40), now in any_scene(), organisation in any_organisation(), failures in 0..20_u32,
    ) {
        let baseline = Baseline::fold(&events);
        let known = Known { organisation, ..known(&baseline) };
        let now = now.sighting();
        let before = judge(&now, &known).inherent();
        let worse = [
            Sighting { failures: Failures { subject: failures, sprayed: failures, ..Failures::default() }, ..now.clone() },
            Sighting { posture: Posture { compliant: Some(false), managed: None }, ..now.clone() },
            Sighting { binding: BindingState::Mismatch, ..now.clone() },
            Sighting { counter_regressed: true, ..now.clone() },
            Sighting { anonymizer: true, ..now.clone() },
        ];
        for worse in worse {
            prop_assert!(judge(&worse, &known).inherent() >= before);
        }
    }

    /// The pointer is the client's own word: with any word the score is what it is without, or higher, whatever its nats say and its factor is.
    #[test]
    fn no_pointer_lowers_a_score(
        events in proptest::collection::vec(any_event(), 0..40), now in any_scene(), nats in -9.0..9.0_f64, more in 0.0..3.0_f64, is_replay: bool,
        factor in 0.0..10.0_f64,
    ) {
        let baseline = Baseline::fold(&events);
        let weights = Weights { factors: [(Signal::Behavior, factor)].into(), ..Weights::default() };
        let scored = |behavior: Option<&Behavior>| score(observe(&now.sighting(), &Known { behavior, ..known(&baseline) }, &weights), &weights.calibration);
        let told = |nats| Behavior { nats, is_replay, text: "x".to_owned() };
        let (silent, little, much) = (scored(None), scored(Some(&told(nats))), scored(Some(&told(nats + more))));
        prop_assert!(silent.inherent() <= little.inherent() && little.inherent() <= much.inherent());
        let of = |assessment: &Assessment| assessment.evidence().items().iter().find(|item| item.signal == Signal::Behavior).map(|item| item.nats);
        prop_assert_eq!(of(&silent), None);
        prop_assert!((0.0..=3.0 * factor).contains(&of(&little).unwrap()));
    }

    /// What is missing never lowers a score below what a familiar value would give.
    #[test]
    fn silence_is_no_alibi(events in proptest::collection::vec(any_event(), 1..40)) {
        let baseline = Baseline::fold(&events);
        let familiar = Scene { cookie: Some("laptop"), ..at_home(NEXT) };
        let device = |scene: &Scene<'_>| nats(&assess(scene, &known(&baseline)), Signal::Device);
        let client = |sighting: &Sighting| nats(&judge(sighting, &known(&baseline)), Signal::Client);
        if baseline.knows_device(salts(7).subject.device(&DeviceId::new("laptop").unwrap())) {
            let hidden = device(&Scene { cookie: None, ..familiar.clone() });
            prop_assert!(hidden >= 0.0);
        }
        let silent = client(&Sighting { client: None, ..familiar.sighting() });
        prop_assert!(silent >= 0.0);
    }

    /// The same facts in whatever order the organisation's rows or a list's entries came give the same score.
    #[test]
    fn a_verdict_depends_on_values_alone(events in proptest::collection::vec(any_event(), 0..40), now in any_scene()) {
        let baseline = Baseline::fold(&events);
        let again: Baseline = serde_json::from_str(&serde_json::to_string(&baseline).unwrap()).unwrap();
        prop_assert_eq!(&again, &baseline);
        prop_assert_eq!(assess(&now, &known(&again)), assess(&now, &known(&baseline)));
        let stored = Baseline::from_bytes(&baseline.to_bytes()).unwrap();
        prop_assert_eq!(assess(&now, &known(&stored)), assess(&now, &known(&baseline)));
    }
}
