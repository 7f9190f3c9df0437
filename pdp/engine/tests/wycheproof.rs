//! The JSON Web Signature vectors of project Wycheproof, all of them, through the same verification that tokens go through.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, with what it saw")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_engine::keys::{ALGORITHMS, KeySet};
use serde_json::{Value, json};

/// Valid vectors that are refused on purpose, by what their key or header asks for.
fn refused_on_purpose(key: &Value, token: &str) -> Option<&'static str> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let weak = |exponent: &Value| exponent.as_str().is_some_and(|exponent| exponent != "AQAB");
    match () {
        () if key["kty"] == "oct" => Some("symmetric keys are never taken from a key set"),
        () if key["crv"] == "P-521" => Some("ES512 is not offered"),
        () if weak(&key["e"]) => Some("RSA exponents below 65537 are refused"),
        () if key["alg"].is_string() && key["alg"] != header["alg"] => Some("the key says that it is for another algorithm"),
        () if token.split('.').count() != 3 => Some("only the compact serialization is read"),
        () => None,
    }
}

#[test]
fn all_401_vectors() {
    let document: Value = serde_json::from_str(include_str!("data/jose/json_web_signature_test.json")).unwrap();
    let (mut seen, mut accepted, mut refused) = (0, 0, 0);
    for group in document["testGroups"].as_array().unwrap() {
        let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        let keys = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap();
            let verified = keys.verify(token, &ALGORITHMS).is_ok();
            seen += 1;
            match (test["result"].as_str().unwrap(), verified) {
                ("valid", true) => accepted += 1,
                ("valid", false) if refused_on_purpose(key, token).is_some() => refused += 1,
                ("invalid", false) => {}
                (result, verified) => panic!("case {} ({}): {result}, verified: {verified}", test["tcId"], test["comment"]),
            }
        }
    }
    assert_eq!((seen, accepted + refused), (401, 46));
    assert!(accepted >= 30, "only {accepted} valid vectors are accepted");
}
