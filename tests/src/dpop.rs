//! A client that proves a key with each request (RFC 9449): one P-256 key, and whatever proofs a test wants.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::stage::now;

/// The key of a client.
#[derive(Debug)]
pub struct Client(EcdsaKeyPair);

impl Default for Client {
    fn default() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }
}

impl Client {
    fn coordinates(&self) -> [String; 2] {
        let point = self.0.public_key().as_ref();
        [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half))
    }

    /// The thumbprint of the key (RFC 7638), as `cnf.jkt` has it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let [x, y] = self.coordinates();
        sha256(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
    }

    /// The claims by which a token is bound to this key.
    #[must_use]
    pub fn confirmation(&self) -> Value {
        json!({"cnf": {"jkt": self.thumbprint()}})
    }

    /// A proof for a request with a token, made now; `more` adds or replaces claims.
    ///
    /// # Panics
    /// When `more` is no object.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str, token: &str, more: &Value) -> String {
        let mut name = [0; 16];
        aws_lc_rs::rand::fill(&mut name).unwrap();
        let mut claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(name), "htm": method, "htu": url, "iat": now().0 / 1000, "ath": sha256(token),
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let [x, y] = self.coordinates();
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}});
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// SHA-256 in base64url.
#[must_use]
pub fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}
