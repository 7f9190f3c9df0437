//! Records: replay gives the same answer, and nothing secret is kept.

use std::collections::BTreeMap;

use countersign_risk::{Behavior, Weights};
use countersign_sdk_types::{DenialCode, Host, RiskScore, Signal};
use proptest::prelude::*;

use super::*;
use crate::decide::tests::{From, at, facts, grant, identified, seed};
use crate::decide::{Decision, decide};
use crate::path::CanonicalPath;
use crate::request::HttpRequest;

fn id() -> DecisionId {
    DecisionId::new("node.1.1").expect("id")
}

fn recorded(from: From, minute: i64, with_grant: bool) -> (Record, Decided, Snapshot) {
    let (who, mut known, snapshot, now) =
        (identified("GET", from, "curl/8.5.0", Some("laptop")), facts("admin", from), seed(), at(0, minute));
    // Every other session tells of its pointer, with nats that have no short form.
    let nats = f64::from(i32::try_from(minute % 1000).expect("small")) / 333.3;
    known.behavior = (minute % 2 == 1).then(|| Behavior { nats, is_replay: minute % 3 == 0, text: "the pointer".to_owned() });
    if with_grant {
        let before = decide(&who, &known, &snapshot, now);
        known.grants = vec![grant(&before, &snapshot.ladder, &countersign_sdk_types::Acr::phr(), now)];
    }
    let decided = decide(&who, &known, &snapshot, now);
    (Record::new(id(), now, &who, &known, &snapshot, &decided), decided, snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_that_was_written_and_read_replays_to_the_same_bytes(far in any::<bool>(), granted in any::<bool>(), minute in 0_i64..168 * 60) {
        let (record, decided, snapshot) = recorded(if far { From::Singapore } else { From::Paris }, minute, granted);
        let bytes = serde_json::to_vec(&record).expect("record");
        let read: Record = serde_json::from_slice(&bytes).expect("record");
        let replayed = replay(&read, &snapshot).expect("replay");
        prop_assert_eq!(&replayed.summary, &decided.decision.summary());
        prop_assert_eq!(serde_json::to_vec(&replayed.trace).ok(), serde_json::to_vec(&decided.trace).ok());
        prop_assert_eq!(serde_json::to_vec(&read).ok(), Some(bytes));
    }
}

fn weights(factor: f64, cold_start: u8) -> Weights {
    let factors = [(Signal::Network, factor), (Signal::Hour, 2.0 - factor), (Signal::Behavior, factor / 3.0)].into();
    Weights { factors, cold_start: RiskScore::new(cold_start).expect("score"), ..Weights::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn by_the_weights_that_decided_a_record_scores_the_same_again(
        far in any::<bool>(), granted in any::<bool>(), minute in 0_i64..168 * 60, factor in 0.0..2.0, cold in 0_u8..=100,
    ) {
        let weights = weights(factor, cold);
        let (record, ..) = recorded(if far { From::Singapore } else { From::Paris }, minute, granted);
        let (basis, then) = (record.basis.as_ref().expect("basis"), record.at);
        let decided = decide(&basis.identified, &basis.facts, &Snapshot { weights: weights.clone(), ..seed() }, then);
        let record = Record::new(id(), then, &basis.identified, &basis.facts, &seed(), &decided);
        let read: Record = serde_json::from_slice(&serde_json::to_vec(&record).expect("record")).expect("record");
        let again = rescored(&read, &weights).expect("scored");
        prop_assert_eq!(&again.assessment, &decided.trace.assessment);
        prop_assert_eq!(again.remaining, decided.trace.remaining);
        prop_assert!(again.proved <= again.remaining, "a proof raises no score");
        prop_assert_eq!(Some(again), scored(&read));
    }

    #[test]
    fn the_same_circumstances_are_answered_the_same(far in any::<bool>(), granted in any::<bool>(), minute in 0_i64..168 * 60) {
        let (record, decided, snapshot) = recorded(if far { From::Singapore } else { From::Paris }, minute, granted);
        let mut circumstances = record.circumstances().expect("circumstances");
        circumstances.facts.trail = None;
        let supposed = suppose(&record, circumstances, &snapshot.weights).expect("supposed");
        prop_assert_eq!(supposed.assessment(), &decided.trace.assessment);
        prop_assert_eq!(Some(supposed.ask(&snapshot)), reconsider(&record, &snapshot));
    }
}

#[test]
fn what_is_refused_whatever_its_score_has_none() {
    let (mut record, ..) = recorded(From::Paris, 600, false);
    assert!(scored(&record).is_some());
    record.basis.as_mut().expect("basis").facts.revoked = Some("session".to_owned());
    assert_eq!((scored(&record), rescored(&record, &Weights::default())), (None, None));
    let early = Record::for_denial(id(), at(0, 0), record.tenant.clone(), None, DenialCode::MalformedRequest.into());
    assert!(scored(&early).is_none() && early.circumstances().is_none() && early.whose().is_none());
}

#[test]
fn who_does_not_prove_the_key_of_a_token_is_refused_elsewhere_too() {
    let (record, _, snapshot) = recorded(From::Paris, 600, false);
    let mut circumstances = record.circumstances().expect("circumstances");
    circumstances.sighting.binding = BindingState::Missing;
    let supposed = suppose(&record, circumstances, &snapshot.weights).expect("supposed");
    assert!(matches!(supposed.ask(&snapshot).summary, Summary::Deny(denial) if denial.code() == DenialCode::InvalidToken));
}

#[test]
fn the_trail_goes_on_from_what_was_let_through_at_low_risk() {
    let (record, decided, _) = recorded(From::Paris, 600, false);
    assert!(matches!(decided.decision, Decision::Allow(_)), "{:?}", decided.decision);
    let trail = record.circumstances().expect("circumstances").facts.trail.expect("trail");
    assert_eq!(trail.origin.prefix, decided.trace.sighting.prefix);
    let (record, decided, _) = recorded(From::Singapore, 220, false);
    assert!(matches!(decided.decision, Decision::StepUp(_)));
    assert_eq!(record.circumstances().expect("circumstances").facts.trail, None, "who is refused leaves none");
}

#[test]
fn another_revision_or_engine_is_told_apart() {
    let (mut record, _, mut snapshot) = recorded(From::Paris, 600, false);
    snapshot.revision = Revision::new("other").expect("revision");
    assert!(matches!(replay(&record, &snapshot), Err(ReplayError::Revision(_))));
    snapshot.revision = Revision::new("test").expect("revision");
    "0.0.0".clone_into(&mut record.engine);
    assert!(matches!(replay(&record, &snapshot), Err(ReplayError::Engine(_))));
    let tenant = record.tenant.clone();
    let early = Record::for_denial(id(), at(0, 0), tenant, None, DenialCode::MalformedRequest.into());
    assert_eq!(replay(&early, &snapshot), Err(ReplayError::NothingDecided));
}

#[test]
fn an_explanation_says_why_and_what_would_have_helped() {
    let (record, decided, _) = recorded(From::Singapore, 220, false);
    assert!(matches!(decided.decision, Decision::StepUp(_)));
    let explanation = explain(&record);
    let text = explanation.to_string();
    assert!(text.starts_with("node.1.1: step_up"), "{text}");
    assert!(text.contains("what would have allowed it: a step-up to `phr`"), "{text}");
    let who = explanation.subject.as_ref().expect("subject");
    assert!(text.contains(&format!("subject  {} of {}", who.sub, who.iss)), "{text}");
    assert!(
        text.contains("policy revision `test`") && text.contains("request  GET ") && text.contains("tried    a proof of `phr`: allow"),
        "{text}"
    );
    assert!(text.contains(&format!("at       {}", rfc3339(record.at))), "{text}");
    for reason in &explanation.reasons {
        assert!(text.contains(&format!("{:>+4}  {}", reason.points, reason.signal.name())), "{text}");
    }
    let points: i32 = explanation.reasons.iter().map(|reason| i32::from(reason.points)).sum();
    assert_eq!(Some(points), explanation.inherent.map(|score| i32::from(score.value())));
}

#[test]
fn a_record_holds_no_salt() {
    let (record, _, _) = recorded(From::Paris, 600, true);
    let text = serde_json::to_string(&record).expect("text");
    assert!(!text.contains("salt"), "{text}");
}

#[test]
fn an_explanation_survives_its_wire_form_and_leaves_the_query_out() {
    let (mut record, _, _) = recorded(From::Singapore, 220, false);
    record.basis.as_mut().expect("basis").identified.request.http = Some(HttpRequest {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: Host::new("payroll.example").expect("host"),
        path: CanonicalPath::parse("/payslips").expect("path"),
        raw_path: "/payslips".to_owned(),
        query: "reset=1f7a".to_owned(),
        headers: BTreeMap::new(),
        kind: crate::request::ClientKind::Navigation,
        page: None,
    });
    let explanation = explain(&record);
    let read: Explanation = serde_json::from_value(serde_json::to_value(&explanation).expect("json")).expect("explanation");
    assert_eq!(read, explanation);
    let text = explanation.to_string();
    assert!(text.contains("request  GET payroll.example/payslips"), "{text}");
    assert!(!text.contains("1f7a"), "{text}");
}

#[test]
fn an_early_denial_says_that_no_policy_was_asked() {
    let (record, _, _) = recorded(From::Paris, 600, false);
    let early = Record::for_denial(id(), at(0, 0), record.tenant, None, DenialCode::MalformedRequest.into());
    let text = explain(&early).to_string();
    assert!(text.contains("denied   malformed_request"), "{text}");
    assert!(text.contains("before the policy was asked"), "{text}");
}

#[test]
fn instants_are_read_as_rfc_3339() {
    assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(Timestamp(1_772_505_600_123)), "2026-03-03T02:40:00.123Z");
    assert_eq!(rfc3339(Timestamp(i64::MAX)), "9223372036854775807 ms");
}

#[test]
fn a_record_gives_the_input_that_was_asked_about() {
    for (from, with_grant) in [(From::Paris, false), (From::Singapore, false), (From::Singapore, true)] {
        let (record, _, snapshot) = recorded(from, 600, with_grant);
        let input = record.input(&snapshot.ladder).expect("input");
        let said = snapshot.policy.evaluate_within(&input, snapshot.budget).ok();
        assert_eq!(said, reconsider(&record, &snapshot).expect("asked").verdict, "{from:?} {with_grant}");
        assert_eq!(input.session.acr_satisfied.is_empty(), !with_grant);
    }
}
