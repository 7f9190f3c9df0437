//! Rules and what they leave, one a line.

use serde_json::json;

use super::*;

fn masked(rules: &Value) -> Event {
    let input = json!({"user": "alice", "password": "s3cret", "cards": [{"pan": 1}, {"pan": 2}], "a/b": 1});
    let mut event = Event { input: Some(input), result: Some(json!({"allow": true})), ..Event::default() };
    parse(rules).unwrap().iter().for_each(|mask| mask.apply(&mut event));
    event
}

#[test]
fn pointers_erase() {
    let event = masked(&json!(["/input/password", "/input/cards/0/pan", "/input/a~1b", "/result", "/input/missing/deep"]));
    assert_eq!(event.input.unwrap(), json!({"user": "alice", "cards": [{}, {"pan": 2}]}));
    assert_eq!(event.result, None);
    assert_eq!(event.erased, ["/input/password", "/input/cards/0/pan", "/input/a~1b", "/result"]);
    let event = masked(&json!(["/input/cards/0"]));
    assert_eq!(event.input.unwrap()["cards"], json!([{"pan": 2}]));
}

#[test]
fn objects_erase_and_replace() {
    let event = masked(&json!([
        {"op": "upsert", "path": "/input/password", "value": "***"},
        {"op": "upsert", "path": "/input/new/deep", "value": 1},
        {"op": "upsert", "path": "/input/cards/1/pan", "value": null},
        {"op": "upsert", "path": "/input/cards/7", "value": 1},
        {"op": "remove", "path": "/input/user"},
    ]));
    let expected = json!({"password": "***", "cards": [{"pan": 1}, {"pan": null}], "a/b": 1, "new": {"deep": 1}});
    assert_eq!(event.input.unwrap(), expected);
    assert_eq!(event.masked, ["/input/password", "/input/new/deep", "/input/cards/1/pan"]);
    assert_eq!(event.erased, ["/input/user"]);
    assert_eq!(masked(&json!([{"op": "upsert", "path": "/input", "value": {}}])).input.unwrap(), json!({}));
}

#[test]
fn what_is_no_rule_fails_all() {
    let check = |rules: Value, expected: &str| {
        let said = parse(&rules).unwrap_err().to_string();
        assert!(said.contains(expected), "{rules}: {said}");
    };
    check(json!("/input/password"), "not a list");
    check(json!(["/input/password", 7]), "neither");
    check(json!(["input/password"]), "not a pointer");
    check(json!(["/labels/id"]), "not a pointer");
    check(json!([""]), "not a pointer");
    check(json!([{"op": "hide", "path": "/input"}]), "`hide`");
    check(json!([{"path": "/input"}]), "neither");
}
