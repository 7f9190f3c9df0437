//! An explanation as a picture: what weighs is drawn, with its sign.

use countersign_sdk_types::{Effect, Reason, Signal};

use super::Why;

fn why(risk: u8, inherent: u8, points: &[i8]) -> Why {
    let reason = |points: &i8| Reason { signal: Signal::Hour, points: *points, text: "an odd hour".to_owned() };
    Why {
        decision: "demo.1.1".to_owned(),
        effect: Effect::StepUp,
        at: "Wed 03:40".to_owned(),
        client: None,
        detail: None,
        risk: Some(risk),
        inherent: Some(inherent),
        reasons: points.iter().map(reason).collect(),
        policy: Vec::new(),
        remedy: "a passkey".to_owned(),
        text: "words".to_owned(),
    }
}

#[test]
fn what_weighs_nothing_is_not_drawn() {
    let why = why(20, 20, &[35, 0, -15]);
    let drawn: Vec<_> = why.weighing().map(|bar| (bar.signed(), bar.length)).collect();
    assert_eq!(drawn, [("+35".to_owned(), 35), ("-15".to_owned(), 15)]);
}

#[test]
fn a_proof_answers_when_less_is_left() {
    assert!(why(0, 65, &[]).is_answered());
    assert!(!why(65, 65, &[]).is_answered());
}
