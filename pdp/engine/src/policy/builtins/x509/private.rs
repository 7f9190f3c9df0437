//! Private keys: RSA in PKCS#1 and PKCS#8. Other kinds are counted and told by their kind alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regorus::Value;
use serde_json::{Value as Json, json};
use x509_parser::der_parser::ber::BerObject;
use x509_parser::der_parser::parse_der;
use x509_parser::num_bigint::BigUint;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::blocks;
use crate::policy::builtins::call::{Call, Failure};

const LABELS: &[&str] = &["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"];

/// A private key.
pub(super) enum Private {
    /// The numbers n, e, d, p, q, dp, dq and qi of RFC 8017 §A.1.2.
    Rsa([Vec<u8>; 8]),
    Other,
}

impl Private {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, object) = parse_der(der).ok()?;
        let parts = object.as_sequence().ok()?;
        match integers(parts) {
            Some(numbers) => Some(Self::Rsa(numbers)),
            None => Some(parts.get(2).and_then(|inner| Self::read_inner(inner)).unwrap_or(Self::Other)),
        }
    }

    /// PKCS#8 holds PKCS#1 as an octet string.
    fn read_inner(inner: &BerObject<'_>) -> Option<Self> {
        let (_, object) = parse_der(inner.as_slice().ok()?).ok()?;
        integers(object.as_sequence().ok()?).map(Self::Rsa)
    }

    /// Whether a public key is the other half; keys that are not RSA cannot be compared here.
    pub(super) fn is_of(&self, info: &SubjectPublicKeyInfo<'_>) -> bool {
        match (self, info.parsed()) {
            (Self::Rsa([n, ..]), Ok(PublicKey::RSA(public))) => BigUint::from_bytes_be(n) == BigUint::from_bytes_be(public.modulus),
            _ => false,
        }
    }

    /// As Go writes an `rsa.PrivateKey`.
    pub(super) fn described(&self) -> Json {
        let number = |bytes: &[u8]| serde_json::from_str::<Json>(&BigUint::from_bytes_be(bytes).to_string()).unwrap_or_default();
        match self {
            Self::Rsa([n, e, d, p, q, ..]) => json!({"N": number(n), "E": number(e), "D": number(d), "Primes": [number(p), number(q)]}),
            Self::Other => json!({}),
        }
    }
}

/// The version, and the eight numbers behind it.
fn integers(parts: &[BerObject<'_>]) -> Option<[Vec<u8>; 8]> {
    let bytes = |part: &BerObject<'_>| part.as_biguint().ok().map(|number| number.to_bytes_be());
    let numbers = parts.get(1..9)?.iter().map(bytes).collect::<Option<Vec<_>>>()?;
    numbers.try_into().ok()
}

/// The first key of an argument.
pub(super) fn first(call: &Call<'_>, at: usize) -> Result<Private, Failure> {
    let der = blocks(call, call.text(at)?, LABELS)?.into_iter().next();
    der.as_deref().and_then(Private::read).ok_or_else(|| call.operand("no private key is given"))
}

/// An RSA key as a JWK (RFC 7517).
pub(super) fn parse_rsa(call: &Call<'_>) -> Result<Value, Failure> {
    let Private::Rsa(numbers) = first(call, 0)? else { return Err(call.operand("private key is not an RSA key")) };
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk: serde_json::Map<String, Json> =
        names.into_iter().zip(numbers).map(|(name, number)| (name.to_owned(), URL_SAFE_NO_PAD.encode(number).into())).collect();
    jwk.insert("kty".to_owned(), "RSA".into());
    Ok(Json::Object(jwk).into())
}

/// Every key of a text; nothing in it is an empty list, and no text is null, as in OPA.
pub(super) fn parse_all(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let ders = blocks(call, text, LABELS).unwrap_or_default();
    Ok(Json::Array(ders.iter().filter_map(|der| Private::read(der)).map(|key| key.described()).collect()).into())
}
