//! What kind of client waits for the answer: it decides how a refusal is said. The rules are those of the decision point for clients behind a proxy.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A browser that goes to a page: it follows a redirect.
    Navigation,
    /// A program, a script in a page among them: it reads a challenge.
    Program,
    /// A gRPC call: it reads `grpc-status`.
    Grpc,
    /// A WebSocket handshake: no client follows a redirect there (RFC 6455 §4.1).
    WebSocket,
    /// A browser asks whether another origin's script may ask. It carries no credentials, and reads no challenge.
    Preflight,
}

/// How the client presents its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449: with a proof of its key.
    Dpop,
}

/// The client that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) kind: Kind,
    pub(crate) scheme: Scheme,
    /// Its method changes nothing.
    pub(crate) is_safe: bool,
    /// The connection is HTTP/2 or later: gRPC can be answered in its own terms.
    pub(crate) is_multiplexed: bool,
}

impl Asker {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            kind: Kind::of(&parts.method, &parts.headers),
            scheme: Scheme::of(&parts.headers),
            is_safe: parts.method.is_safe(),
            is_multiplexed: parts.version >= http::Version::HTTP_2,
        }
    }
}

impl Kind {
    fn of(method: &Method, headers: &HeaderMap) -> Self {
        match () {
            () if is_preflight(method, headers) => Self::Preflight,
            () if is_websocket(headers) => Self::WebSocket,
            () if text(headers, CONTENT_TYPE).is_some_and(is_grpc) => Self::Grpc,
            () if is_navigation(method, headers) => Self::Navigation,
            () => Self::Program,
        }
    }
}

impl Scheme {
    fn of(headers: &HeaderMap) -> Self {
        let scheme = text(headers, AUTHORIZATION).and_then(|value| value.split(' ').next()).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("dpop") { Self::Dpop } else { Self::Bearer }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

fn text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    let has_credentials = headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE) || headers.contains_key("dpop");
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key("access-control-request-method") && !has_credentials
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrades = |value: &str| value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"));
    text(headers, UPGRADE).is_some_and(upgrades)
        || headers.contains_key("sec-websocket-key")
        || text(headers, "sec-fetch-mode") == Some("websocket")
}

fn is_grpc(content_type: &str) -> bool {
    content_type.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case("application/grpc"))
}

/// By fetch metadata where a browser sends it, else by what is accepted. Whoever sends a token in a header itself is a program.
fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if headers.contains_key(AUTHORIZATION) {
        return false;
    }
    if let Some(mode) = headers.get("sec-fetch-mode") {
        return mode.as_bytes() == b"navigate";
    }
    let reads_pages = text(headers, ACCEPT).is_some_and(|accept| accept.contains("text/html"));
    matches!(*method, Method::GET | Method::HEAD) && reads_pages && !headers.contains_key("x-requested-with")
}

#[cfg(test)]
mod tests {
    //! Kinds of clients, by what they send.

    use http::Request;

    use super::*;

    #[track_caller]
    fn check(method: &str, headers: &[(&str, &str)], kind: Kind, scheme: Scheme) {
        let request = headers.iter().fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
        let asker = Asker::of(&request.body(()).unwrap().into_parts().0);
        assert_eq!((asker.kind, asker.scheme), (kind, scheme), "{method} {headers:?}");
    }

    #[test]
    fn clients_are_told_apart() {
        use Scheme::{Bearer, Dpop};
        check("GET", &[], Kind::Program, Bearer);
        check("GET", &[("accept", "text/html")], Kind::Navigation, Bearer);
        check("HEAD", &[("accept", "text/html")], Kind::Navigation, Bearer);
        check("GET", &[("sec-fetch-mode", "navigate")], Kind::Navigation, Bearer);
        check("POST", &[("sec-fetch-mode", "navigate")], Kind::Navigation, Bearer);
        check("POST", &[("accept", "text/html")], Kind::Program, Bearer);
        check("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], Kind::Program, Bearer);
        check("GET", &[("accept", "text/html"), ("sec-fetch-mode", "cors")], Kind::Program, Bearer);
        check("GET", &[("accept", "text/html"), ("authorization", "Bearer t")], Kind::Program, Bearer);
        check("GET", &[("authorization", "dpop t"), ("dpop", "p")], Kind::Program, Dpop);
        check("GET", &[("authorization", "Bearer t"), ("dpop", "p")], Kind::Program, Bearer);
        check("POST", &[("content-type", "application/grpc+proto")], Kind::Grpc, Bearer);
        check("POST", &[("content-type", "Application/gRPC")], Kind::Grpc, Bearer);
        check("GET", &[("upgrade", "websocket"), ("accept", "text/html")], Kind::WebSocket, Bearer);
        check("GET", &[("sec-websocket-key", "k")], Kind::WebSocket, Bearer);
        let preflight = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
        check("OPTIONS", &preflight, Kind::Preflight, Bearer);
        check("GET", &preflight, Kind::Program, Bearer);
        check("OPTIONS", &[preflight[0], preflight[1], ("cookie", "a=1")], Kind::Program, Bearer);
    }
}
