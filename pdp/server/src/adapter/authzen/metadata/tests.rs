//! Metadata names what is offered, and its signature holds.

use base64::Engine as _;
use countersign_pdp_engine::keys::{KeySet, algorithm};
use countersign_pdp_engine::signing::SigningKey;

use super::*;

const NOW: Timestamp = Timestamp(1_772_502_000_000);

fn document(settings: &Authzen, is_searched: bool) -> (String, Map<String, Value>) {
    let offered = obligations::offered(&settings.obligations);
    let metadata = Metadata::new(settings, &offered, is_searched, NOW).unwrap().unwrap();
    (metadata.path, serde_json::from_slice(&metadata.document).unwrap())
}

fn of(identifier: &str) -> Authzen {
    Authzen { identifier: Some(identifier.to_owned()), ..Authzen::default() }
}

#[test]
fn without_an_identifier_there_is_none() {
    assert_eq!(Metadata::new(&Authzen::default(), &BTreeSet::new(), true, NOW), Ok(None));
}

#[test]
fn it_names_only_what_is_offered() {
    let (path, members) = document(&of("https://pdp.example"), false);
    assert_eq!(path, "/.well-known/authzen-configuration");
    let names: Vec<&String> = members.keys().collect();
    assert_eq!(names, ["access_evaluation_endpoint", "access_evaluations_endpoint", "policy_decision_point", "supported_obligations"]);
    assert_eq!(members["access_evaluation_endpoint"], "https://pdp.example/access/v1/evaluation");
    let (_, members) = document(&of("https://pdp.example"), true);
    assert_eq!(members["search_action_endpoint"], "https://pdp.example/access/v1/search/action");
}

#[test]
fn a_path_of_the_identifier_comes_after_the_well_known_one() {
    let (path, members) = document(&of("https://pdp.example/acme"), false);
    assert_eq!(path, "/.well-known/authzen-configuration/acme");
    assert_eq!(members["policy_decision_point"], "https://pdp.example/acme");
    assert_eq!(members["access_evaluations_endpoint"], "https://pdp.example/acme/access/v1/evaluations");
}

#[test]
fn the_signed_metadata_says_the_same_and_holds_under_the_public_key() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let settings =
        Authzen { signing_key: Some(SigningKey::from_pem(pair.serialize_pem().as_bytes()).unwrap()), ..of("https://pdp.example") };
    let (_, members) = document(&settings, true);
    let signed = members["signed_metadata"].as_str().unwrap();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let point = pair.public_key_raw();
    let (x, y) = (engine.encode(&point[1..33]), engine.encode(&point[33..65]));
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y}]});
    let verified = KeySet::parse(keys.to_string().as_bytes()).unwrap().verify(signed, &[algorithm("ES256").unwrap()]).unwrap();
    let mut claims: Map<String, Value> = serde_json::from_slice(&verified.payload).unwrap();
    assert_eq!((claims.remove("iss"), claims.remove("iat")), (Some(json!("https://pdp.example")), Some(json!(1_772_502_000))));
    let mut plain = members.clone();
    plain.remove("signed_metadata");
    assert_eq!(claims, plain);
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &other.serialize_pem()] {
        assert!(SigningKey::from_pem(pem.as_bytes()).is_err(), "{pem}");
    }
}
