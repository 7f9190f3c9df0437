//! A signature by a shared secret, and what is no key. Public keys are tested where bundles are signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

use super::*;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

fn signed(alg: &str, payload: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(&format!(r#"{{"alg":"{alg}","kid":"release"}}"#)), part(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(SECRET), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_payload_comes_only_from_its_key() {
    let key = NamedKey::new("HS256", SECRET).unwrap();
    let token = signed("HS256", "the payload");
    assert_eq!(key.verify(&token), Ok(b"the payload".to_vec()));
    assert_eq!(key_id(&token), Ok(Some("release".to_owned())));
    let other = NamedKey::new("HS256", b"another secret of thirty-two bytes!!").unwrap();
    assert_eq!(other.verify(&token), Err(SignatureError::Wrong));
    assert_eq!(key.verify("a.b"), Err(SignatureError::Shape));
}

#[test]
fn the_header_does_not_choose_the_algorithm() {
    let key = NamedKey::new("HS256", SECRET).unwrap();
    for alg in ["none", "HS512", "RS256"] {
        assert_eq!(key.verify(&signed(alg, "x")), Err(SignatureError::Algorithm), "{alg}");
    }
}

#[test]
fn a_public_key_is_no_secret_and_a_short_secret_is_none() {
    assert_eq!(NamedKey::new("HS256", b"short").unwrap_err(), NamedKeyError::Short);
    assert_eq!(NamedKey::new("RS256", SECRET).unwrap_err(), NamedKeyError::Pem("RS256".to_owned()));
    assert_eq!(NamedKey::new("none", SECRET).unwrap_err(), NamedKeyError::Algorithm("none".to_owned()));
    assert_eq!(NamedKey::new("ES512", SECRET).unwrap_err(), NamedKeyError::Algorithm("ES512".to_owned()));
}
