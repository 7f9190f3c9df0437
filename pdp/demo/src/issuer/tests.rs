//! The issuer: tokens that its own key set verifies.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::{Seconds, Timestamp};
use serde_json::{Value, json};

use super::{Grantee, Issuer, IssuerError, Standing};

const ALICE: Grantee<'static> = Grantee { sub: "alice", aud: "payroll", client_id: "demo", sid: "s1", jti: "t1" };

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// The public key as the key set tells it.
fn point(jwks: &Value) -> Vec<u8> {
    let coordinate = |name: &str| decode(jwks["keys"][0][name].as_str().unwrap());
    [vec![4], coordinate("x"), coordinate("y")].concat()
}

#[test]
fn the_key_set_verifies_the_token() {
    let issuer = Issuer::new("http://issuer.localhost").unwrap();
    let token = issuer.mint(ALICE, Timestamp::from_secs(1_000), Seconds(60)).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let verify = |issuer: &Issuer| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(&issuer.jwks()));
        key.verify(signed.as_bytes(), &decode(signature)).is_ok()
    };
    assert!(verify(&issuer));
    assert!(!verify(&Issuer::new("http://issuer.localhost").unwrap()));
}

#[test]
fn the_token_says_what_it_was_told() {
    let issuer = Issuer::new("http://issuer.localhost").unwrap();
    let token = issuer.mint(ALICE, Timestamp::from_secs(1_000), Seconds(60)).unwrap();
    let parts: Vec<Value> = token.split('.').take(2).map(|part| serde_json::from_slice(&decode(part)).unwrap()).collect();
    assert_eq!(parts[0], json!({"alg": "ES256", "typ": "at+jwt", "kid": "demo"}));
    let claims = json!({"iss": "http://issuer.localhost", "sub": "alice", "aud": "payroll", "client_id": "demo", "sid": "s1", "jti": "t1",
        "iat": 1_000, "exp": 1_060});
    assert_eq!(parts[1], claims);
}

#[test]
fn a_token_lives_a_day_at_most() {
    let issuer = Issuer::new("http://issuer.localhost").unwrap();
    let long = issuer.mint(ALICE, Timestamp::from_secs(0), Seconds(24 * 60 * 60 + 1));
    assert_eq!(long.unwrap_err(), IssuerError::TooLong);
}

#[test]
fn a_token_stands_until_it_expires_and_with_its_own_issuer_only() {
    let issuer = Issuer::new("http://issuer.localhost").unwrap();
    let token = issuer.mint(ALICE, Timestamp::from_secs(1_000), Seconds(60)).unwrap();
    assert_eq!(issuer.standing(&token, Timestamp::from_secs(1_059)), Standing::Good);
    assert_eq!(issuer.standing(&token, Timestamp::from_secs(1_060)), Standing::Expired);
    let other = Issuer::new("http://issuer.localhost").unwrap();
    assert_eq!(other.standing(&token, Timestamp::from_secs(1_000)), Standing::Foreign);
    for mangled in ["", ".", "a.b.c", &token[1..], &format!("{token}A")] {
        assert_eq!(issuer.standing(mangled, Timestamp::from_secs(1_000)), Standing::Foreign, "{mangled}");
    }
}
