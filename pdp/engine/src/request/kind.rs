//! What kind of client asks, decided once: it says which refusal that client can follow. No access hangs on it.

use serde::{Deserialize, Serialize};

use super::headers::Headers;

/// What kind of client asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A browser that goes to a page: it follows a redirect.
    Navigation,
    /// A script in a page of the same host: it can read an address and send its page there.
    Script,
    /// Any other program: it can follow a challenge.
    #[default]
    Program,
    /// A gRPC call: it reads `grpc-status`.
    Grpc,
    /// A WebSocket handshake: it is refused plainly, for no client follows a redirect there (RFC 6455 §4.1).
    WebSocket,
    /// A browser asks whether another origin's script may ask (Fetch §3.2.2). It carries no credentials.
    Preflight,
}

/// Headers by which some frameworks take another method than the one that was sent.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

impl ClientKind {
    pub(super) fn of(method: &str, headers: &Headers) -> Self {
        match () {
            () if is_preflight(method, headers) => Self::Preflight,
            () if is_websocket(headers) => Self::WebSocket,
            () if headers.first("content-type").is_some_and(is_grpc) => Self::Grpc,
            () if is_navigation(method, headers) => Self::Navigation,
            () if is_script(headers) => Self::Script,
            () => Self::Program,
        }
    }
}

/// Only what a browser would send: one with credentials, or that hides another method, is some other request.
fn is_preflight(method: &str, headers: &Headers) -> bool {
    let one = |name: &str| matches!(headers.one(name), Ok(Some(value)) if !value.is_empty());
    let never = ["authorization", "cookie", "dpop"];
    method == "OPTIONS"
        && one("origin")
        && one("access-control-request-method")
        && !never.iter().chain(&METHOD_OVERRIDES).any(|name| headers.first(name).is_some())
}

/// nginx drops `Upgrade` from its subrequest; what else belongs to the handshake stays.
fn is_websocket(headers: &Headers) -> bool {
    let upgrades = |value: &str| value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"));
    headers.first("upgrade").is_some_and(upgrades)
        || headers.first("sec-websocket-key").is_some()
        || headers.first("sec-fetch-mode") == Some("websocket")
}

fn is_grpc(content_type: &str) -> bool {
    content_type.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case("application/grpc"))
}

/// By fetch metadata where a browser sends it, else by what is accepted.
fn is_navigation(method: &str, headers: &Headers) -> bool {
    if let Some(mode) = headers.first("sec-fetch-mode") {
        return mode == "navigate";
    }
    let reads_pages = headers.first("accept").is_some_and(|accept| accept.contains("text/html"));
    matches!(method, "GET" | "HEAD") && reads_pages && headers.first("x-requested-with").is_none()
}

/// A script of another site could not read the answer, and an image or a stylesheet could do nothing with it.
fn is_script(headers: &Headers) -> bool {
    let own = |site: &str| site == "same-origin";
    match headers.first("sec-fetch-mode") {
        Some("cors" | "same-origin") => headers.first("sec-fetch-site").is_none_or(own),
        Some(_) => false,
        None if headers.first("x-requested-with").is_some() => true,
        None => headers.first("cookie").is_some() && headers.first("accept").is_some_and(|accept| accept.contains("json")),
    }
}
