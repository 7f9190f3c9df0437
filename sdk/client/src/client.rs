//! One POST to `/access/v1/evaluation`, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use countersign_sdk_types::{EvaluationRequest, PepId};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::answer::{Allow, Answer, MAX_BYTES};
use crate::error::{Error, ErrorKind};
use crate::question::Question;

const PEP_HEADER: &str = "x-countersign-pep";
const PATH: &str = "/access/v1/evaluation";

/// How long an allow without a lease is relied on by whatever outlives its request.
pub const UNLEASED: Duration = Duration::from_secs(5);

/// A client of one decision point. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    endpoint: Uri,
    pep: HeaderValue,
    deadline: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// What a client is made of.
pub struct Builder {
    url: String,
    pep: Option<(String, String)>,
    deadline: Duration,
    plain: Plain,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Loopback,
    Anywhere,
}

#[derive(Clone)]
enum Transport {
    Plain(Http<HttpConnector, Full<Bytes>>),
    Tls(Http<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Client {
    /// Begins a client of the decision point at `url`, such as `https://pdp.example`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder { url: url.into(), pep: None, deadline: Duration::from_secs(1), plain: Plain::Loopback }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// Whenever there is no clean answer in time. An error is never an allow: the caller refuses the request.
    pub async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        let answer = tokio::time::timeout(self.deadline, self.ask(question)).await;
        answer.map_err(|_| Error::new(ErrorKind::Deadline, "decision point did not answer in time"))?
    }

    /// Waits until an allow must not be relied on any longer without asking again: as long as its lease, or [`UNLEASED`].
    pub async fn ended(&self, allow: &Allow) {
        let ttl = allow.lease().map_or(UNLEASED, |lease| Duration::from_millis(lease.ttl.0));
        tokio::time::sleep(ttl).await;
    }

    async fn ask(&self, question: &Question) -> Result<Answer, Error> {
        let response = self.transport.send(self.request(question)?).await?;
        check_status(response.status())?;
        check_type(&response)?;
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|cause| Error::because(ErrorKind::Malformed, "answer is too large or broke off", cause))?;
        Answer::parse(&body.to_bytes(), question)
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, Error> {
        let unsendable = "question cannot be written";
        let body = serde_json::to_vec(&asked(question)).map_err(|cause| Error::because(ErrorKind::Configuration, unsendable, cause))?;
        Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(PEP_HEADER, self.pep.clone())
            .body(Full::from(body))
            .map_err(|cause| Error::because(ErrorKind::Configuration, unsendable, cause))
    }
}

impl Builder {
    /// The name of this enforcement point and the secret that it shares with the decision point.
    #[must_use]
    pub fn pep(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.pep = Some((id.into(), secret.into()));
        self
    }

    /// How long a question may take, from connecting to the last byte of the answer. One second unless told.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Lets the secret and the tokens cross a network unencrypted. Without it, `http:` is for loopback addresses only.
    #[must_use]
    pub const fn dangerous_plain_http(mut self) -> Self {
        self.plain = Plain::Anywhere;
        self
    }

    /// Makes the client. Connects to nothing yet.
    ///
    /// # Errors
    /// When the address, the name or the secret cannot work, or when `https:` is asked for and the machine has no trusted roots.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = endpoint(&self.url)?;
        let transport = Transport::to(&endpoint, self.plain)?;
        Ok(Client { transport, endpoint, pep: credentials(self.pep)?, deadline: self.deadline })
    }
}

impl Transport {
    fn to(endpoint: &Uri, plain: Plain) -> Result<Self, Error> {
        let executor = TokioExecutor::new();
        match endpoint.scheme_str() {
            Some("https") => {
                let roots = HttpsConnectorBuilder::new().with_native_roots();
                let roots =
                    roots.map_err(|cause| Error::because(ErrorKind::Configuration, "machine has no trusted root certificates", cause))?;
                Ok(Self::Tls(Http::builder(executor).build(roots.https_only().enable_http1().build())))
            }
            Some("http") if plain == Plain::Anywhere || is_loopback(endpoint) => {
                Ok(Self::Plain(Http::builder(executor).build(HttpConnector::new())))
            }
            _ => Err(Error::new(ErrorKind::Configuration, "decision point must be reached by https, or by http on loopback")),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let sent = match self {
            Self::Plain(http) => http.request(request).await,
            Self::Tls(http) => http.request(request).await,
        };
        sent.map_err(|cause| Error::because(ErrorKind::Unreachable, "decision point cannot be reached", cause))
    }
}

/// The question as it is sent: with what the enforcement point carries out, where it carries out anything.
fn asked(question: &Question) -> EvaluationRequest {
    let mut asked = question.asked().clone();
    if !question.supported().is_empty() {
        asked.context.insert("supported_obligations".to_owned(), serde_json::json!(question.supported()));
    }
    asked
}

fn endpoint(url: &str) -> Result<Uri, Error> {
    let invalid = "address of the decision point is not scheme, host and port";
    let base: Uri = url.parse().map_err(|cause| Error::because(ErrorKind::Configuration, invalid, cause))?;
    let mut parts = base.into_parts();
    // Credentials in an address end up in logs, and a path or query would be dropped silently.
    let bare = parts.path_and_query.as_ref().is_none_or(|path| path.as_str() == "/");
    let clean = parts.authority.as_ref().is_some_and(|authority| !authority.as_str().contains('@'));
    if !bare || !clean {
        return Err(Error::new(ErrorKind::Configuration, invalid));
    }
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(PATH));
    Uri::from_parts(parts).map_err(|cause| Error::because(ErrorKind::Configuration, invalid, cause))
}

fn is_loopback(endpoint: &Uri) -> bool {
    let host = endpoint.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn credentials(pep: Option<(String, String)>) -> Result<HeaderValue, Error> {
    let invalid = || Error::new(ErrorKind::Configuration, "name or secret of the enforcement point is missing or cannot be sent");
    let (id, secret) = pep.ok_or_else(invalid)?;
    PepId::new(id.as_str()).map_err(|_| invalid())?;
    if id.contains(':') || secret.is_empty() {
        return Err(invalid());
    }
    let mut value = HeaderValue::try_from(format!("{id}:{secret}")).map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok(value)
}

fn check_status(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::OK => Ok(()),
        status if status.is_client_error() => Err(Error::new(ErrorKind::Refused, "decision point refused the question or the caller")),
        status if status.is_server_error() => Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now")),
        _ => Err(Error::new(ErrorKind::Malformed, "decision point answered with an unexpected status")),
    }
}

fn check_type(response: &Response<Incoming>) -> Result<(), Error> {
    let given = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Error::new(ErrorKind::Malformed, "answer is not JSON")) }
}

#[cfg(test)]
mod tests;
