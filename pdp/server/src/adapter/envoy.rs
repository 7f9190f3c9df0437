//! Envoy `ext_authz` over HTTP: the call is the original request, its path behind our prefix. Method, path and query are those of the start line, and no header says
//! otherwise.
//!
//! Envoy takes exactly 200 for an allow. A 5xx would be an allow under `failure_mode_allow`, so what is our own fault is refused like everything else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::RawHttp;
use countersign_sdk_types::DenialCode;

use super::answer::Reply;
use super::identity::IdentityHeaders;
use super::{Original, needed};
use crate::metrics::Door;
use crate::serve::Decider;

const PREFIX: &str = "/authz/envoy";
const PROTO: &str = "x-forwarded-proto";
/// Request headers that Envoy takes away.
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Any method on `/authz/envoy` and below.
#[utoipa::path(
    get,
    path = "/authz/envoy/{path}",
    operation_id = "check_envoy",
    description = "What Envoy asks of each request: the original request is in its own headers, any method is taken, and the status is the answer.",
    params(("path" = String, Path, description = "The path of the original request.")),
    responses(crate::openapi::Door)
)]
pub async fn check(
    State(decider): State<Arc<Decider>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let reply = decider.proxied(Door::Envoy, peer, &headers, || parse(&method, &uri, &headers, peer.ip())).await;
    render(reply, &decider.identity)
}

/// The original request.
///
/// # Errors
/// When it is not all there, or is there twice.
pub fn parse(method: &Method, uri: &Uri, headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    let malformed = |why: &str| Denial::new(DenialCode::MalformedRequest, why);
    if uri.authority().is_some() {
        return Err(malformed("the start line names a host of its own"));
    }
    let target = uri.path_and_query().and_then(|target| target.as_str().strip_prefix(PREFIX));
    let target = target.ok_or_else(|| malformed("the path is not behind the prefix"))?;
    let original = Original { method: method.as_str(), scheme: needed(headers, PROTO)?, authority: needed(headers, "host")?, target };
    original.with(headers, &[PROTO], peer)
}

/// What Envoy can carry. A header without a value is taken away rather than set, which needs no permission in Envoy's configuration.
#[must_use]
pub fn render(reply: Reply, identity: &IdentityHeaders) -> Response {
    match reply {
        Reply::Pass(headers) => {
            let (empty, set): (Vec<_>, Vec<_>) =
                headers.into_iter().filter_map(|(name, value)| Some((name?, value))).partition(|(_, value)| value.is_empty());
            let gone: Vec<&str> = empty.iter().map(|(name, _)| name).chain(identity.aliases()).map(HeaderName::as_str).collect();
            let gone = HeaderValue::try_from(gone.join(","));
            let Ok(gone) = gone else { return StatusCode::FORBIDDEN.into_response() };
            Reply::Pass(set.into_iter().chain([(REMOVE, gone)]).collect()).into_response()
        }
        Reply::Refuse(refusal) => {
            let status = if refusal.status().is_server_error() { StatusCode::FORBIDDEN } else { refusal.status() };
            refusal.with_status(status).into_response()
        }
    }
}
