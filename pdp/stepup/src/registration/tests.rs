//! Registrations as a hostile browser would send them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_demo::authenticator::SoftAuthenticator;
use serde_json::json;

use super::*;

const ORIGIN: &str = "http://auth.localhost:8080";

fn registration() -> Value {
    let options = json!({"publicKey": {"rp": {"id": "auth.localhost"}, "user": {"id": "YWxpY2U"}, "challenge": "AAAA"}});
    SoftAuthenticator::new().register(&options, ORIGIN).unwrap()
}

fn outcome(document: &Value) -> String {
    screen(document.to_string().as_bytes(), ORIGIN).map_or_else(|refusal| refusal.to_string(), |_| "good".to_owned())
}

#[track_caller]
fn check(pointer: &str, replacement: Value, expected: &str) {
    let mut document = registration();
    *document.pointer_mut(pointer).unwrap() = replacement;
    assert_eq!(outcome(&document), expected, "{pointer}");
}

/// What comes of an attestation object that is made from the good one.
#[track_caller]
fn check_object(change: impl Fn(Vec<u8>) -> Vec<u8>, expected: &str) {
    let mut document = registration();
    let object = URL_SAFE_NO_PAD.decode(document["response"]["attestationObject"].as_str().unwrap()).unwrap();
    document["response"]["attestationObject"] = json!(URL_SAFE_NO_PAD.encode(change(object)));
    assert_eq!(outcome(&document), expected);
}

const MALFORMED: &str = "member `attestationObject` is missing or malformed";
/// Before the authenticator data: a map of three, with two of its members, and the head of the third.
const HEAD: usize = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58\xa4".len();

#[test]
fn a_plain_registration_passes() {
    assert_eq!(outcome(&registration()), "good");
    check_object(|object| object, "good");
}

#[test]
fn every_part_must_be_there_and_name_one_passkey() {
    check("/id", json!("AAAA"), "the credential is named in two ways");
    check("/rawId", json!(7), "member `rawId` is missing or malformed");
    check("/type", json!("password"), "the response is of another kind");
    check("/response", json!([]), "member `response` is missing or malformed");
    check("/response/attestationObject", Value::Null, MALFORMED);
    check("/response/attestationObject", json!("+/+="), MALFORMED);
    check("/response/clientDataJSON", json!(""), "member `clientDataJSON` is missing or malformed");
    let mut document = registration();
    (document["id"], document["rawId"]) = (json!("AAAA"), json!("AAAA"));
    assert_eq!(outcome(&document), "the credential is named in two ways", "by what is attested");
}

#[test]
fn the_results_of_extensions_are_those_that_were_asked_for() {
    check("/clientExtensionResults", json!({}), "good");
    check("/clientExtensionResults", json!({"uvm": []}), "the response has results of extensions that were not asked for");
    check("/clientExtensionResults", json!([]), "the response has results of extensions that were not asked for");
}

#[test]
fn an_attestation_object_is_read_to_its_last_byte() {
    check_object(|object| [&object[..], b"\0"].concat(), MALFORMED);
    check_object(|object| object[..object.len() - 1].to_vec(), MALFORMED);
    check_object(|_| b"\xa2\x63fmt\x64none\x67attStmt\xa0".to_vec(), MALFORMED);
    check_object(|object| [&b"\xa4\x63fmt\x64none"[..], &object[1..]].concat(), MALFORMED);
    check_object(|object| [&b"\xbf"[..], &object[1..], b"\xff"].concat(), MALFORMED);
}

#[test]
fn authenticator_data_holds_a_passkey_and_nothing_else() {
    let set = |at: usize, byte: u8| {
        move |mut object: Vec<u8>| {
            object[HEAD + at] = byte;
            object
        }
    };
    check_object(set(32, 0x05), MALFORMED);
    check_object(set(32, 0xc5), MALFORMED);
    check_object(set(53, 0xff), MALFORMED);
    check_object(set(54, 0x0f), MALFORMED);
}

#[test]
fn bombs_are_refused() {
    check_object(|_| vec![0x81; 10_000], MALFORMED);
    check_object(|_| b"\xa1\x68authData\x5a\xff\xff\xff\xff".to_vec(), MALFORMED);
    check_object(|_| b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), MALFORMED);
}
