//! `crypto.x509.*` and `crypto.parse_private_keys`: certificates, requests and keys, in the shapes that OPA took over from Go.

mod certificate;
mod chain;
mod private;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regorus::Value;
use serde_json::{Map, Value as Json, json};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use self::certificate::Described;
use super::call::{Builtin, Call, Failure};

/// The most certificates of one call.
const MAX_CERTIFICATES: usize = 100;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new("crypto.x509.parse_certificates", 1, parse_certificates),
    Builtin::at_a_moment("crypto.x509.parse_and_verify_certificates", 1, chain::parse_and_verify),
    Builtin::at_a_moment("crypto.x509.parse_and_verify_certificates_with_options", 2, chain::parse_and_verify_with_options),
    Builtin::new("crypto.x509.parse_certificate_request", 1, parse_request),
    Builtin::new("crypto.x509.parse_keypair", 2, parse_keypair),
    Builtin::new("crypto.x509.parse_rsa_private_key", 1, private::parse_rsa),
    Builtin::new("crypto.parse_private_keys", 1, private::parse_all),
];

/// The contents of PEM blocks of one label; text without PEM is base64 of PEM or of DER.
fn blocks(call: &Call<'_>, text: &str, labels: &[&str]) -> Result<Vec<Vec<u8>>, Failure> {
    if let Some(blocks) = pem(text.as_bytes(), labels) {
        return Ok(blocks);
    }
    let packed: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(packed).map_err(|_| call.operand("neither PEM nor base64"))?;
    Ok(pem(&bytes, labels).unwrap_or_else(|| vec![bytes]))
}

fn pem(bytes: &[u8], labels: &[&str]) -> Option<Vec<Vec<u8>>> {
    if !bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        return None;
    }
    let blocks = Pem::iter_from_buffer(bytes).map_while(Result::ok).take(MAX_CERTIFICATES);
    Some(blocks.filter(|block| labels.contains(&block.label.as_str())).map(|block| block.contents).collect())
}

/// Certificates in DER, one after the other in each block.
fn certificates(call: &Call<'_>, at: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let mut found = Vec::new();
    for block in blocks(call, call.text(at)?, &["CERTIFICATE"])? {
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let (after, _) = X509Certificate::from_der(rest).map_err(|_| call.operand("x509: malformed certificate"))?;
            let (certificate, _) = rest.split_at(rest.len() - after.len());
            found.push(certificate.to_vec());
            call.within(found.len(), MAX_CERTIFICATES)?;
            rest = after;
        }
    }
    if found.is_empty() { Err(call.operand("no certificate is given")) } else { Ok(found) }
}

fn describe(call: &Call<'_>, ders: &[Vec<u8>]) -> Result<Vec<Json>, Failure> {
    let described = |der: &Vec<u8>| {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| call.operand("x509: malformed certificate"))?;
        Ok(Described(&certificate).json(der))
    };
    ders.iter().map(described).collect()
}

fn parse_certificates(call: &Call<'_>) -> Result<Value, Failure> {
    let ders = certificates(call, 0)?;
    Ok(Json::Array(describe(call, &ders)?).into())
}

fn parse_request(call: &Call<'_>) -> Result<Value, Failure> {
    let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
    let der = blocks(call, call.text(0)?, &labels)?.into_iter().next().ok_or_else(|| call.operand("no certificate request is given"))?;
    let (_, request) = X509CertificationRequest::from_der(&der).map_err(|_| call.operand("malformed certificate request"))?;
    Ok(certificate::describe_request(&request, &der).into())
}

/// The certificates of a pair whose key is the first one's, as Go's `tls.Certificate` lists them.
fn parse_keypair(call: &Call<'_>) -> Result<Value, Failure> {
    let ders = certificates(call, 0)?;
    let key = private::first(call, 1)?;
    let first = ders.first().and_then(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate);
    if !first.as_ref().is_some_and(|certificate| key.is_of(&certificate.tbs_certificate.subject_pki)) {
        return Err(call.operand("private key is not the one of the certificate"));
    }
    let listed: Vec<Json> = ders.iter().map(|der| STANDARD.encode(der).into()).collect();
    let leaf = first.as_ref().zip(ders.first()).map(|(certificate, der)| Described(certificate).json(der));
    let pair = Map::from_iter([
        ("Certificate".to_owned(), Json::Array(listed)),
        ("Leaf".to_owned(), leaf.unwrap_or_default()),
        ("PrivateKey".to_owned(), key.described()),
        ("OCSPStaple".to_owned(), Json::Null),
        ("SignedCertificateTimestamps".to_owned(), Json::Null),
        ("SupportedSignatureAlgorithms".to_owned(), json!(null)),
    ]);
    Ok(Json::Object(pair).into())
}
