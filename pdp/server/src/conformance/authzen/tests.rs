//! Both formats, with everything optional left out.

use serde_json::{Value, json};

use super::case::{Auth, Expected, read};

fn one(file: &Value) -> super::Case {
    let mut cases = read(file.to_string().as_bytes()).unwrap();
    assert_eq!(cases.len(), 1);
    cases.remove(0)
}

#[test]
fn a_module_may_leave_out_what_is_usual() {
    let case = one(
        &json!([{"payload": {"subject": {"type": "user", "id": "a"}, "action": {"name": "read"}, "resource": {"type": "r", "id": "1"}}}]),
    );
    assert_eq!((case.name.as_str(), case.method.as_str(), case.content_type.as_str()), ("case 0", "POST", "application/json"));
    assert_eq!(
        (case.endpoint.as_str(), case.status, case.auth, case.expected),
        ("/access/v1/evaluation", vec![200], Auth::Usual, Expected::Nothing)
    );
}

#[test]
fn a_raw_body_wins_over_a_payload_and_an_empty_one_is_one() {
    assert_eq!(one(&json!([{"test": "t", "raw_body": "", "payload": {"a": 1}}])).body, "");
    assert_eq!(one(&json!([{"test": "t", "payload_text": null, "payload": {"a": 1}}])).body, "{\"a\":1}");
    assert_eq!(one(&json!([{"test": "t", "payload_text": "{,"}])).body, "{,");
}

#[test]
fn a_decision_file_says_by_its_form_which_api_it_is_about() {
    let (user, record) = (json!({"type": "user", "id": "a"}), json!({"type": "record", "id": "1"}));
    for (request, expected, endpoint) in [
        (json!({"subject": user, "action": {"name": "x"}, "resource": record}), json!(true), "/access/v1/evaluation"),
        (json!({"subject": user, "evaluations": [{}]}), json!([{"decision": true}]), "/access/v1/evaluations"),
        (
            json!({"subject": {"type": "user"}, "action": {"name": "x"}, "resource": record}),
            json!({"results": []}),
            "/access/v1/search/subject",
        ),
        (
            json!({"subject": user, "action": {"name": "x"}, "resource": {"type": "r"}}),
            json!({"results": []}),
            "/access/v1/search/resource",
        ),
        (json!({"subject": user, "resource": record}), json!({"results": []}), "/access/v1/search/action"),
    ] {
        let case = one(&json!({"evaluation": [{"request": request, "expected": expected}]}));
        assert_eq!((case.endpoint.as_str(), case.name.as_str()), (endpoint, "evaluation[0]"));
        assert_ne!(case.expected, Expected::Nothing);
    }
}

#[test]
fn an_expectation_that_cannot_be_read_does_not_hold_by_itself() {
    for nothing in [json!(null), json!({})] {
        assert_eq!(one(&json!([{"expect": nothing}])).expected, Expected::Nothing);
    }
    for unknown in [json!({"decison": true}), json!({"decision": "true"}), json!([{"allowed": true}]), json!("true")] {
        assert!(matches!(one(&json!([{"expect": unknown}])).expected, Expected::Unknown(_)), "{unknown}");
        let list = json!({"evaluation": [{"request": {}, "expected": unknown}]});
        assert!(matches!(one(&list).expected, Expected::Unknown(_)), "{unknown}");
    }
}

#[test]
fn what_is_no_file_of_cases_is_refused() {
    for file in ["", "{", "5", "[]", "{}", "[5]", "{\"evaluation\": 5}", "{\"evaluation\": [{}]}", "[{\"status\": \"x\"}]"] {
        assert!(read(file.as_bytes()).is_err(), "{file}");
    }
}
