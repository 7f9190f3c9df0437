//! Caddy `forward_auth`: the original request is in `X-Forwarded-*`, and everything but a 2xx goes to the client as we answer it.
//!
//! Caddy appends the client's own query to our address, so nothing is ever read from there.

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

/// `GET /authz/caddy`.
#[utoipa::path(
    get,
    path = "/authz/caddy",
    operation_id = "check_caddy",
    description = "What Caddy asks of each request: the original request is in its own headers, any method is taken, and the status is the answer.",
    params(("X-Forwarded-Method" = String, Header), ("X-Forwarded-Host" = String, Header)),
    responses(crate::openapi::Door)
)]
pub async fn check(State(decider): State<Arc<Decider>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Reply {
    decider.proxied(Door::Caddy, peer, &headers, || parse(&headers, peer.ip())).await
}

/// The original request.
///
/// # Errors
/// When it is not all there, or is there twice.
pub fn parse(headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    forwarded::parse(headers, peer)
}
