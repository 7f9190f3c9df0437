//! The software authenticator: what it signs, and what a browser would not let it do.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::*;

const ORIGIN: &str = "https://auth.example.com";

fn creation(exclude: &[&str]) -> Value {
    let exclude: Vec<_> = exclude.iter().map(|id| json!({"type": "public-key", "id": id})).collect();
    json!({"publicKey": {"rp": {"id": "auth.example.com"}, "user": {"id": "YWxpY2U"}, "challenge": "AAAA", "excludeCredentials": exclude}})
}

fn request(id: &str) -> Value {
    json!({"publicKey": {"rpId": "auth.example.com", "challenge": "BBBB", "allowCredentials": [{"type": "public-key", "id": id}]}})
}

fn registered() -> (SoftAuthenticator, String) {
    let mut authenticator = SoftAuthenticator::new();
    let answer = authenticator.register(&creation(&[]), ORIGIN).unwrap();
    (authenticator, answer["id"].as_str().unwrap().to_owned())
}

fn part(answer: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(answer["response"][name].as_str().unwrap()).unwrap()
}

#[test]
fn an_assertion_is_signed_by_the_registered_key() {
    let mut authenticator = SoftAuthenticator::new();
    let registration = authenticator.register(&creation(&[]), ORIGIN).unwrap();
    let attested = part(&registration, "authenticatorData");
    let key = &attested[attested.len() - 77..];
    let point = [&[4], &key[10..42], &key[45..77]].concat();
    let answer = authenticator.assert(&request(registration["id"].as_str().unwrap()), ORIGIN).unwrap();
    let client_data = part(&answer, "clientDataJSON");
    let signed = [part(&answer, "authenticatorData"), digest(&SHA256, &client_data).as_ref().to_vec()].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&signed, &part(&answer, "signature")).unwrap();
    let client_data: Value = serde_json::from_slice(&client_data).unwrap();
    assert_eq!(client_data, json!({"type": "webauthn.get", "challenge": "BBBB", "origin": ORIGIN, "crossOrigin": false}));
    assert_eq!(part(&answer, "userHandle"), b"alice");
}

#[test]
fn the_counter_increases_and_the_flags_tell_the_truth() {
    let (mut authenticator, id) = registered();
    for counter in 2..5_u32 {
        let data = part(&authenticator.assert(&request(&id), ORIGIN).unwrap(), "authenticatorData");
        assert_eq!((data[32], &data[33..]), (0b101, &counter.to_be_bytes()[..]));
    }
}

#[test]
fn a_quirk_changes_what_is_signed() {
    let (mut authenticator, id) = registered();
    authenticator.quirks = Quirks { unverified: true, backup_eligible: true, counter: Some(1), ..Quirks::default() };
    let data = part(&authenticator.assert(&request(&id), ORIGIN).unwrap(), "authenticatorData");
    assert_eq!((data[32], data[36]), (0b1001, 1));
}

#[test]
fn a_browser_keeps_passkeys_to_their_relying_party() {
    let (mut authenticator, id) = registered();
    for origin in ["https://auth.example.com.evil.test", "https://evilauth.example.com", "https://example.com", "nonsense"] {
        assert_eq!(authenticator.assert(&request(&id), origin).unwrap_err(), AuthenticatorError::ForeignPage, "{origin}");
    }
    authenticator.assert(&request(&id), "https://deeper.auth.example.com").unwrap();
}

#[test]
fn only_the_listed_passkeys_answer_and_excluded_ones_are_not_made_twice() {
    let (mut authenticator, id) = registered();
    assert_eq!(authenticator.assert(&request("AAAA"), ORIGIN).unwrap_err(), AuthenticatorError::NoPasskey);
    assert_eq!(authenticator.register(&creation(&[&id]), ORIGIN).unwrap_err(), AuthenticatorError::Excluded);
    let incomplete = authenticator.register(&json!({}), ORIGIN).unwrap_err();
    assert_eq!(incomplete.to_string(), "option `/publicKey/rp/id` is missing or malformed");
}
