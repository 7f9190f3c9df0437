//! The certificate of the subject's client, as the proxy that ended its TLS hands it on (RFC 8705 behind a proxy). One header in one form, configured for
//! an enforcement point and believed only from it, after it has authenticated; whatever else is called a certificate in a request is the client's own word.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_pdp_engine::Denial;
use countersign_sdk_types::DenialCode;
use percent_encoding::percent_decode_str;

use super::single;
use crate::tls;

/// How a proxy writes the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Envoy's `X-Forwarded-Client-Cert`: elements of hops, of which the last is written by the proxy that calls.
    Xfcc,
    /// PEM in percent-encoding: nginx' `$ssl_client_escaped_cert`.
    EscapedPem,
    /// DER in base64: HAProxy's `ssl_c_der`, and Traefik, which may send the chain, leaf first.
    Base64Der,
}

/// The one header in which an enforcement point hands on certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateHeader {
    /// Its name, in lower case.
    pub name: String,
    /// How its value is written.
    pub form: Form,
}

impl CertificateHeader {
    /// The header of a kind of proxy, under the name that it usually has.
    #[must_use]
    pub fn of(kind: &str) -> Option<Self> {
        let (name, form) = match kind {
            "xfcc" => ("x-forwarded-client-cert", Form::Xfcc),
            "nginx" => ("x-countersign-client-cert", Form::EscapedPem),
            "haproxy" => ("x-countersign-client-cert", Form::Base64Der),
            "traefik" => ("x-forwarded-tls-client-cert", Form::Base64Der),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), form })
    }
}

/// Longer than the longest chain that fits into a header.
const LONGEST: usize = 16 * 1024;

/// The thumbprint of the certificate that the client presented (`x5t#S256`, RFC 8705 §3.1), as the enforcement point says in the header that is configured
/// for it. `None` where it says none, or none is configured.
///
/// # Errors
/// When the header appears twice, is too long, or is not what it is configured to be.
pub fn presented(headers: &HeaderMap, configured: Option<&CertificateHeader>) -> Result<Option<String>, Denial> {
    let Some(CertificateHeader { name, form }) = configured else { return Ok(None) };
    // Proxies write an empty value where the client had none.
    let Some(value) = single(headers, name)?.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    thumbprint(value, *form).map(Some).ok_or_else(|| Denial::new(DenialCode::MalformedRequest, format!("`{name}` holds no certificate")))
}

/// The same of a value that came another way, such as `source.certificate` of Envoy's gRPC, which is PEM in percent-encoding.
#[must_use]
pub fn thumbprint(value: &str, form: Form) -> Option<String> {
    if value.len() > LONGEST {
        return None;
    }
    match form {
        Form::Xfcc => xfcc(value),
        Form::EscapedPem => escaped_pem(value),
        Form::Base64Der => base64_der(value),
    }
}

fn escaped_pem(value: &str) -> Option<String> {
    let pem: Vec<u8> = percent_decode_str(value).collect();
    match tls::certificates(&pem)?.as_slice() {
        [leaf] => Some(tls::thumbprint(leaf)),
        _ => None,
    }
}

fn base64_der(value: &str) -> Option<String> {
    let leaf: Vec<u8> = percent_decode_str(value.split(',').next()?).collect();
    let der = STANDARD.decode(leaf).ok()?;
    // A certificate is a SEQUENCE (RFC 5280 §4.1); the rest was checked by who shook hands.
    (der.first() == Some(&0x30)).then(|| tls::thumbprint(&der.into()))
}

/// The thumbprint in the last element, by `Hash` and by `Cert`, which agree where both are there.
fn xfcc(value: &str) -> Option<String> {
    let last = split(value, ',')?.pop()?;
    let (mut hash, mut certificate) = (None, None);
    for pair in split(last, ';')? {
        let (name, value) = pair.trim().split_once('=')?;
        let place = match name.to_ascii_lowercase().as_str() {
            "hash" => &mut hash,
            "cert" => &mut certificate,
            _ => continue,
        };
        if place.replace(value.trim_matches('"')).is_some() {
            return None;
        }
    }
    match (hash, certificate) {
        (Some(hash), None) => from_hex(hash),
        (None, Some(certificate)) => escaped_pem(certificate),
        (Some(hash), Some(certificate)) => from_hex(hash).filter(|hash| escaped_pem(certificate).as_ref() == Some(hash)),
        (None, None) => None,
    }
}

/// Splits outside of double quotes, in which a backslash escapes; `None` when a quote stays open.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter == at && !quoted => {
                parts.push(text.get(start..index)?);
                start = index + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// SHA-256 in hexadecimal, as base64url.
fn from_hex(hash: &str) -> Option<String> {
    let digest = countersign_sdk_types::Digest::try_from(hash.to_owned()).ok()?;
    Some(URL_SAFE_NO_PAD.encode(digest.0))
}

#[cfg(test)]
mod tests;
