//! Traefik `ForwardAuth`: the original request is in `X-Forwarded-*`, and everything but a 2xx goes to the client as we answer it. With `preserveRequestMethod`
//! and `forwardBody` the call has the client's method and body; neither is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::RawHttp;

use super::answer::Reply;
use super::forwarded;
use crate::metrics::Door;
use crate::serve::Decider;

/// `GET /authz/traefik`.
#[utoipa::path(
    get,
    path = "/authz/traefik",
    operation_id = "check_traefik",
    description = "What Traefik asks of each request: the original request is in its own headers, any method is taken, and the status is the answer.",
    params(("X-Forwarded-Method" = String, Header), ("X-Forwarded-Host" = String, Header)),
    responses(crate::openapi::Door)
)]
pub async fn check(State(decider): State<Arc<Decider>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Reply {
    decider.proxied(Door::Traefik, peer, &headers, || parse(&headers, peer.ip())).await
}

/// The original request. Traefik calls the scheme of a WebSocket handshake `ws` or `wss`.
///
/// # Errors
/// When it is not all there, or is there twice.
pub fn parse(headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    let http = forwarded::parse(headers, peer)?;
    let scheme = match http.scheme.as_str() {
        "ws" => "http".to_owned(),
        "wss" => "https".to_owned(),
        _ => http.scheme,
    };
    Ok(RawHttp { scheme, ..http })
}
