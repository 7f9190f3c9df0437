//! The one place that signs: a JWS of claims by a key of our own (RFC 7515, ES256).

use countersign_sdk_types::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Map, Value};

/// A private key on P-256.
#[derive(Clone)]
pub struct SigningKey(EncodingKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Why nothing was signed. It says nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not such a key.
    #[error("it is not a private key on P-256 in PEM (PKCS #8)")]
    Key,
    /// The library failed.
    #[error("it could not be signed")]
    Failed,
}

impl SigningKey {
    /// Reads a key, and tries it.
    ///
    /// # Errors
    /// When it is not a P-256 private key in PKCS #8.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningError> {
        let key = Self(EncodingKey::from_ec_pem(pem).map_err(|_| SigningError::Key)?);
        key.sign(Map::new(), Timestamp(0)).map_err(|_| SigningError::Key)?;
        Ok(key)
    }

    /// Signs claims as a compact JWS; `iat` is added.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, mut claims: Map<String, Value>, now: Timestamp) -> Result<String, SigningError> {
        claims.insert("iat".to_owned(), now.secs().into());
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.0).map_err(|_| SigningError::Failed)
    }

    /// Signs a document as a compact JWS of a type of its own (RFC 8725 §3.11).
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign_typed(&self, typ: &str, document: &impl Serialize) -> Result<String, SigningError> {
        let header = Header { typ: Some(typ.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, document, &self.0).map_err(|_| SigningError::Failed)
    }
}
