//! What values of the document become.

use super::super::result::response;
use super::*;
use crate::ext_authz::{DeniedHttpResponse, HeaderValueOption, OkHttpResponse};

fn ok(value: Value) -> OkHttpResponse {
    match response(value).unwrap().http_response.unwrap() {
        HttpResponse::Ok(ok) => ok,
        HttpResponse::Denied(denied) => panic!("{denied:?}"),
    }
}

fn denied(value: Value) -> (i32, DeniedHttpResponse) {
    match response(value).unwrap().http_response.unwrap() {
        HttpResponse::Denied(denied) => (denied.status.unwrap().code, denied),
        HttpResponse::Ok(ok) => panic!("{ok:?}"),
    }
}

fn pairs(headers: &[HeaderValueOption]) -> Vec<(&str, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    headers.iter().filter_map(|option| option.header.as_ref()).map(|header| (text(&header.key), text(&header.value))).collect()
}

#[test]
fn an_object_sets_headers_of_both_directions_and_parameters() {
    let decision = json!({
        "allowed": true,
        "headers": {"x-user": "alice", "x-role": ["a", "b"]},
        "response_headers_to_add": [{"x-seen": "yes"}, {"x-by": "policy"}],
        "request_headers_to_remove": ["authorization"],
        "query_parameters_to_set": {"tenant": "t1", "tag": ["x", "y"]},
        "query_parameters_to_remove": ["debug"],
        "dynamic_metadata": {"level": 3, "tags": ["a", null, true], "who": {"name": "alice"}},
        "http_status": 401,
        "body": "unused",
    });
    let response = response(decision.clone()).unwrap();
    assert_eq!(Value::from(response.dynamic_metadata.unwrap()), decision["dynamic_metadata"]);
    let ok = ok(decision);
    assert_eq!(pairs(&ok.headers), [("x-role", "a"), ("x-role", "b"), ("x-user", "alice")]);
    assert_eq!(pairs(&ok.response_headers_to_add), [("x-seen", "yes"), ("x-by", "policy")]);
    assert_eq!((ok.headers_to_remove, ok.query_parameters_to_remove), (vec!["authorization".to_owned()], vec!["debug".to_owned()]));
    let set: Vec<_> = ok.query_parameters_to_set.iter().map(|one| (one.key.as_str(), one.value.as_str())).collect();
    assert_eq!(set, [("tag", "x"), ("tag", "y"), ("tenant", "t1")]);
}

#[test]
fn a_refusal_has_its_status_headers_and_body() {
    assert_eq!(denied(json!(false)).0, 403);
    assert_eq!(denied(json!({"allowed": false})).0, 403);
    let (status, denied) =
        denied(json!({"allowed": false, "http_status": 302, "headers": {"location": "https://login.example/"}, "body": "go"}));
    assert_eq!((status, pairs(&denied.headers), &denied.body[..]), (302, vec![("location", "https://login.example/")], &b"go"[..]));
}

#[test]
fn what_is_not_of_its_shape_refuses_the_whole() {
    for member in [
        json!({"headers": "x-user: alice"}),
        json!({"headers": {"x-user": 1}}),
        json!({"headers": {"x user": "alice"}}),
        json!({"headers": {"x-user": "alice\r\nx-role: admin"}}),
        json!({"headers": [["x-user", "alice"]]}),
        json!({"request_headers_to_remove": "authorization"}),
        json!({"request_headers_to_remove": [1]}),
        json!({"response_headers_to_add": 1}),
        json!({"query_parameters_to_set": ["a"]}),
        json!({"query_parameters_to_set": {"a": 1}}),
        json!({"query_parameters_to_remove": {}}),
        json!({"dynamic_metadata": [1]}),
    ] {
        let mut decision = member.clone();
        decision["allowed"] = true.into();
        assert!(matches!(response(decision), Err(Refused::Shape(_))), "{member}");
    }
    for member in [json!({"http_status": "401"}), json!({"http_status": 99}), json!({"http_status": 799}), json!({"body": {}})] {
        let mut decision = member.clone();
        decision["allowed"] = false.into();
        assert!(matches!(response(decision), Err(Refused::Shape(_))), "{member}");
    }
}
