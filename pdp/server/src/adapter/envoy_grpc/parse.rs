//! From attributes to one request. What Envoy says twice must agree, and what a client could have made two of is refused.

use std::net::IpAddr;

use bytes::Bytes;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::{Client, RawHttp};
use countersign_sdk_types::DenialCode;

use super::malformed;
use crate::adapter::certificate::{self, Form};
use crate::ext_authz::{AddressKind, CheckRequest, HttpRequest, Peer};

pub(super) fn http(message: CheckRequest) -> Result<RawHttp, Denial> {
    let attributes = message.attributes.ok_or_else(|| malformed("the call has no attributes"))?;
    let http = attributes.request.and_then(|request| request.http).ok_or_else(|| malformed("the call is not about an HTTP request"))?;
    if !http.query.is_empty() || !http.fragment.is_empty() {
        return Err(malformed("query and fragment are part of the path, or there are none"));
    }
    let (pseudo, headers): (Vec<_>, Vec<_>) = headers(&http)?.into_iter().partition(|(name, _)| name.starts_with(':'));
    let one = |name: &str, attribute: &Bytes| {
        let agree = pseudo.iter().filter(|(pseudo, _)| pseudo == name).all(|(_, value)| value == attribute);
        if agree { text(name, attribute) } else { Err(ambiguous(format!("`{name}` is not the attribute of that name"))) }
    };
    let source = attributes.source.unwrap_or_default();
    Ok(RawHttp {
        method: one(":method", &http.method)?,
        scheme: one(":scheme", &http.scheme)?,
        authority: one(":authority", &http.host)?,
        target: one(":path", &http.path)?,
        client: client(&source, &headers),
        client_certificate: client_certificate(&source)?,
        headers,
    })
}

/// The headers as they came. Envoy sends one of the two forms; if both are there, they could be two requests.
fn headers(http: &HttpRequest) -> Result<Vec<(String, Vec<u8>)>, Denial> {
    let raw = http.header_map.as_ref().map(|map| map.headers.as_slice()).unwrap_or_default();
    let pairs: Vec<(&Bytes, &Bytes)> = match (http.headers.as_slice(), raw) {
        (joined, []) => {
            if joined.iter().any(|entry| entry.key.eq_ignore_ascii_case(b"authorization") && entry.value.contains(&b',')) {
                return Err(ambiguous("`authorization` may be two that were joined".to_owned()));
            }
            joined.iter().map(|entry| (&entry.key, &entry.value)).collect()
        }
        ([], raw) => raw.iter().map(|one| (&one.key, one.bytes())).collect(),
        _ => return Err(ambiguous("headers come both joined and raw".to_owned())),
    };
    pairs.into_iter().map(|(name, value)| Ok((text("the name of a header", name)?.to_ascii_lowercase(), value.to_vec()))).collect()
}

/// The peer of Envoy's connection, and the header in which other proxies in front of it may have said more.
fn client(source: &Peer, headers: &[(String, Vec<u8>)]) -> Client {
    let address = match source.address.as_ref().and_then(|address| address.kind.as_ref()) {
        Some(AddressKind::Socket(socket)) => std::str::from_utf8(&socket.address).ok().and_then(|text| text.parse::<IpAddr>().ok()),
        Some(AddressKind::Pipe(_)) | None => None,
    };
    let Some(peer) = address else { return Client::Unknown };
    let forwarded = headers.iter().find(|(name, _)| name == "x-forwarded-for");
    Client::Chain { peer, forwarded: forwarded.map(|(_, value)| String::from_utf8_lossy(value).into_owned()) }
}

/// Of the connection that Envoy ended, with `include_peer_certificate`. What a client says in a header is not looked at.
fn client_certificate(source: &Peer) -> Result<Option<String>, Denial> {
    if source.certificate.is_empty() {
        return Ok(None);
    }
    let pem = text("source.certificate", &source.certificate)?;
    certificate::thumbprint(&pem, Form::EscapedPem).map(Some).ok_or_else(|| malformed("`source.certificate` holds no certificate"))
}

fn text(name: &str, bytes: &[u8]) -> Result<String, Denial> {
    std::str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|_| malformed(&format!("{name} is not UTF-8")))
}

fn ambiguous(why: String) -> Denial {
    Denial::new(DenialCode::AmbiguousHeader, why)
}
