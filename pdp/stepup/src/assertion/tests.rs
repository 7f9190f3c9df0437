//! Assertions as a hostile browser would send them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict;
use serde_json::json;

use super::*;
use crate::response::LIMITS;

const EXPECTED: Expected<'_> = Expected { origin: "http://auth.localhost:8080", user_handle: b"alice" };

fn client_data() -> Value {
    json!({ "type": "webauthn.get", "challenge": "AAAA", "origin": EXPECTED.origin, "crossOrigin": false })
}

/// Authenticator data with these flags, and so many bytes after them.
fn data(flags: u8, after: usize) -> Value {
    json!(URL_SAFE_NO_PAD.encode([vec![0; 32], vec![flags], vec![0; after]].concat()))
}

fn credential(client_data: &[u8]) -> Value {
    json!({ "id": "AQID", "rawId": "AQID", "type": "public-key", "clientExtensionResults": {}, "response": {
        "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data), "authenticatorData": data(5, 4), "signature": "AAAA",
        "userHandle": URL_SAFE_NO_PAD.encode("alice") } })
}

fn outcome(document: &Value) -> Result<Value, Refusal> {
    screen(document.to_string().as_bytes(), EXPECTED)
}

#[track_caller]
fn check(pointer: &str, replacement: Value, expected: &str) {
    let mut document = credential(client_data().to_string().as_bytes());
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = replacement;
    assert_eq!(outcome(&document).unwrap_err().to_string(), expected, "{pointer}");
}

#[track_caller]
fn check_data(name: &str, replacement: Value, expected: &str) {
    let mut data = client_data();
    data[name] = replacement;
    let document = credential(data.to_string().as_bytes());
    assert_eq!(outcome(&document).unwrap_err().to_string(), expected, "{name}");
}

#[test]
fn a_plain_response_passes_with_and_without_user_handle() {
    let mut document = credential(client_data().to_string().as_bytes());
    assert_eq!(outcome(&document).unwrap(), document);
    document["response"]["userHandle"] = Value::Null;
    outcome(&document).unwrap();
}

#[test]
fn the_credential_is_named_once() {
    check("/rawId", json!("AQIE"), "the credential is named in two ways");
    check("/id", json!(""), "member `id` is missing or malformed");
    check("/id", json!("AQID=="), "member `id` is missing or malformed");
    check("/rawId", json!(7), "member `rawId` is missing or malformed");
    check("/type", json!("password"), "the response is of another kind");
}

#[test]
fn every_part_must_be_there() {
    check("/response", json!([]), "member `response` is missing or malformed");
    check("/response/signature", json!(""), "member `signature` is missing or malformed");
    check("/response/authenticatorData", Value::Null, "member `authenticatorData` is missing or malformed");
    check("/response/clientDataJSON", json!("!"), "member `clientDataJSON` is missing or malformed");
}

#[test]
fn authenticator_data_ends_after_the_counter() {
    for (flags, after) in [(5, 3), (5, 5), (0x45, 4), (0x45, 60)] {
        check("/response/authenticatorData", data(flags, after), "member `authenticatorData` is missing or malformed");
    }
    check("/response/authenticatorData", data(0x85, 5), "the response has results of extensions that were not asked for");
}

#[test]
fn nothing_that_was_not_asked_for() {
    check("/clientExtensionResults", json!({ "appid": true }), "the response has results of extensions that were not asked for");
    check("/extensions", json!({ "uvm": [] }), "the response has results of extensions that were not asked for");
}

#[test]
fn another_user_is_refused() {
    check("/response/userHandle", json!("bWFsbG9yeQ"), "the passkey belongs to another user");
}

#[test]
fn made_here_and_not_in_a_frame() {
    check_data("type", json!("webauthn.create"), "the response is of another kind");
    for origin in ["http://auth.localhost", "https://auth.localhost:8080", "http://a.auth.localhost:8080", "http://auth.localhost:8080/"] {
        check_data("origin", json!(origin), "the response was made on another origin");
    }
    check_data("crossOrigin", json!(true), "the response was made inside another page");
    check_data("crossOrigin", json!("false"), "the response was made inside another page");
    check_data("topOrigin", json!(EXPECTED.origin), "the response was made inside another page");
    check_data("challenge", Value::Null, "member `challenge` is missing or malformed");
}

#[test]
fn two_readers_cannot_see_two_responses() {
    let twice = client_data().to_string().replacen('{', r#"{"origin":"http://evil.localhost","#, 1);
    assert!(matches!(outcome(&credential(twice.as_bytes())), Err(Refusal::Json(_))));
    let trailing = format!("{} x", client_data());
    assert!(matches!(outcome(&credential(trailing.as_bytes())), Err(Refusal::Json(_))));
    assert!(matches!(screen(&vec![b' '; LIMITS.bytes + 1], EXPECTED), Err(Refusal::Json(strict::StrictError::TooLarge(_)))));
}
