//! The doors: each adapter parses one wire form into a `RawCheck` and renders one answer back. The allow arm takes the `Permit`.

pub mod answer;
pub mod authzen;
pub mod caddy;
pub mod certificate;
pub mod decision_point;
pub mod envoy;
pub mod envoy_grpc;
mod forwarded;
pub mod haproxy;
pub mod identity;
pub mod nginx;
pub mod sessions;
pub mod traefik;
pub mod watch;

use std::net::IpAddr;

use axum::http::HeaderMap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::{Client, RawHttp};
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

/// The one value of a header without which there is no request to decide about.
pub(crate) fn needed<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Denial> {
    single(headers, name)?.ok_or_else(|| Denial::new(DenialCode::MalformedRequest, format!("`{name}` is missing")))
}

/// What a proxy says of the original request, apart from the headers that the client sent.
pub(crate) struct Original<'a> {
    pub(crate) method: &'a str,
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) target: &'a str,
}

impl Original<'_> {
    /// The request as its proxy read it. `own` are the headers that the proxy sets and its adapter has read; all others are the client's.
    pub(crate) fn with(self, headers: &HeaderMap, own: &[&str], peer: IpAddr) -> Result<RawHttp, Denial> {
        let forwarded = single(headers, "x-forwarded-for")?.map(ToOwned::to_owned);
        let never = ["x-forwarded-for", "host", "connection", PEP_HEADER];
        let clients = headers.iter().filter(|(name, _)| !own.contains(&name.as_str()) && !never.contains(&name.as_str()));
        Ok(RawHttp {
            method: self.method.to_owned(),
            scheme: self.scheme.to_owned(),
            authority: self.authority.to_owned(),
            target: self.target.to_owned(),
            headers: clients.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
            client: Client::Chain { peer, forwarded },
            client_certificate: None,
        })
    }
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

#[cfg(test)]
mod tests;
