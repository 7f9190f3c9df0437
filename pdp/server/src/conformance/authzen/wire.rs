//! One request, one answer: bounded in time and size, redirects are not followed.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Target;
use super::case::{Auth, Case, with_token};
use crate::conformance::Outcome;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LARGEST: usize = 4 * 1024 * 1024;
/// A token that nobody gave out.
const WRONG: &str = "nobody-gave-this-token-out";

/// The way to a decision point.
pub(super) struct Wire {
    base: String,
    bearer: Option<String>,
    transport: Transport,
    runtime: Runtime,
}

/// A machine without trusted roots can still be asked on loopback.
enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Transport {
    fn to(scheme: Option<&str>) -> Result<Self, String> {
        let builder = Client::builder(TokioExecutor::new());
        match scheme {
            Some("http") => Ok(Self::Plain(builder.build(HttpConnector::new()))),
            Some("https") => {
                let roots = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| format!("no trusted roots: {error}"))?;
                Ok(Self::Tls(builder.build(roots.https_only().enable_http1().build())))
            }
            _ => Err("the address does not begin with `http://` or `https://`".to_owned()),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let sent = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        sent.map_err(|error| format!("no answer: {error}"))
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) case: &'a Case,
    pub(super) id: Option<&'a str>,
    /// The token of a page.
    pub(super) token: Option<&'a str>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) json: Option<Value>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Wire {
    pub(super) fn to(target: Target<'_>) -> Result<Self, String> {
        let base = target.url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|_| format!("`{base}` is no address"))?;
        let transport = Transport::to(uri.scheme_str())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Self { base, bearer: target.bearer.map(ToOwned::to_owned), transport, runtime })
    }

    pub(super) fn send(&self, asked: &Asked<'_>) -> Result<Answer, Outcome> {
        let request = self.request(asked)?;
        let answered = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.exchange(request)).await });
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))).map_err(Outcome::Failed)
    }

    fn request(&self, asked: &Asked<'_>) -> Result<Request<Full<Bytes>>, Outcome> {
        let Asked { case, id, token } = *asked;
        let mut request = Request::builder().method(case.method.as_str()).uri(format!("{}{}", self.base, case.endpoint));
        // A case without a content type is about that.
        if !case.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, &case.content_type);
        }
        if let Some(token) = self.token(&case.auth)? {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let body = match token {
            None => case.body.clone(),
            Some(token) => with_token(&case.body, token).ok_or_else(|| Outcome::Failed("the request cannot be paged".to_owned()))?,
        };
        // Other servers refuse a GET with a body before they look at the method.
        let body = if case.method == "GET" { String::new() } else { body };
        request.body(Full::from(body)).map_err(|error| Outcome::Skipped(format!("the request cannot be sent: {error}")))
    }

    fn token(&self, auth: &Auth) -> Result<Option<&str>, Outcome> {
        match auth {
            Auth::Usual => Ok(self.bearer.as_deref()),
            Auth::None => Ok(None),
            Auth::Invalid => Ok(Some(WRONG)),
            Auth::Needed => match &self.bearer {
                Some(bearer) => Ok(Some(bearer)),
                None => Err(Outcome::Skipped("it needs a caller: give `--bearer`".to_owned())),
            },
            Auth::Unknown(what) => Err(Outcome::Skipped(format!("`auth` is `{what}`, which is not known here"))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.transport.send(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| format!("the answer broke off: {error}"))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let json = serde_json::from_str(&text).ok();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, text, json })
    }
}
