//! The keys of issuers (RFC 7517), and the one place that checks a signature (RFC 7515). The library verifies; which algorithm a key may be used with comes
//! from the key, never from the token.

mod named;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

pub use named::{NamedKey, NamedKeyError, key_id, unverified_payload};

/// A public key and what it may be used with.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// The keys of one issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<VerifyingKey>);

/// Why a key set was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not strict JSON of the shape of a key set.
    #[error("key set is not a JSON Web Key Set: {0}")]
    Shape(#[from] strict::StrictError),
    /// More keys than anybody needs.
    #[error("key set holds more than 100 keys")]
    TooMany,
    /// Two keys with one name: which of them signed?
    #[error("key id `{0}` appears twice")]
    Repeated(String),
}

/// Why a signed token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not three base64url parts with a JSON header, or longer than 16 KiB.
    #[error("token is not a compact JWS")]
    Shape,
    /// A header parameter that we do not implement and that changes the meaning.
    #[error("token header has `{0}`")]
    Header(&'static str),
    /// An algorithm that this issuer may not use.
    #[error("token algorithm is not allowed")]
    Algorithm,
    /// No key of that name.
    #[error("token key is not known")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("token signature is wrong")]
    Wrong,
}

/// A token whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The `typ` header parameter.
    pub typ: Option<String>,
    /// The payload, not yet read.
    pub payload: Vec<u8>,
}

const MOST_KEYS: usize = 100;
const LONGEST_TOKEN: usize = 16 * 1024;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Map<String, Value>>,
}

impl KeySet {
    /// Reads a key set. Keys that are not for verifying signatures, or of a kind or strength that is not used here, are left out; symmetric keys
    /// always are.
    ///
    /// # Errors
    /// When the document is not strict JSON, too large, or names two keys alike.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        let document: Document = strict::from_slice(bytes, Limits::PEER)?;
        if document.keys.len() > MOST_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut names = BTreeSet::new();
        for kid in document.keys.iter().filter_map(|key| text(key, "kid")) {
            if !names.insert(kid) {
                return Err(KeySetError::Repeated(kid.to_owned()));
            }
        }
        Ok(Self(document.keys.iter().filter_map(VerifyingKey::from_jwk).collect()))
    }

    /// How many usable keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// No usable key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a compact JWS by one of these keys.
    ///
    /// # Errors
    /// When it has not the form, asks for what is not implemented, or was not signed by its key with an allowed algorithm.
    pub fn verify(&self, token: &str, allowed: &[Algorithm]) -> Result<Verified, SignatureError> {
        let (signed, header, payload, signature) = split(token, LONGEST_TOKEN)?;
        let header = header_of(header)?;
        let algorithm: Algorithm = header.alg.parse().map_err(|_| SignatureError::Algorithm)?;
        if !allowed.contains(&algorithm) {
            return Err(SignatureError::Algorithm);
        }
        let named = self.0.iter().filter(|key| header.kid.is_none() || key.kid == header.kid);
        let mut named = named.peekable();
        named.peek().ok_or(SignatureError::UnknownKey)?;
        // Without a name, each key that may be used with the algorithm is tried: issuers with one key often name none.
        let fitting = named.filter(|key| key.algorithms.contains(&algorithm));
        let holds = |key: &VerifyingKey| jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, algorithm).unwrap_or(false);
        if !fitting.into_iter().any(holds) {
            return Err(SignatureError::Wrong);
        }
        Ok(Verified { typ: header.typ, payload: decode(payload)? })
    }
}

impl VerifyingKey {
    /// Reads one public key; `None` when it is not one that verifies signatures here.
    #[must_use]
    pub fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        if jwk.get("use").is_some_and(|of| of != "sig") {
            return None;
        }
        let operations =
            jwk.get("key_ops").map(|operations| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify")));
        if operations == Some(false) {
            return None;
        }
        let (key, mut algorithms) = match (text(jwk, "kty")?, text(jwk, "crv")) {
            ("EC", Some("P-256")) => (DecodingKey::from_ec_components(text(jwk, "x")?, text(jwk, "y")?).ok()?, vec![Algorithm::ES256]),
            ("EC", Some("P-384")) => (DecodingKey::from_ec_components(text(jwk, "x")?, text(jwk, "y")?).ok()?, vec![Algorithm::ES384]),
            ("OKP", Some("Ed25519")) => (DecodingKey::from_ed_components(text(jwk, "x")?).ok()?, vec![Algorithm::EdDSA]),
            ("RSA", _) => (rsa(text(jwk, "n")?, text(jwk, "e")?)?, RSA.to_vec()),
            _ => return None,
        };
        if let Some(only) = jwk.get("alg") {
            let only = only.as_str()?.parse::<Algorithm>().ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let kid = text(jwk, "kid").map(ToOwned::to_owned);
        (!algorithms.is_empty()).then_some(Self { kid, algorithms, key })
    }
}

const RSA: [Algorithm; 6] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// The algorithms that an issuer may be configured with: asymmetric ones only.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Reads the name of an algorithm that may be configured.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    name.parse().ok().filter(|algorithm| ALGORITHMS.contains(algorithm))
}

/// At least 2,048 bits and an exponent from 65,537 that fits four bytes and is odd (NIST SP 800-56B).
fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let n = decode(modulus).ok()?;
    let e = decode(exponent).ok()?;
    let significant = n.iter().skip_while(|byte| **byte == 0).count();
    let e = (e.len() <= 4).then(|| e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))?;
    let strong = (256..=1024).contains(&significant) && e >= 65_537 && e % 2 == 1;
    strong.then(|| DecodingKey::from_rsa_components(modulus, exponent).ok()).flatten()
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn decode(part: &str) -> Result<Vec<u8>, SignatureError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| SignatureError::Shape)
}

/// `header.payload`, header, payload and signature.
fn split(token: &str, longest: usize) -> Result<(&str, &str, &str, &str), SignatureError> {
    if token.len() > longest {
        return Err(SignatureError::Shape);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(SignatureError::Shape)?;
    let (header, payload) = signed.split_once('.').ok_or(SignatureError::Shape)?;
    if payload.contains('.') || signature.is_empty() {
        return Err(SignatureError::Shape);
    }
    // The library decodes the signature once more; what it would be lenient about is refused here.
    decode(signature)?;
    Ok((signed, header, payload, signature))
}

struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

fn header_of(part: &str) -> Result<Header, SignatureError> {
    let value = strict::value(&decode(part)?, Limits::CLAIMS).map_err(|_| SignatureError::Shape)?;
    let header = value.as_object().ok_or(SignatureError::Shape)?;
    // `crit` and `b64` change what is signed, `zip` what is read, `enc` what it is. `jku`, `x5u`, `jwk` and `x5c` are never looked at.
    if let Some(name) = ["crit", "b64", "zip", "enc"].into_iter().find(|name| header.contains_key(*name)) {
        return Err(SignatureError::Header(name));
    }
    let optional = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= 512 => Ok(Some(text.clone())),
        Some(_) => Err(SignatureError::Shape),
    };
    Ok(Header { alg: optional("alg")?.ok_or(SignatureError::Shape)?, kid: optional("kid")?, typ: optional("typ")? })
}
