//! `PUT /countersign/v1/sessions`: an application that knows only a session cookie says once, with a token of the subject, whose cookie it is.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::path::canonical_host;
use countersign_pdp_engine::request::{Client, RawCheck, RawHttp};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{DenialCode, Fault};
use serde::Deserialize;

use super::enforcer;
use crate::serve::Decider;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionLink)]
struct Link {
    /// The origin of the protected host.
    origin: String,
    /// The value of its session cookie.
    #[schema(min_length = 16)]
    cookie: String,
    /// An access token of the subject.
    token: String,
}

/// A session id that can be guessed is none.
const SHORTEST_COOKIE: usize = 16;

/// Links a session.
#[utoipa::path(
    put,
    path = "/countersign/v1/sessions",
    operation_id = "link_session",
    request_body = Link,
    responses(
        (status = 204, description = "It is linked."),
        (status = 400, body = String, content_type = "text/plain; charset=utf-8", description = "The code of what is wrong."),
        (status = 401, description = "Not a known enforcement point."),
        (status = 403, body = String, content_type = "text/plain; charset=utf-8", description = "One that may not link sessions."),
        (status = 413, body = String, content_type = "text/plain; charset=utf-8", description = "The body is larger than 256 KiB."),
        (status = 503, description = "Something that this needs is not there."),
    )
)]
pub async fn link(
    State(decider): State<Arc<Decider>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(enforcer) = enforcer(&headers, peer.ip(), &decider.enforcers) else { return StatusCode::UNAUTHORIZED.into_response() };
    if !enforcer.links_sessions {
        return (StatusCode::FORBIDDEN, "this enforcement point may not link sessions").into_response();
    }
    let linked = async {
        let malformed = |why: &str| Denial::new(DenialCode::MalformedRequest, why);
        let link: Link = strict::from_slice(&body, Limits::REQUEST).map_err(|error| malformed(&error.to_string()))?;
        if link.cookie.len() < SHORTEST_COOKIE {
            return Err(malformed("session cookie is shorter than 16 characters"));
        }
        let (scheme, authority) = link.origin.split_once("://").ok_or_else(|| malformed("origin has no scheme"))?;
        let host = canonical_host(authority, scheme).map_err(|why| malformed(&why.to_string()))?;
        let http = RawHttp {
            method: "GET".to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target: "/".to_owned(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", link.token).into_bytes())],
            client: Client::Unknown,
            client_certificate: None,
        };
        let raw = RawCheck { tenant: decider.tenant.clone(), pep: enforcer.pep.clone(), http: Some(http), asked: None };
        decider.pdp.link(raw, host, &link.cookie).await
    };
    match linked.await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(denial) if denial.fault() == Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Err(denial) => (StatusCode::BAD_REQUEST, denial.code().as_str()).into_response(),
    }
}
