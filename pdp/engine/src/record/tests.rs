//! Records: replay gives the same answer, and nothing secret is kept.

use proptest::prelude::*;

use super::*;
use crate::decide::tests::{From, at, facts, grant, identified, seed};
use crate::decide::{Decision, decide};

fn id() -> DecisionId {
    DecisionId::new("node.1.1").expect("id")
}

fn recorded(from: From, minute: i64, with_grant: bool) -> (Record, Decided, Snapshot) {
    let (who, mut known, snapshot, now) =
        (identified("GET", from, "curl/8.5.0", Some("laptop")), facts("admin", from), seed(), at(0, minute));
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
    let points: i32 = explanation.reasons.iter().map(|reason| i32::from(reason.points)).sum();
    assert_eq!(Some(points), explanation.inherent.map(|score| i32::from(score.value())));
}

#[test]
fn a_record_holds_no_salt() {
    let (record, _, _) = recorded(From::Paris, 600, true);
    let text = serde_json::to_string(&record).expect("text");
    assert!(!text.contains("salt"), "{text}");
}
