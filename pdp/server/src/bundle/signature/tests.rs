//! Signed bundles, and each way in which one is not what was signed.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::canonical::canonical;
use super::super::tests::Packed;
use super::super::{Bundle, BundleError};
use super::*;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const DATA: &str = "{ \"b\": 1.0,\n \"a\": [] }";
const REGO: &str = "package authz\n\nallow := true\n";

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn payload() -> Value {
    let file = |name: &str, hash: String| json!({"name": name, "hash": hash, "algorithm": "SHA-256"});
    json!({"files": [file("data.json", sha256(&canonical(DATA.as_bytes()).unwrap())), file("authz.rego", sha256(REGO.as_bytes()))]})
}

fn message(header: &Value, payload: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()))
}

fn by_secret(header: &Value, payload: &Value) -> String {
    let message = message(header, payload);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
}

fn signed(payload: &Value) -> String {
    by_secret(&json!({"alg": "HS256", "kid": "release"}), payload)
}

fn packed(data: &str, signatures: &Value) -> Vec<u8> {
    Packed::new().file("/data.json", data).file("/authz.rego", REGO).file("/.signatures.json", &signatures.to_string()).gz()
}

fn trust(keys: &[(&str, &str, &[u8])]) -> Trust {
    let key = |(id, algorithm, material): &(&str, &str, &[u8])| {
        ((*id).to_owned(), BundleKey { key: NamedKey::new(algorithm, material).unwrap(), scope: None })
    };
    Trust { keys: Arc::new(keys.iter().map(key).collect()), key_id: None, scope: None }
}

fn shared() -> Trust {
    trust(&[("release", "HS256", SECRET)])
}

#[track_caller]
fn refused(packed: &[u8], trust: &Trust, expected: &str) {
    match Bundle::open(packed, trust) {
        Err(BundleError::Signature(error)) => assert!(error.to_string().contains(expected), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_signed_is_taken() {
    let bundle = Bundle::open(&packed(DATA, &json!({"signatures": [signed(&payload())]})), &shared()).unwrap();
    assert_eq!(bundle.source.data["a"], json!([]));
    // Other space in a document is the same document.
    Bundle::open(&packed("{\"a\":[],\"b\":1.0}", &json!({"signatures": [signed(&payload())]})), &shared()).unwrap();
}

#[test]
fn public_keys_verify() {
    let random = SystemRandom::new();
    let (signatures, pem) = (
        |signature: String| json!({"signatures": [signature]}),
        |der: &[u8]| format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der)),
    );
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let text = message(&json!({"alg": "ES256", "kid": "ec"}), &payload());
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(ec.sign(&random, text.as_bytes()).unwrap()));
    let spki = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(ec.public_key()).unwrap();
    let ec_pem = pem(spki.as_ref());
    let both = |rsa: &str| trust(&[("ec", "ES256", ec_pem.as_bytes()), ("rsa", "RS256", rsa.as_bytes())]);

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let text = message(&json!({"alg": "RS256", "kid": "rsa"}), &payload());
    let mut signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
    let rsa_token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
    let spki = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(rsa.public_key()).unwrap();
    let trust = both(&pem(spki.as_ref()));

    Bundle::open(&packed(DATA, &signatures(token.clone())), &trust).unwrap();
    Bundle::open(&packed(DATA, &signatures(rsa_token)), &trust).unwrap();
    // The public key as if it were a shared secret.
    let confused = trust_of_text(&ec_pem);
    refused(&packed(DATA, &signatures(token)), &confused, "algorithm is not allowed");
}

fn trust_of_text(pem: &str) -> Trust {
    trust(&[("ec", "HS256", pem.as_bytes())])
}

#[test]
fn what_was_changed_is_refused() {
    let signatures = json!({"signatures": [signed(&payload())]});
    refused(&packed("{\"a\":[],\"b\":1}", &signatures), &shared(), "`data.json` is not what was signed");
    let more = Packed::new()
        .file("data.json", DATA)
        .file("authz.rego", REGO)
        .file("more.rego", "package more")
        .file(".signatures.json", &signatures.to_string());
    refused(&more.gz(), &shared(), "`more.rego` is not in the signature");
    let less = Packed::new().file("data.json", DATA).file(".signatures.json", &signatures.to_string());
    refused(&less.gz(), &shared(), "lists `authz.rego`, which is not in the bundle");
}

#[test]
fn who_signed_must_be_known() {
    let one = |token: String| packed(DATA, &json!({"signatures": [token]}));
    refused(&Packed::new().file("data.json", DATA).gz(), &shared(), "is not signed");
    refused(&one(signed(&payload())), &Trust::default(), "no key is configured");
    refused(&one(signed(&payload())), &trust(&[("release", "HS256", b"another secret of thirty-two bytes!!")]), "signature is wrong");
    refused(&one(signed(&payload())), &trust(&[("other", "HS256", SECRET)]), "`release`, which is not configured");
    refused(&one(by_secret(&json!({"alg": "HS256"}), &payload())), &shared(), "names no key");
    refused(&one(by_secret(&json!({"alg": "none", "kid": "release"}), &payload())), &shared(), "algorithm is not allowed");
    let mut claimed = payload();
    claimed["keyid"] = json!("release");
    Bundle::open(&one(by_secret(&json!({"alg": "HS256"}), &claimed)), &shared()).unwrap();
    let pinned = Trust { key_id: Some("strict".to_owned()), ..trust(&[("release", "HS256", SECRET), ("strict", "HS512", SECRET)]) };
    refused(&one(signed(&payload())), &pinned, "algorithm is not allowed");
}

#[test]
fn there_is_exactly_one_signature() {
    refused(&packed(DATA, &json!({"signatures": []})), &shared(), "0 signatures");
    refused(&packed(DATA, &json!({"signatures": [signed(&payload()), signed(&payload())]})), &shared(), "2 signatures");
    refused(&packed(DATA, &json!({"signatures": ["nonsense"]})), &shared(), "not a compact JWS");
    refused(&packed(DATA, &json!({"signatures": [signed(&payload())], "plugin": "mine"})), &shared(), "verifier `mine`");
    refused(&packed(DATA, &json!({"keys": []})), &shared(), ".signatures.json");
}

#[test]
fn the_scope_is_the_one_that_was_agreed() {
    let scoped = Trust { scope: Some("write".to_owned()), ..shared() };
    let one = |payload: &Value| packed(DATA, &json!({"signatures": [signed(payload)]}));
    refused(&one(&payload()), &scoped, "scope");
    let mut written = payload();
    written["scope"] = json!("write");
    Bundle::open(&one(&written), &scoped).unwrap();
    refused(&one(&written), &shared(), "scope");
}

#[test]
fn a_list_says_everything_once_and_by_a_hash_that_holds() {
    let one = |payload: &Value| packed(DATA, &json!({"signatures": [signed(payload)]}));
    let mut weak = payload();
    weak["files"][0]["algorithm"] = json!("MD5");
    refused(&one(&weak), &shared(), "hashed by `MD5`");
    let mut twice = payload();
    let first = twice["files"][0].clone();
    twice["files"].as_array_mut().unwrap().push(first);
    refused(&one(&twice), &shared(), "lists `data.json` twice");
}
