//! nginx `auth_request`: the original request is in `X-Original-*` and `X-Forwarded-For`, and of our answer nginx keeps a 2xx, a 401 or a 403.
//!
//! Other proxies' header sets ride along unread. A redirect is a 401 with a `Location`, which the configuration turns into one; whatever cannot be understood
//! is a 403; what is our own fault is a 503, which nginx turns into a 500: closed in each case.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::RawHttp;
use countersign_sdk_types::DenialCode;

use super::answer::Reply;
use super::{Original, needed};
use crate::metrics::Door;
use crate::serve::Decider;

/// `GET /authz/nginx`.
#[utoipa::path(
    get,
    path = "/authz/nginx",
    operation_id = "check_nginx",
    description = "What nginx asks of each request: the original request is in its own headers, any method is taken, and the status is the answer.",
    params(("X-Original-Method" = String, Header), ("X-Original-URL" = String, Header)),
    responses(crate::openapi::Door)
)]
pub async fn check(State(decider): State<Arc<Decider>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    render(decider.proxied(Door::Nginx, peer, &headers, || parse(&headers, peer.ip())).await)
}

const METHOD: &str = "x-original-method";
const URL: &str = "x-original-url";

/// The original request.
///
/// # Errors
/// When it is not all there, or is there twice.
pub fn parse(headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    let method = needed(headers, METHOD)?;
    let without_scheme = || Denial::new(DenialCode::MalformedRequest, "X-Original-URL has no scheme");
    let (scheme, rest) = needed(headers, URL)?.split_once("://").ok_or_else(without_scheme)?;
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    Original { method, scheme, authority, target }.with(headers, &[METHOD, URL], peer)
}

/// What nginx can carry.
#[must_use]
pub fn render(reply: Reply) -> Response {
    match reply {
        Reply::Refuse(refusal) => {
            let status = match refusal.status() {
                redirect if redirect.is_redirection() => StatusCode::UNAUTHORIZED,
                StatusCode::BAD_REQUEST => StatusCode::FORBIDDEN,
                kept => kept,
            };
            refusal.with_status(status).into_response()
        }
        pass @ Reply::Pass(_) => pass.into_response(),
    }
}
