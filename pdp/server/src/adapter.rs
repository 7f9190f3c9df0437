//! The doors: each adapter parses one wire form into a `RawCheck` and renders one answer back. The allow arm takes the `Permit`.

pub mod authzen;
pub mod nginx;
pub mod sessions;

use std::net::IpAddr;

use axum::http::HeaderMap;
use countersign_pdp_engine::Denial;
use countersign_sdk_types::DenialCode;
use subtle::ConstantTimeEq;

use crate::config::Enforcer;

/// The header by which an enforcement point authenticates: its id, a colon, its secret.
pub const PEP_HEADER: &str = "x-countersign-pep";

/// The one value of a header that an adapter reads.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Denial> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denial::new(DenialCode::AmbiguousHeader, format!("`{name}` appears twice")));
    }
    value.to_str().map(Some).map_err(|_| Denial::new(DenialCode::MalformedRequest, format!("`{name}` is not ASCII text")))
}

/// Who calls: by the network that the call comes from **and** the secret that it brings.
pub(crate) fn enforcer<'a>(headers: &HeaderMap, peer: IpAddr, enforcers: &'a [Enforcer]) -> Result<&'a Enforcer, Denial> {
    let refused = || Denial::new(DenialCode::NoCredentials, "the caller is not a known enforcement point");
    let presented = single(headers, PEP_HEADER)?.ok_or_else(refused)?;
    let (id, secret) = presented.split_once(':').ok_or_else(refused)?;
    let presented = Enforcer::digest(secret);
    let peer = peer.to_canonical();
    let matches = |enforcer: &&Enforcer| {
        let right_secret = enforcer.secret.is_some_and(|secret| bool::from(secret.0.ct_eq(&presented.0)));
        right_secret && enforcer.pep.id.as_str() == id && enforcer.from.iter().any(|net| net.contains(&peer))
    };
    enforcers.iter().find(matches).ok_or_else(refused)
}
