//! `GET /countersign/v1/watch`: what ends decisions, as server-sent events, for whoever may ask for decisions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_sdk_types::{Epoch, Millis, WatchName};

use super::authzen::caller::find;
use super::single;
use crate::config::AuthzenUse;
use crate::front_door::Line;
use crate::serve::Decider;
use crate::tls::ClientCertificate;
use crate::watch::{Full, SseBody, follow};

/// Where it is, on both listeners.
pub const PATH: &str = "/countersign/v1/watch";

const LAST_EVENT_ID: &str = "last-event-id";
/// Some proxies gather an answer before they pass it on; this asks them not to.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a watch asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    name: Option<WatchName>,
    heartbeat: Option<Millis>,
}

/// Opens a watch.
pub async fn serve(
    State(decider): State<Arc<Decider>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    certificate: Option<Extension<ClientCertificate>>,
    line: Option<Extension<Line>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let certificate = certificate.as_ref().map(|Extension(certificate)| certificate);
    let enforcer = match find(&headers, certificate, peer.ip(), &decider.enforcers) {
        Ok(enforcer) => enforcer,
        Err(unknown) => return unknown.into_response(),
    };
    if enforcer.authzen < AuthzenUse::Evaluate {
        return (StatusCode::FORBIDDEN, "this enforcement point asks no decisions here, so nothing is told to it").into_response();
    }
    let Some(Asked { name, heartbeat }) = asked(query.as_deref().unwrap_or_default()) else {
        return (StatusCode::BAD_REQUEST, "a watch is asked for with `watch`, a name, and `heartbeat_ms`, a number").into_response();
    };
    let Ok(last) = single(&headers, LAST_EVENT_ID) else {
        return (StatusCode::BAD_REQUEST, "`Last-Event-ID` is there twice or is no text").into_response();
    };
    let following = match follow(&decider.pdp.hub, name, last.map(position), heartbeat) {
        Ok(following) => following,
        Err(Full) => return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], "too many watches are open").into_response(),
    };
    let following = match line {
        Some(Extension(line)) => following.on(&line),
        None => following,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (UNBUFFERED, HeaderValue::from_static("no")),
    ];
    (headers, Body::new(SseBody(following))).into_response()
}

/// A position that cannot be read is one that no stream ever told: it is answered by a reset.
fn position(text: &str) -> Epoch {
    text.parse().unwrap_or(Epoch { life: 0, seq: u64::MAX })
}

/// The parameters, each once. Names and numbers need no escapes, so there are none.
fn asked(query: &str) -> Option<Asked> {
    let mut asked = Asked::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("watch", name) if asked.name.is_none() => asked.name = Some(WatchName::try_from(name.to_owned()).ok()?),
            ("heartbeat_ms", number) if asked.heartbeat.is_none() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                asked.heartbeat = Some(Millis(number.parse().ok()?));
            }
            _ => return None,
        }
    }
    Some(asked)
}

#[cfg(test)]
mod tests {
    //! What a watch may ask for.

    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Option<(Option<&str>, Option<u64>)>) {
        let expected = expected.map(|(name, heartbeat)| Asked {
            name: name.map(|name| WatchName::try_from(name.to_owned()).unwrap()),
            heartbeat: heartbeat.map(Millis),
        });
        assert_eq!(asked(query), expected, "{query}");
    }

    #[test]
    fn parameters_have_one_form() {
        check("", Some((None, None)));
        check("watch=pep-1", Some((Some("pep-1"), None)));
        check("heartbeat_ms=5000&watch=a", Some((Some("a"), Some(5000))));
        check("watch=a&watch=b", None);
        check("heartbeat_ms=1&heartbeat_ms=2", None);
        check("heartbeat_ms=", None);
        check("heartbeat_ms=+5", None);
        check("heartbeat_ms=99999999999999999999", None);
        check("watch=a%20b", None);
        check("watch", None);
        check("other=1", None);
    }

    #[test]
    fn what_is_no_position_is_none_of_ours() {
        assert_eq!(position("7-9"), Epoch { life: 7, seq: 9 });
        assert_eq!(position("nonsense"), Epoch { life: 0, seq: u64::MAX });
    }
}
