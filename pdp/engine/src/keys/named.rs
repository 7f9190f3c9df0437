//! Keys that an operator names one by one, for documents that are signed by a known party: a public key in PEM, or a shared secret.

use jsonwebtoken::{Algorithm, DecodingKey};

use super::{ALGORITHMS, SignatureError, decode, header_of, split};

/// The longest signed document: a signature over a bundle lists every file of it.
const LONGEST: usize = 1024 * 1024;
/// The shortest shared secret, in bytes (RFC 7518 §3.2 for HS256).
const SHORTEST_SECRET: usize = 32;

/// One key and the one algorithm that it is used with.
#[derive(Clone)]
pub struct NamedKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl std::fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamedKeyError {
    /// Not an algorithm that is offered.
    #[error("`{0}` is not an algorithm that is offered: RS, PS or HS with 256, 384 or 512, ES256, ES384, or EdDSA")]
    Algorithm(String),
    /// Not a key of that kind.
    #[error("it is not a public key in PEM of the kind that `{0}` needs")]
    Pem(String),
    /// What can be guessed is no key.
    #[error("a shared secret is {SHORTEST_SECRET} bytes at least")]
    Short,
}

const SHARED: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

impl NamedKey {
    /// Reads a key: a public key in PEM, or for `HS…` the secret itself.
    ///
    /// # Errors
    /// When the algorithm is not offered, or the key is not of its kind.
    pub fn new(algorithm: &str, material: &[u8]) -> Result<Self, NamedKeyError> {
        let unknown = || NamedKeyError::Algorithm(algorithm.to_owned());
        let parsed: Algorithm = algorithm.parse().map_err(|_| unknown())?;
        let key = match parsed {
            shared if SHARED.contains(&shared) => {
                return match material.len() {
                    ..SHORTEST_SECRET => Err(NamedKeyError::Short),
                    _ => Ok(Self { algorithm: shared, key: DecodingKey::from_secret(material) }),
                };
            }
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(material),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(material),
            rsa if ALGORITHMS.contains(&rsa) => DecodingKey::from_rsa_pem(material),
            _ => return Err(unknown()),
        };
        Ok(Self { algorithm: parsed, key: key.map_err(|_| NamedKeyError::Pem(algorithm.to_owned()))? })
    }

    /// Reads a public key on P-256 or of Ed25519 in PEM.
    ///
    /// # Errors
    /// When it is neither.
    pub fn public(pem: &[u8]) -> Result<Self, NamedKeyError> {
        Self::new("ES256", pem).or_else(|_| Self::new("EdDSA", pem)).map_err(|_| NamedKeyError::Pem("ES256` or `EdDSA".to_owned()))
    }

    /// Checks a compact JWS of one type (RFC 8725 §3.11) and of at most so many bytes by this key, and gives its payload.
    ///
    /// # Errors
    /// As [`NamedKey::verify`], and when it is longer or of another type.
    pub fn verify_typed(&self, token: &str, typ: &str, longest: usize) -> Result<Vec<u8>, SignatureError> {
        let (_, header, _, _) = split(token, longest)?;
        if header_of(header)?.typ.as_deref() != Some(typ) {
            return Err(SignatureError::Header("another typ"));
        }
        self.verify_within(token, longest)
    }

    /// Checks a compact JWS by this key and gives its payload. The algorithm is the key's, whatever the header says.
    ///
    /// # Errors
    /// When it has not the form, asks for what is not implemented, or was not signed by this key.
    pub fn verify(&self, token: &str) -> Result<Vec<u8>, SignatureError> {
        self.verify_within(token, LONGEST)
    }

    fn verify_within(&self, token: &str, longest: usize) -> Result<Vec<u8>, SignatureError> {
        let (signed, header, payload, signature) = split(token, longest)?;
        if header_of(header)?.alg.parse() != Ok(self.algorithm) {
            return Err(SignatureError::Algorithm);
        }
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm) {
            Ok(true) => decode(payload),
            _ => Err(SignatureError::Wrong),
        }
    }
}

/// The name of the key that a compact JWS says it was signed with: nothing to believe, only to choose a key by.
///
/// # Errors
/// When it has not the form.
pub fn key_id(token: &str) -> Result<Option<String>, SignatureError> {
    let (_, header, _, _) = split(token, LONGEST)?;
    Ok(header_of(header)?.kid)
}

/// The payload of a compact JWS that nobody has verified: nothing to believe either.
///
/// # Errors
/// When it has not the form.
pub fn unverified_payload(token: &str) -> Result<Vec<u8>, SignatureError> {
    let (_, _, payload, _) = split(token, LONGEST)?;
    decode(payload)
}

#[cfg(test)]
mod tests;
