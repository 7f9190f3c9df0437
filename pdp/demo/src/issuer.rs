//! A token issuer with one ES256 key, made at start and gone at the end.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::{Seconds, Timestamp};
use serde_json::{Value, json};

const KID: &str = "demo";
/// The longest life of a token: a day.
pub const MAX_LIFE: Seconds = Seconds(24 * 60 * 60);

/// Signs access tokens (RFC 9068) for the demonstration.
pub struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

/// What a token says, beside its issuer and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grantee<'a> {
    /// The subject's name at this issuer.
    pub sub: &'a str,
    /// For whom the token is.
    pub aud: &'a str,
    /// Which client asked for it.
    pub client_id: &'a str,
    /// The sign-in that it stems from.
    pub sid: &'a str,
    /// The token's own name.
    pub jti: &'a str,
}

/// Why there is no key or no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The key could not be made or used.
    #[error("signing key cannot be made or used")]
    Key,
    /// Tokens of the demonstration live for a day at most.
    #[error("life of the token is longer than a day")]
    TooLong,
}

/// What a token is to its issuer. The application shows it; whether the token opens anything is for the decision point to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Signed in this run, and good still.
    Good,
    /// Signed in this run, and over.
    Expired,
    /// Not of this run: another key has signed it, or nobody.
    Foreign,
}

impl Issuer {
    /// An issuer named `url`, with a fresh key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(url: impl Into<String>) -> Result<Self, IssuerError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IssuerError::Key)?;
        Ok(Self { url: url.into(), key })
    }

    /// Its name, the `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.url
    }

    /// The key set (RFC 7517) that verifies its tokens.
    #[must_use]
    pub fn jwks(&self) -> Value {
        // An uncompressed point: 4, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        let (x, y) = (coordinate(1), coordinate(33));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID, "x": x, "y": y}]})
    }

    /// A signed token of type `at+jwt`.
    ///
    /// # Errors
    /// When the life is longer than [`MAX_LIFE`], or the key fails.
    pub fn mint(&self, grantee: Grantee<'_>, now: Timestamp, life: Seconds) -> Result<String, IssuerError> {
        if life.0 > MAX_LIFE.0 {
            return Err(IssuerError::TooLong);
        }
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KID});
        let Grantee { sub, aud, client_id, sid, jti } = grantee;
        let (iat, exp) = (now.secs(), now.after(life).secs());
        let claims =
            json!({"iss": self.url, "sub": sub, "aud": aud, "client_id": client_id, "sid": sid, "jti": jti, "iat": iat, "exp": exp});
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| IssuerError::Key)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// What a token is at an instant.
    #[must_use]
    pub fn standing(&self, token: &str, now: Timestamp) -> Standing {
        match self.expiry(token) {
            Some(expiry) if now.secs() < expiry => Standing::Good,
            Some(_) => Standing::Expired,
            None => Standing::Foreign,
        }
    }

    fn expiry(&self, token: &str) -> Option<i64> {
        let (signed, signature) = token.rsplit_once('.')?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        serde_json::from_slice::<Value>(&claims).ok()?.get("exp")?.as_i64()
    }
}

#[cfg(test)]
mod tests;
