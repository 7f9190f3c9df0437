//! From an HTTP request to the question that is asked about it.

use std::net::IpAddr;

use countersign_sdk_types::{Action, Entity, EvaluationRequest};
use http::header::{COOKIE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Uri};
use serde_json::{Map, Value, json};

/// The headers that the decision point is shown, when they are there.
const SHOWN: [&str; 8] =
    ["authorization", "dpop", "user-agent", "accept", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user"];

/// The address of the client, as the application knows it from its connection. Put it into the request's extensions, never from a header
/// that a client can send.
///
/// ```
/// use countersign_sdk_pep::ClientAddress;
///
/// let mut request = http::Request::new(());
/// let peer: std::net::SocketAddr = "203.0.113.9:50000".parse()?;
/// request.extensions_mut().insert(ClientAddress(peer.ip()));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Scheme and host under which the application is published. It is configured, because a `Host` header is the client's word.
///
/// ```
/// use countersign_sdk_pep::Origin;
///
/// assert!("https://payroll.example".parse::<Origin>().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
}

/// Why a text is not an origin.
///
/// ```
/// use countersign_sdk_pep::{Origin, OriginError};
///
/// assert_eq!("https://payroll.example/".parse::<Origin>(), Err(OriginError));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("origin is not `http` or `https`, a host, and nothing else")]
pub struct OriginError;

impl std::str::FromStr for Origin {
    type Err = OriginError;
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url: Uri = text.parse().map_err(|_| OriginError)?;
        let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or(OriginError)?;
        let host = url.authority().map(http::uri::Authority::as_str).filter(|host| !host.contains('@')).ok_or(OriginError)?;
        let bare = url.path() == "/" && url.query().is_none() && !text.ends_with('/');
        if bare { Ok(Self { scheme: scheme.to_owned(), host: host.to_ascii_lowercase() }) } else { Err(OriginError) }
    }
}

/// Why no question can be made of a request: two readers could read two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The question whether this request may pass. Whoever asks it is for the decision point to find out.
pub(crate) fn ask(parts: &Parts, origin: &Origin) -> Result<EvaluationRequest, Ambiguous> {
    let path = plain_path(parts.uri.path())?;
    let http = http(parts, origin, path)?;
    Ok(EvaluationRequest {
        subject: entity("token", "presented"),
        action: Action { name: parts.method.as_str().to_owned(), properties: Map::new() },
        resource: entity("route", &format!("{}{path}", origin.host)),
        context: Map::from_iter([("http".to_owned(), Value::Object(http))]),
    })
}

fn entity(kind: &str, id: &str) -> Entity {
    Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() }
}

fn http(parts: &Parts, origin: &Origin, path: &str) -> Result<Map<String, Value>, Ambiguous> {
    let mut http = Map::new();
    let mut put = |name: &str, value: Value| http.insert(name.to_owned(), value);
    put("method", json!(parts.method.as_str()));
    put("scheme", json!(origin.scheme));
    put("host", json!(origin.host));
    put("target", json!(parts.uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))));
    put("headers", json!(headers(&parts.headers)?));
    if let Some(ClientAddress(address)) = parts.extensions.get() {
        put("client_address", json!(address));
    }
    Ok(http)
}

fn headers(all: &HeaderMap) -> Result<Vec<(&str, String)>, Ambiguous> {
    let mut shown = Vec::new();
    for name in SHOWN {
        if let Some(value) = only(all, name)? {
            shown.push((name, value.to_owned()));
        }
    }
    // HTTP/2 may split cookies over several fields (RFC 9113 §8.2.3); everything else appears once.
    let cookies = all.get_all(COOKIE).iter().map(|value| value.to_str().map_err(|_| Ambiguous)).collect::<Result<Vec<_>, _>>()?;
    if !cookies.is_empty() {
        shown.push(("cookie", cookies.join("; ")));
    }
    Ok(shown)
}

fn only<'a>(all: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Ambiguous> {
    let mut values = all.get_all(HeaderName::from_static(name)).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Ambiguous),
        (Some(_), Some(_)) => Err(Ambiguous),
    }
}

/// A path that every server reads alike: no empty or dot segments, no parameters, and nothing encoded but octets beyond ASCII.
fn plain_path(path: &str) -> Result<&str, Ambiguous> {
    let inner = path.strip_prefix('/').ok_or(Ambiguous)?;
    let segments: Vec<&str> = inner.split('/').collect();
    let (last, folders) = segments.split_last().ok_or(Ambiguous)?;
    let dots = segments.iter().any(|segment| matches!(*segment, "." | ".."));
    let empty = folders.iter().any(|segment| segment.is_empty());
    if dots || empty || !folders.iter().chain([last]).all(|segment| is_plain(segment)) {
        return Err(Ambiguous);
    }
    Ok(path)
}

fn is_plain(segment: &str) -> bool {
    let mut pieces = segment.split('%');
    let unencoded = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte));
    let encoded = |text: &str| match text.as_bytes() {
        [high, low, ..] => {
            matches!(high, b'8'..=b'9' | b'A'..=b'F') && matches!(low, b'0'..=b'9' | b'A'..=b'F') && text.get(2..).is_some_and(unencoded)
        }
        _ => false,
    };
    pieces.next().is_some_and(unencoded) && pieces.all(encoded)
}

#[cfg(test)]
mod tests;
