//! The keys of issuers (RFC 7517), and the one place that checks a signature (RFC 7515). The library verifies; which algorithm a key may be used with comes
//! from the key, never from the token.

mod named;
mod roca;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use named::{NamedKey, NamedKeyError, key_id, unverified_payload};

/// A public key and what it may be used with.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
    /// The public key as it was given.
    jwk: Map<String, Value>,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// The keys of one issuer. It is written as a JSON Web Key Set of public keys, and read with the checks of [`KeySet::parse`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
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
    /// A key that should have stayed with its owner.
    #[error("token header has a private key")]
    PrivateKey,
}

/// A token whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The `typ` header parameter.
    pub typ: Option<String>,
    /// The payload, not yet read.
    pub payload: Vec<u8>,
}

/// A token that was signed by the key in its own header, which proves that whoever made it holds that key, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSigned {
    /// The `typ` header parameter.
    pub typ: Option<String>,
    /// The payload, not yet read.
    pub payload: Vec<u8>,
    /// The thumbprint of the key (RFC 7638), SHA-256 in base64url.
    pub thumbprint: String,
}

const MOST_KEYS: usize = 100;
const LONGEST_TOKEN: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
struct Document {
    keys: Vec<Map<String, Value>>,
}

impl From<KeySet> for Document {
    fn from(set: KeySet) -> Self {
        Self { keys: set.0.into_iter().map(|key| key.jwk).collect() }
    }
}

impl TryFrom<Document> for KeySet {
    type Error = KeySetError;

    fn try_from(document: Document) -> Result<Self, KeySetError> {
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
}

impl KeySet {
    /// Reads a key set. Keys that are not for verifying signatures, or of a kind or strength that is not used here, are left out; symmetric keys
    /// always are.
    ///
    /// # Errors
    /// When the document is not strict JSON, too large, or names two keys alike.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        let document: Document = strict::from_slice(bytes, Limits::PEER)?;
        document.try_into()
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
        let token = Compact::read(token, allowed)?;
        let named = self.0.iter().filter(|key| token.header.kid.is_none() || key.kid == token.header.kid);
        let mut named = named.peekable();
        named.peek().ok_or(SignatureError::UnknownKey)?;
        // Without a name, each key that may be used with the algorithm is tried: issuers with one key often name none.
        if !named.any(|key| token.is_signed_by(key)) {
            return Err(SignatureError::Wrong);
        }
        Ok(Verified { typ: token.header.typ, payload: decode(token.payload)? })
    }
}

/// Checks a compact JWS by the public key in its own header.
///
/// # Errors
/// As [`KeySet::verify`], and when the header has no public key, or one with its private part.
pub fn verify_self_signed(token: &str, allowed: &[Algorithm]) -> Result<SelfSigned, SignatureError> {
    let token = Compact::read(token, allowed)?;
    let jwk = token.header.jwk.as_ref().and_then(Value::as_object).ok_or(SignatureError::UnknownKey)?;
    if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
        return Err(SignatureError::PrivateKey);
    }
    let key = VerifyingKey::from_jwk(jwk).ok_or(SignatureError::UnknownKey)?;
    let thumbprint = thumbprint(jwk).ok_or(SignatureError::UnknownKey)?;
    if !token.is_signed_by(&key) {
        return Err(SignatureError::Wrong);
    }
    Ok(SelfSigned { typ: token.header.typ, payload: decode(token.payload)?, thumbprint })
}

/// What a private or symmetric key has beside its public part (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// SHA-256 over the required members in their order, in base64url (RFC 7638 §3).
fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let members: &[&str] = match text(jwk, "kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let required = members.iter().map(|name| Some((*name, text(jwk, name)?))).collect::<Option<BTreeMap<_, _>>>()?;
    Some(sha256(&serde_json::to_vec(&required).ok()?))
}

/// SHA-256 in base64url, as thumbprints and hashes of tokens are written.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
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
        // What is written again is the public part, whatever was read.
        let public = jwk.iter().filter(|(name, _)| !PRIVATE.contains(&name.as_str()));
        let jwk = public.map(|(name, value)| (name.clone(), value.clone())).collect();
        (!algorithms.is_empty()).then_some(Self { kid, algorithms, key, jwk })
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

/// The name of an algorithm that is offered (RFC 7518 §3.1, RFC 8037 §3.1).
#[must_use]
pub const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::EdDSA => "EdDSA",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        _ => "none",
    }
}

/// Reads the name of an algorithm that may be configured.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    name.parse().ok().filter(|algorithm| ALGORITHMS.contains(algorithm))
}

/// At least 2,048 bits and an exponent from 65,537 that fits four bytes and is odd (NIST SP 800-56B), and not of a library that is known for weak ones.
fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let n = decode(modulus).ok()?;
    let e = decode(exponent).ok()?;
    let significant = n.iter().skip_while(|byte| **byte == 0).count();
    let e = (e.len() <= 4).then(|| e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))?;
    let strong = (256..=1024).contains(&significant) && e >= 65_537 && e % 2 == 1 && !roca::is_marked(&n);
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

/// A compact JWS, taken apart.
struct Compact<'a> {
    signed: &'a str,
    header: Header,
    algorithm: Algorithm,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Reads what is said before any signature is looked at.
    fn read(token: &'a str, allowed: &[Algorithm]) -> Result<Self, SignatureError> {
        let (signed, header, payload, signature) = split(token, LONGEST_TOKEN)?;
        let header = header_of(header)?;
        let algorithm: Algorithm = header.alg.parse().map_err(|_| SignatureError::Algorithm)?;
        if !allowed.contains(&algorithm) {
            return Err(SignatureError::Algorithm);
        }
        Ok(Self { signed, header, algorithm, payload, signature })
    }

    /// Only with an algorithm that the key may be used with.
    fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let holds = || jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &key.key, self.algorithm);
        key.algorithms.contains(&self.algorithm) && holds().unwrap_or(false)
    }
}

struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Looked at in tokens that prove a key, and in no other.
    jwk: Option<Value>,
}

fn header_of(part: &str) -> Result<Header, SignatureError> {
    let value = strict::value(&decode(part)?, Limits::CLAIMS).map_err(|_| SignatureError::Shape)?;
    let header = value.as_object().ok_or(SignatureError::Shape)?;
    // `crit` and `b64` change what is signed, `zip` what is read, `enc` what it is. `jku`, `x5u` and `x5c` are never looked at.
    if let Some(name) = ["crit", "b64", "zip", "enc"].into_iter().find(|name| header.contains_key(*name)) {
        return Err(SignatureError::Header(name));
    }
    let optional = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= 512 => Ok(Some(text.clone())),
        Some(_) => Err(SignatureError::Shape),
    };
    Ok(Header {
        alg: optional("alg")?.ok_or(SignatureError::Shape)?,
        kid: optional("kid")?,
        typ: optional("typ")?,
        jwk: header.get("jwk").cloned(),
    })
}
