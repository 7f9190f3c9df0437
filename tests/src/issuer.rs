//! An issuer of access tokens (RFC 9068): one ES256 key, its key set, and whatever claims a test wants.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A signing key and its name.
#[derive(Debug)]
pub struct Issuer(EcdsaKeyPair, String);

/// The `iss` of its tokens.
pub const ISS: &str = "https://issuer.example";
/// The `aud` of its tokens.
pub const AUDIENCE: &str = "countersign";

impl Default for Issuer {
    fn default() -> Self {
        Self::named("test")
    }
}

impl Issuer {
    /// An issuer whose key has this name.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn named(kid: &str) -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid.to_owned())
    }

    /// The public key set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.1, "x": x, "y": y}]})
    }

    /// A token for a subject that is valid for ten minutes; `more` adds or replaces claims.
    ///
    /// # Panics
    /// When the clock stands before 1970, or `more` is no object.
    #[must_use]
    pub fn token(&self, subject: &str, more: &Value) -> String {
        self.token_of(&self.1, subject, more)
    }

    /// A token of exactly these claims beside issuer, audience and subject: the same claims give a token that says the same.
    ///
    /// # Panics
    /// When `claims` is no object.
    #[must_use]
    pub fn token_of_claims(&self, subject: &str, claims: &Value) -> String {
        let mut all = json!({"iss": ISS, "aud": AUDIENCE, "sub": subject});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.sign(&self.1, &all)
    }

    /// The same, under another name of the key.
    ///
    /// # Panics
    /// When the clock stands before 1970, or `more` is no object.
    #[must_use]
    pub fn token_of(&self, kid: &str, subject: &str, more: &Value) -> String {
        #[expect(clippy::disallowed_methods, reason = "a test mints tokens that are valid now")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"iss": ISS, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.sign(kid, &claims)
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": kid, "typ": "at+jwt"});
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
