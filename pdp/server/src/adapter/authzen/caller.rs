//! Who calls: an enforcement point, by the network that it calls from and by what it brings. That is one or more of `X-Countersign-Pep`, a bearer token and a
//! client certificate; whatever is brought must be right, and all of it must be of one enforcement point.
//!
//! `Authorization` is the caller's here. The subject's token is in `context.http`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;

use super::Refusal;
use crate::adapter::{PEP_HEADER, single};
use crate::config::{AuthzenUse, CertificateName, Enforcer};
use crate::serve::Decider;
use crate::tls::ClientCertificate;

/// The enforcement point that calls.
#[derive(Debug)]
pub(in crate::adapter) struct Caller(pub(in crate::adapter) Enforcer);

impl Caller {
    /// Whether it may use an API.
    pub(in crate::adapter) fn may(&self, asked: AuthzenUse) -> Result<(), Refusal> {
        if self.0.authzen >= asked {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::FORBIDDEN, format!("`{}` may not use this API; `pep.authzen` says what it may", self.0.pep.id)))
    }
}

impl FromRequestParts<Arc<Decider>> for Caller {
    type Rejection = Unknown;

    async fn from_request_parts(parts: &mut Parts, decider: &Arc<Decider>) -> Result<Self, Unknown> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().ok_or(Unknown::Missing)?.0.ip();
        let certificate = parts.extensions.get::<ClientCertificate>();
        find(&parts.headers, certificate, peer, &decider.enforcers).cloned().map(Self)
    }
}

/// Nobody that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapter) enum Unknown {
    /// It brings nothing.
    Missing,
    /// What it brings is wrong.
    Wrong,
}

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        let bearer = match self {
            Self::Missing => "Bearer realm=\"countersign\"",
            Self::Wrong => "Bearer realm=\"countersign\", error=\"invalid_token\"",
        };
        let mut response = (StatusCode::UNAUTHORIZED, "the caller is not a known enforcement point").into_response();
        for challenge in [bearer, "Countersign-Pep"] {
            response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// The one enforcement point that all of what is brought names, from one of its networks.
pub(in crate::adapter) fn find<'a>(
    headers: &HeaderMap,
    certificate: Option<&ClientCertificate>,
    peer: IpAddr,
    enforcers: &'a [Enforcer],
) -> Result<&'a Enforcer, Unknown> {
    let by_header = one(headers, PEP_HEADER)?.map(|text| by_secret(text, enforcers));
    let by_token = one(headers, header::AUTHORIZATION.as_str())?.map(|text| by_bearer(text, enforcers));
    // A certificate that names nobody here says only that its bearer may connect.
    let by_certificate = certificate.and_then(|certificate| by_certificate(certificate, enforcers)).map(Some);
    let mut brought = [by_header, by_token, by_certificate].into_iter().flatten();
    let enforcer = brought.next().ok_or(Unknown::Missing)?.ok_or(Unknown::Wrong)?;
    let is_same = |other: Option<&Enforcer>| other.is_some_and(|other| other.pep.id == enforcer.pep.id);
    let peer = peer.to_canonical();
    let is_there = enforcer.from.iter().any(|net| net.contains(&peer));
    if brought.all(is_same) && is_there { Ok(enforcer) } else { Err(Unknown::Wrong) }
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unknown> {
    single(headers, name).map_err(|_| Unknown::Wrong)
}

/// `id:secret`.
fn by_secret<'a>(text: &str, enforcers: &'a [Enforcer]) -> Option<&'a Enforcer> {
    let (id, secret) = text.split_once(':')?;
    let presented = Enforcer::digest(secret);
    enforcers.iter().find(|enforcer| {
        let is_right = enforcer.secret.is_some_and(|secret| secret.0.ct_eq(&presented.0).into());
        is_right && enforcer.pep.id.as_str() == id
    })
}

/// `Bearer` and a token of its own, or `id:secret` for callers that can set no other header (RFC 6750 §2.1).
fn by_bearer<'a>(text: &str, enforcers: &'a [Enforcer]) -> Option<&'a Enforcer> {
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let presented = Enforcer::digest(token);
    let own = |enforcer: &&Enforcer| enforcer.bearer.is_some_and(|bearer| bearer.0.ct_eq(&presented.0).into());
    enforcers.iter().find(own).or_else(|| by_secret(token, enforcers))
}

fn by_certificate<'a>(certificate: &ClientCertificate, enforcers: &'a [Enforcer]) -> Option<&'a Enforcer> {
    let ClientCertificate(thumbprint, names) = certificate;
    let is_named = |name: &CertificateName| match name {
        CertificateName::Alternative(name) => names.contains(name),
        CertificateName::Thumbprint(configured) => configured == thumbprint,
    };
    enforcers.iter().find(|enforcer| enforcer.certificates.iter().any(is_named))
}

#[cfg(test)]
mod tests;
