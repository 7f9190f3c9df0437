//! Stands in for an identity provider: makes a key, and gives out one token each for alice and bob.
//!
//! Real tokens come from your provider; its key set is what `[[issuer]]` of the configuration names.

use std::error::Error;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::json;

/// How long the tokens are good, in seconds.
const LIFE: u64 = 12 * 3600;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: axum-app-provider FOLDER")?);
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let (x, y) = key.public_key().as_ref().get(1..).and_then(|point| point.split_at_checked(32)).ok_or("no point of the curve")?;
    let public =
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "example", "x": BASE64.encode(x), "y": BASE64.encode(y)});
    std::fs::write(folder.join("jwks.json"), json!({"keys": [public]}).to_string())?;
    for who in ["alice", "bob"] {
        std::fs::write(folder.join(format!("{who}.token")), token(&key, who)?)?;
    }
    Ok(())
}

/// An access token (RFC 9068).
fn token(key: &EcdsaKeyPair, sub: &str) -> Result<String, Box<dyn Error>> {
    let now = now()?;
    let header = json!({"alg": "ES256", "kid": "example", "typ": "at+jwt"});
    let claims = json!({
        "iss": "https://provider.example", "aud": "axum-app", "sub": sub, "sid": format!("login-of-{sub}"), "iat": now, "exp": now + LIFE,
    });
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64.encode(signature.as_ref())))
}

#[expect(clippy::disallowed_methods, reason = "a token is valid from now on")]
fn now() -> Result<u64, std::time::SystemTimeError> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}
