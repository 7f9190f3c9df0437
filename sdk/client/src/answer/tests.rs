//! Answers: only a clean allow is one.

use countersign_sdk_types::{Action, Entity, EvaluationRequest};

use super::{Answer, MAX_BYTES};
use crate::{Error, ErrorKind, Question};

/// Read as the answer to a question that supports no obligation.
fn parse(body: &[u8]) -> Result<Answer, Error> {
    parse_supporting(body, &[])
}

fn parse_supporting(body: &[u8], types: &[&str]) -> Result<Answer, Error> {
    let entity = || Entity { kind: "k".to_owned(), id: "i".to_owned(), properties: serde_json::Map::new() };
    let action = Action { name: "a".to_owned(), properties: serde_json::Map::new() };
    let asked = EvaluationRequest { subject: entity(), action, resource: entity(), context: serde_json::Map::new() };
    Answer::from_response(&super::response(body)?, &Question::new(asked).supporting(types.iter().copied()))
}

/// `allow`, `deny`, `step-up`, or `error`.
#[track_caller]
fn check(body: &str, expected: &str) {
    let seen = match parse(body.as_bytes()) {
        Ok(Answer::Allow(_)) => "allow",
        Ok(Answer::Deny(_)) => "deny",
        Ok(Answer::StepUp(_)) => "step-up",
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Malformed, "{body}");
            "error"
        }
    };
    assert_eq!(seen, expected, "{body}");
}

#[test]
fn only_a_clean_true_is_an_allow() {
    check(r#"{"decision":true}"#, "allow");
    check(r#"{"decision":true,"context":{"id":"d1","obligations":[]}}"#, "allow");
    check(r#"{"decision":true,"context":{"obligations":[{"id":"o","type":"notification"}]}}"#, "deny");
    check(r#"{"decision":true,"context":{"obligations":[{"id":"o","type":"step-up","properties":{"acr_value":"phr"}}]}}"#, "deny");
    check(r#"{"decision":true,"context":{"obligations":[{"id":"o","type":"break-glass","properties":{}}]}}"#, "allow");
    check(r#"{"decision":true,"context":{"obligations":[{"id":"o","type":"break-glass"},{"id":"p","type":"x"}]}}"#, "deny");
    check(r#"{"decision":true,"context":{"obligations":null}}"#, "error");
    check(r#"{"decision":true,"context":{"obligations":{}}}"#, "error");
    check(r#"{"decision":true,"context":{"obligations":[{"type":"x"}]}}"#, "error");
    check(r#"{"decision":true,"context":null}"#, "error");
}

#[test]
fn nobody_carries_out_a_step_up_with_an_allow() {
    let body = br#"{"decision":true,"context":{"obligations":[{"id":"o","type":"step-up","properties":{"acr_value":"phr"}}]}}"#;
    assert!(matches!(parse_supporting(body, &["step-up"]), Ok(Answer::Deny(_))));
}

#[test]
fn the_nonce_for_the_next_proof_is_read() {
    let Ok(Answer::Deny(deny)) = parse(br#"{"decision":false,"context":{"reason":"use_dpop_nonce","dpop_nonce":"n-1"}}"#) else {
        panic!("no deny")
    };
    assert_eq!(deny.dpop_nonce(), Some("n-1"));
    let step_up = br#"{"decision":false,"context":{"dpop_nonce":"n-2","obligations":[{"id":"o","type":"step-up","properties":{"acr_value":"phr"}}]}}"#;
    let Ok(Answer::StepUp(step_up)) = parse(step_up) else { panic!("no step-up") };
    assert_eq!(step_up.dpop_nonce(), Some("n-2"));
    check(r#"{"decision":false,"context":{"dpop_nonce":5}}"#, "error");
}

#[test]
fn what_is_no_boolean_is_an_error() {
    for body in ["", "true", "[]", "{}", r#"{"decision":1}"#, r#"{"decision":"true"}"#, r#"{"decision":null}"#, r#"{"Decision":true}"#] {
        check(body, "error");
    }
    check(r#"{"decision":true} x"#, "error");
}

#[test]
fn a_repeated_name_is_an_error() {
    check(r#"{"decision":false,"decision":true}"#, "error");
    check(r#"{"decision":true,"context":{"a":1,"a":2}}"#, "error");
}

#[test]
fn depth_and_size_are_bounded() {
    check(&format!(r#"{{"decision":true,"context":{{"a":{}{}}}}}"#, "[".repeat(40), "]".repeat(40)), "error");
    check(&format!(r#"{{"decision":true{}}}"#, " ".repeat(MAX_BYTES)), "error");
}

#[test]
fn a_denial_keeps_its_code_and_survives_an_unknown_one() {
    check(r#"{"decision":false}"#, "deny");
    check(r#"{"decision":false,"context":{"reason":"of_a_later_version"}}"#, "deny");
    let Ok(Answer::Deny(deny)) = parse(br#"{"decision":false,"context":{"reason":"no_credentials","id":"d9"}}"#) else {
        panic!("a denial was expected");
    };
    assert_eq!(deny.code().map(countersign_sdk_types::DenialCode::as_str), Some("no_credentials"));
    assert_eq!(deny.decision_id().map(countersign_sdk_types::DecisionId::as_str), Some("d9"));
}

#[test]
fn a_step_up_is_read_whole() {
    let body = br#"{"decision":false,"context":{"id":"d2","step_up":{"url":"https://app.example/.countersign/step-up?d=1"},
        "obligations":[{"id":"o1","type":"step-up","properties":{"acr_value":"phr","max_age":300}}]}}"#;
    let Ok(Answer::StepUp(step_up)) = parse(body) else { panic!("a step-up was expected") };
    assert_eq!(step_up.acr().as_str(), "phr");
    assert_eq!(step_up.max_age().map(|seconds| seconds.0), Some(300));
    assert_eq!(step_up.ceremony().map(ToString::to_string).as_deref(), Some("https://app.example/.countersign/step-up?d=1"));
}

#[test]
fn a_step_up_with_something_else_to_do_is_a_denial() {
    check(
        r#"{"decision":false,"context":{"obligations":[{"id":"1","type":"step-up","properties":{"acr_value":"phr"}},{"id":"2","type":"x"}]}}"#,
        "deny",
    );
}

#[test]
fn a_malformed_step_up_is_an_error() {
    check(r#"{"decision":false,"context":{"obligations":[{"id":"1","type":"step-up"}]}}"#, "error");
    for url in ["javascript:alert(1)", "/relative", "", "ftp://a.example/"] {
        let obligation = r#"[{"id":"1","type":"step-up","properties":{"acr_value":"phr"}}]"#;
        check(&format!(r#"{{"decision":false,"context":{{"step_up":{{"url":"{url}"}},"obligations":{obligation}}}}}"#), "error");
    }
}
