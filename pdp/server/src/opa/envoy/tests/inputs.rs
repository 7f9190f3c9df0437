//! What a request becomes.

use bytes::Bytes;
use serde_json::Map;

use super::super::input::input;
use super::*;
use crate::adapter::envoy_grpc::tests::recorded::recordings;
use crate::ext_authz::{AttributeContext, Entry, HttpRequest, Peer};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn entry(name: &str, value: &str) -> Entry {
    Entry { key: bytes(name), value: bytes(value) }
}

pub(super) fn http(message: &mut CheckRequest) -> &mut HttpRequest {
    message.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap()
}

pub(super) fn order(path: &str, amount: &str) -> CheckRequest {
    let mut message = post(&[("content-type", "application/json")], &format!(r#"{{"amount": {amount}}}"#));
    http(&mut message).path = bytes(path);
    message
}

fn message(http: HttpRequest) -> CheckRequest {
    let request = Some(crate::ext_authz::Request { http: Some(http), ..Default::default() });
    CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) }
}

pub(super) fn get(path: &str) -> CheckRequest {
    message(HttpRequest { method: bytes("GET"), path: bytes(path), ..HttpRequest::default() })
}

fn post(headers: &[(&str, &str)], body: &str) -> CheckRequest {
    let headers = headers.iter().map(|(name, value)| entry(name, value)).collect();
    message(HttpRequest { method: bytes("POST"), path: bytes("/a"), headers, body: bytes(body), ..HttpRequest::default() })
}

#[track_caller]
fn check(message: CheckRequest, pointer: &str, expected: Value) {
    let input = input(message).unwrap();
    assert_eq!(input.pointer(pointer), Some(&expected), "{input}");
}

#[track_caller]
fn refused(message: CheckRequest) {
    assert!(matches!(input(message), Err(Refused::Malformed(_))));
}

/// protojson writes empty messages, which are not told apart from absent ones where nothing of them is kept.
#[test]
fn attributes_of_recorded_requests_are_written_as_protobufs_json_writes_them() {
    let recorded: Map<String, Value> = serde_json::from_str(include_str!("../../../adapter/envoy_grpc/recorded.json")).unwrap();
    let (mut same, mut ambiguous) = (0, 0);
    for (name, message) in recordings().into_iter().filter_map(|(name, message)| Some((name, message?))) {
        match input(message) {
            Ok(input) => {
                assert_eq!(input["attributes"], recorded[&name], "{name}");
                same += 1;
            }
            Err(refused) => {
                assert!(refused.to_string().starts_with("path"), "{name}: {refused}");
                ambiguous += 1;
            }
        }
    }
    assert_eq!((same, ambiguous), (23, 10));
}

#[test]
fn paths_are_split_and_decoded() {
    check(get("/"), "/parsed_path", json!([""]));
    check(get("/my/test/path"), "/parsed_path", json!(["my", "test", "path"]));
    check(get("/my/path/?a=b"), "/parsed_path", json!(["my", "path", ""]));
    check(get("/caf%C3%A9/a%26b"), "/parsed_path", json!(["café", "a&b"]));
    check(get("/a"), "/version", json!({"ext_authz": "v3", "encoding": "protojson"}));
}

#[test]
fn a_path_that_could_be_two_is_refused_and_not_split_after_it_was_decoded() {
    for path in ["/public%2Fadmin", "/public/../admin", "//admin", "/public/%2e%2e/admin", "/a%00", "/a;b", "/a%252Fb", "/a%zz", "a", ""] {
        refused(get(path));
    }
}

#[test]
fn queries_are_lists_by_name() {
    check(get("/a?a=1&a=new%0aline&b=+x%26y&c"), "/parsed_query", json!({"a": ["1", "new\nline"], "b": [" x&y"], "c": [""]}));
    check(get("/a"), "/parsed_query", json!({}));
    refused(get("/a?a=1;b=2"));
    refused(get("/a?a=%zz"));
    refused(get("/a?a=%f"));
    refused(get("/a?a=%ff"));
}

#[test]
fn bodies_are_read_where_they_are_whole() {
    let json = ("content-type", "application/json; charset=utf-8");
    check(post(&[json, ("content-length", "9")], r#"{"a": 42}"#), "/parsed_body", json!({"a": 42}));
    check(post(&[json], ""), "/parsed_body", json!(null));
    check(post(&[("content-type", "text/plain")], "hello"), "/parsed_body", json!(null));
    check(
        post(&[("content-type", "application/x-www-form-urlencoded")], "a=1&b=+x&a=2"),
        "/parsed_body",
        json!({"a": ["1", "2"], "b": [" x"]}),
    );
    let mut raw = post(&[json], "");
    http(&mut raw).raw_body = bytes("[1]");
    check(raw.clone(), "/parsed_body", json!([1]));
    check(raw, "/attributes/request/http/rawBody", json!("WzFd"));
    refused(post(&[json], "{"));
    refused(post(&[json], r#"{"a": 1, "a": 2}"#));
    refused(post(&[json, ("content-length", "many")], "1"));
}

#[test]
fn p10_a_part_of_a_body_is_never_shown_as_the_whole() {
    let json = ("content-type", "application/json");
    for message in [
        post(&[json, ("content-length", "15")], r#"{"amount": 1}"#),
        post(&[json, ("x-envoy-auth-partial-body", "true")], "1"),
        post(&[("x-envoy-auth-partial-body", "true")], "text"),
    ] {
        check(message.clone(), "/truncated_body", json!(true));
        check(message, "/parsed_body", json!(null));
    }
    check(post(&[json, ("x-envoy-auth-partial-body", "false")], "1"), "/truncated_body", json!(false));
}

#[test]
fn the_principal_of_the_connection_is_at_hand() {
    let mut message = get("/a");
    assert!(input(message.clone()).unwrap().get("source_principal").is_none());
    let source = Peer { principal: bytes("spiffe://example/app"), ..Peer::default() };
    message.attributes.as_mut().unwrap().source = Some(source);
    check(message.clone(), "/source_principal", json!("spiffe://example/app"));
    check(message, "/attributes/source/principal", json!("spiffe://example/app"));
}

#[test]
fn a_text_that_is_none_is_refused() {
    let mut message = get("/a");
    http(&mut message).headers.push(Entry { key: bytes("x-note"), value: Bytes::from_static(b"\xff") });
    refused(message);
}
