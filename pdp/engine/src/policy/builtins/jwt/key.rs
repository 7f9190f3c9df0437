//! Keys that tokens are verified with: secrets, certificates and public keys in PEM, and key sets (RFC 7517).

use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value as Json;
use sha2::{Sha256, Sha384, Sha512};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::policy::builtins::call::{Call, Failure};

/// How a token is signed (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rsa(&'static RsaParameters),
    /// One curve each.
    Curve(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Self::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            "PS384" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            "PS512" => Self::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            "ES256" => Self::Curve(&signature::ECDSA_P256_SHA256_FIXED),
            "ES384" => Self::Curve(&signature::ECDSA_P384_SHA384_FIXED),
            "ES512" => Self::Curve(&signature::ECDSA_P521_SHA512_FIXED),
            "EdDSA" => Self::Curve(&signature::ED25519),
            _ => return None,
        })
    }

    pub(super) const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A key, and what a key set says of it.
#[derive(Default)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) alg: Option<String>,
    material: Material,
}

#[derive(Default)]
enum Material {
    Secret(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point, or the bytes of an Ed25519 key.
    Curve(Vec<u8>),
    /// Of a kind that verifies nothing.
    #[default]
    Other,
}

impl Key {
    pub(super) fn secret(secret: &str) -> Self {
        Self { material: Material::Secret(secret.as_bytes().to_vec()), ..Self::default() }
    }

    /// Reads a certificate or public key in PEM, or a key set in JSON.
    pub(super) fn read(call: &Call<'_>, text: &str) -> Result<Vec<Self>, Failure> {
        let keys = if text.contains("-----BEGIN") { Self::from_pem(text) } else { Self::from_set(text) };
        keys.ok_or_else(|| call.operand("key is neither a certificate, a public key in PEM, nor a key set"))
    }

    fn from_pem(text: &str) -> Option<Vec<Self>> {
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        let material = match pem.label.as_str() {
            "CERTIFICATE" => Material::of(&X509Certificate::from_der(&pem.contents).ok()?.1.tbs_certificate.subject_pki)?,
            "PUBLIC KEY" => Material::of(&SubjectPublicKeyInfo::from_der(&pem.contents).ok()?.1)?,
            "RSA PUBLIC KEY" => {
                let key = x509_parser::public_key::RSAPublicKey::from_der(&pem.contents).ok()?.1;
                Material::rsa(key.modulus, key.exponent)
            }
            _ => return None,
        };
        Some(vec![Self { material, ..Self::default() }])
    }

    fn from_set(text: &str) -> Option<Vec<Self>> {
        let json = strict::value(text.as_bytes(), Limits::PEER).ok()?;
        match json.get("keys") {
            Some(keys) => Some(keys.as_array()?.iter().map(Self::from_jwk).collect()),
            None => json.get("kty").is_some().then(|| vec![Self::from_jwk(&json)]),
        }
    }

    fn from_jwk(jwk: &Json) -> Self {
        let text = |name: &str| jwk.get(name).and_then(Json::as_str).map(ToOwned::to_owned);
        Self { kid: text("kid"), alg: text("alg"), material: Material::of_jwk(jwk).unwrap_or_default() }
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (algorithm, &self.material) {
            (Algorithm::Hs256, Material::Secret(key)) => matches_code(Hmac::<Sha256>::new_from_slice(key).ok(), signed, signature),
            (Algorithm::Hs384, Material::Secret(key)) => matches_code(Hmac::<Sha384>::new_from_slice(key).ok(), signed, signature),
            (Algorithm::Hs512, Material::Secret(key)) => matches_code(Hmac::<Sha512>::new_from_slice(key).ok(), signed, signature),
            (Algorithm::Rsa(parameters), Material::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature).is_ok()
            }
            (Algorithm::Curve(algorithm), Material::Curve(key)) => UnparsedPublicKey::new(algorithm, key).verify(signed, signature).is_ok(),
            _ => false,
        }
    }
}

fn matches_code<M: Mac>(code: Option<M>, signed: &[u8], signature: &[u8]) -> bool {
    code.is_some_and(|mut code| {
        code.update(signed);
        code.verify_slice(signature).is_ok()
    })
}

impl Material {
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
        Self::Rsa { n: bare(modulus), e: bare(exponent) }
    }

    fn of(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        Some(match info.parsed().ok()? {
            PublicKey::RSA(key) => Self::rsa(key.modulus, key.exponent),
            PublicKey::EC(point) => Self::Curve(point.data().to_vec()),
            _ => Self::Curve(info.subject_public_key.data.to_vec()),
        })
    }

    fn of_jwk(jwk: &Json) -> Option<Self> {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok();
        Some(match jwk.get("kty")?.as_str()? {
            "RSA" => Self::rsa(&bytes("n")?, &bytes("e")?),
            "EC" => Self::Curve([vec![4], bytes("x")?, bytes("y")?].concat()),
            "OKP" => Self::Curve(bytes("x")?),
            "oct" => Self::Secret(bytes("k")?),
            _ => return None,
        })
    }
}
