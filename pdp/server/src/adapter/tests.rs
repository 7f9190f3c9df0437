//! All adapters through one set of eyes: what recordings of real proxies hold, the known pitfalls, and the door as a proxy meets it.

mod pitfalls;
mod recordings;
mod scene;

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::RawHttp;

use super::answer::Reply;
use super::identity::IdentityHeaders;
use super::{caddy, envoy, haproxy, nginx, traefik};

/// The proxies that ask over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Traefik,
    Caddy,
    Haproxy,
    Envoy,
}

const PROXIES: [Proxy; 5] = [Proxy::Nginx, Proxy::Traefik, Proxy::Caddy, Proxy::Haproxy, Proxy::Envoy];

/// Where the proxies of these tests are.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A request for a decision: start line and headers, as they go over the wire.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Proxy {
    /// As a proxy of this kind asks about a request with these headers of its client.
    fn asks(self, method: &str, host: &str, target: &str, client: &[(&str, &str)]) -> Asked {
        let forwarded =
            [("x-forwarded-method", method), ("x-forwarded-proto", "https"), ("x-forwarded-host", host), ("x-forwarded-uri", target)];
        let url = format!("https://{host}{target}");
        let (line, own) = match self {
            Self::Nginx => {
                (("GET", "/authz/nginx".to_owned()), vec![("x-original-method", method), ("x-original-url", url.as_str()), ("host", "pdp")])
            }
            Self::Traefik => (("GET", "/authz/traefik".to_owned()), [&forwarded[..], &[("host", "pdp")]].concat()),
            Self::Caddy => (("GET", "/authz/caddy".to_owned()), [&forwarded[..], &[("host", host)]].concat()),
            Self::Haproxy => (("GET", "/authz/haproxy".to_owned()), [&forwarded[..], &[("host", "pdp")]].concat()),
            Self::Envoy => ((method, format!("/authz/envoy{target}")), vec![("x-forwarded-proto", "https"), ("host", host)]),
        };
        let all = own.iter().chain(&[("x-forwarded-for", "203.0.113.9")]).chain(client);
        let headers = all.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let _: bool = map.append::<HeaderName>(name, value);
        }
        Asked { method: line.0.parse().unwrap(), uri: line.1.parse().unwrap(), headers: map }
    }

    fn parse(self, asked: &Asked) -> Result<RawHttp, Denial> {
        match self {
            Self::Nginx => nginx::parse(&asked.headers, PEER),
            Self::Traefik => traefik::parse(&asked.headers, PEER),
            Self::Caddy => caddy::parse(&asked.headers, PEER),
            Self::Haproxy => haproxy::parse(&asked.headers, PEER),
            Self::Envoy => envoy::parse(&asked.method, &asked.uri, &asked.headers, PEER),
        }
    }

    fn render(self, reply: Reply) -> Response {
        match self {
            Self::Nginx => nginx::render(reply),
            Self::Traefik | Self::Caddy | Self::Haproxy => reply.into_response(),
            Self::Envoy => envoy::render(reply, &IdentityHeaders::default()),
        }
    }
}
