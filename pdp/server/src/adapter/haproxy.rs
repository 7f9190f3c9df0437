//! HAProxy, through the small Lua action of `sdk/examples/haproxy`: the original request is in `X-Forwarded-*` as that action sets it, and that
//! action hands on what we answer.
//!
//! HAProxy joins headers that came twice, the last one first; what could hide a second credential in that is refused by the engine.

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

/// `GET /authz/haproxy`.
#[utoipa::path(
    get,
    path = "/authz/haproxy",
    operation_id = "check_haproxy",
    description = "What HAProxy asks of each request: the original request is in its own headers, any method is taken, and the status is the answer.",
    params(("X-Forwarded-Method" = String, Header), ("X-Forwarded-Host" = String, Header)),
    responses(crate::openapi::Door)
)]
pub async fn check(State(decider): State<Arc<Decider>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Reply {
    decider.proxied(Door::Haproxy, peer, &headers, || parse(&headers, peer.ip())).await
}

/// The original request.
///
/// # Errors
/// When it is not all there, or is there twice.
pub fn parse(headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    forwarded::parse(headers, peer)
}
