//! The way from an edge to its decision point: HTTP/1.1, bounded in time and size.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_pdp_engine::sealed::LONGEST;
use countersign_sdk_client::{Error, ErrorKind};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Epoch, EvaluationRequest, EvaluationResponse, PepId, WatchEvent, WatchName};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use tokio::sync::mpsc;

use super::packed::{DEFLATE, Packed, unpacked};
use super::sse::Events;
use super::tasks::STREAM;

/// What an edge asks of a decision point, and tells it.
///
/// ```
/// use countersign_sdk_client::{Error, ErrorKind};
/// use countersign_sdk_pep::edge::{Batches, Fetched, Heard, Link, Upstream};
/// use countersign_sdk_types::{Epoch, EvaluationRequest, EvaluationResponse, WatchName};
///
/// /// One decision point, and another for its snapshots.
/// struct Two(Link, Link);
///
/// impl Upstream for Two {
///     async fn evaluate(&self, asked: &EvaluationRequest) -> Result<EvaluationResponse, Error> {
///         self.0.evaluate(asked).await
///     }
///
///     async fn record(&self, batches: Batches) -> Result<(), Error> {
///         self.0.record(batches).await
///     }
///
///     async fn snapshot(&self, known: Option<&str>) -> Result<Option<Fetched>, Error> {
///         self.1.snapshot(known).await
///     }
///
///     async fn watch(&self, name: &WatchName, from: Option<Epoch>, hear: impl FnMut(Heard) + Send) -> Error {
///         self.0.watch(name, from, hear).await
///     }
/// }
/// ```
pub trait Upstream: Send + Sync + 'static {
    /// Asks one question; with an allow may come the facts that it rests on.
    fn evaluate(&self, asked: &EvaluationRequest) -> impl Future<Output = Result<EvaluationResponse, Error>> + Send;

    /// Tells batches, each as it comes, until there are no more; done when all of them are kept.
    fn record(&self, batches: Batches) -> impl Future<Output = Result<(), Error>> + Send;

    /// The snapshot, unless it is the one with this tag.
    fn snapshot(&self, known: Option<&str>) -> impl Future<Output = Result<Option<Fetched>, Error>> + Send;

    /// Hears of what ends, until the connection ends. `from` is the last event that was heard.
    fn watch(&self, name: &WatchName, from: Option<Epoch>, hear: impl FnMut(Heard) + Send) -> impl Future<Output = Error> + Send;
}

/// Batches of records on their way: the body of one request, of which each batch is a line.
///
/// ```
/// use countersign_sdk_client::Error;
/// use countersign_sdk_pep::edge::{Batches, Link, Upstream as _};
///
/// async fn tell(link: &Link, batches: Batches) -> Result<(), Error> {
///     link.record(batches).await
/// }
/// ```
#[derive(Debug)]
pub struct Batches(pub(super) mpsc::Receiver<Bytes>);

impl http_body::Body for Batches {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// A snapshot that was fetched.
///
/// ```
/// use countersign_sdk_pep::edge::Fetched;
/// use countersign_sdk_pep::embed::{EmbedError, Embedded};
///
/// fn take(point: &Embedded, fetched: &Fetched) -> Result<(), EmbedError> {
///     point.swap(&fetched.document).map(drop)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its entity tag.
    pub tag: String,
    /// The signed document.
    pub document: String,
}

/// What a watch hears.
///
/// ```
/// use std::time::Duration;
/// use countersign_sdk_pep::edge::{Heard, Watch};
///
/// fn hear(watch: &Watch, now: Duration, heard: Heard) {
///     match heard {
///         Heard::Event(at, event) => watch.told(now, at, &event),
///         Heard::Beat => watch.heard(now),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An event, at its position.
    Event(Epoch, WatchEvent),
    /// A sign of life.
    Beat,
}

type Sent = BoxBody<Bytes, io::Error>;

fn whole(body: Vec<u8>) -> Sent {
    Full::from(body).map_err(|never| match never {}).boxed()
}

const PEP_HEADER: &str = "x-countersign-pep";
const LAST_EVENT_ID: &str = "last-event-id";
/// An answer with facts.
const ANSWER: Limits = Limits { bytes: 1024 * 1024, depth: 32, values: 100_000 };

/// A decision point at an address.
///
/// ```
/// use std::time::Duration;
/// use countersign_sdk_pep::edge::Link;
///
/// assert!(Link::new("http://127.0.0.1:8181", "edge-1", "the shared secret", Duration::from_millis(300)).is_ok());
/// ```
#[derive(Clone)]
pub struct Link {
    transport: Transport,
    base: Uri,
    pep: HeaderValue,
    deadline: Duration,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("base", &self.base).finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Transport {
    Plain(Http<HttpConnector, Sent>),
    Tls(Http<HttpsConnector<HttpConnector>, Sent>),
}

impl Link {
    /// A way to the decision point at `url` for the edge `id`. `http:` is for loopback addresses only.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::Link;
    ///
    /// let plain_to_elsewhere = Link::new("http://pdp.example", "edge-1", "the shared secret", Duration::from_millis(300));
    /// assert!(plain_to_elsewhere.is_err());
    /// ```
    ///
    /// # Errors
    /// When the address, the name or the secret cannot work, or when the machine has no trusted roots.
    pub fn new(url: &str, id: &str, secret: &str, deadline: Duration) -> Result<Self, Error> {
        let wrong = |what: &'static str| Error::new(ErrorKind::Configuration, what);
        let base: Uri = url.parse().map_err(|_| wrong("address of the decision point is not scheme, host and port"))?;
        let is_bare = matches!(base.path(), "" | "/") && base.query().is_none();
        if !is_bare || base.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(wrong("address of the decision point is not scheme, host and port"));
        }
        if PepId::new(id).is_err() || id.contains(':') || secret.is_empty() {
            return Err(wrong("name or secret of the enforcement point is missing or cannot be sent"));
        }
        let named = HeaderValue::try_from(format!("{id}:{secret}"));
        let mut pep = named.map_err(|_| wrong("name or secret of the enforcement point is missing or cannot be sent"))?;
        pep.set_sensitive(true);
        Ok(Self { transport: Transport::to(&base)?, base, pep, deadline })
    }

    fn request(&self, method: Method, path: &str, body: Sent, more: &[(&str, &str)]) -> Result<Request<Sent>, Error> {
        let unsendable = || Error::new(ErrorKind::Configuration, "question cannot be written");
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| unsendable())?);
        let uri = Uri::from_parts(parts).map_err(|_| unsendable())?;
        let mut request = Request::builder().method(method).uri(uri).header(PEP_HEADER, self.pep.clone());
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.body(body).map_err(|_| unsendable())
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, Error> {
        // The question is not compressed: a token stands in it beside a path that whoever makes the request chooses.
        let more = [(CONTENT_TYPE.as_str(), "application/json"), (ACCEPT_ENCODING.as_str(), DEFLATE)];
        let (_, headers, body) = self.within(self.request(Method::POST, path, whole(body), &more)?, ANSWER.bytes, self.deadline).await?;
        let malformed = || Error::new(ErrorKind::Malformed, "answer is not of its form");
        let body = unpacked(&headers, body, ANSWER.bytes).ok_or_else(malformed)?;
        strict::from_slice(&body, ANSWER).map_err(|_| malformed())
    }

    async fn within(&self, request: Request<Sent>, most: usize, deadline: Duration) -> Result<(StatusCode, HeaderMap, Bytes), Error> {
        let answer = async {
            let response = self.transport.send(request).await?;
            let status = response.status();
            check_status(status)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, most).collect().await;
            let body = body.map_err(|_| Error::new(ErrorKind::Malformed, "answer is too large or broke off"))?;
            Ok((status, parts.headers, body.to_bytes()))
        };
        tokio::time::timeout(deadline, answer).await.map_err(|_| crate::embed::deadline())?
    }
}

impl Upstream for Link {
    async fn evaluate(&self, asked: &EvaluationRequest) -> Result<EvaluationResponse, Error> {
        self.post("/countersign/v1/edge/evaluation", written(asked)?).await
    }

    async fn record(&self, batches: Batches) -> Result<(), Error> {
        let packed = Packed::new(batches.0).boxed();
        let request = self.request(Method::POST, "/countersign/v1/edge/records", packed, &[(CONTENT_ENCODING.as_str(), DEFLATE)])?;
        self.within(request, ANSWER.bytes, STREAM + self.deadline).await.map(drop)
    }

    async fn snapshot(&self, known: Option<&str>) -> Result<Option<Fetched>, Error> {
        let known: Vec<(&str, &str)> = known.map(|tag| (IF_NONE_MATCH.as_str(), tag)).into_iter().collect();
        let request = self.request(Method::GET, "/countersign/v1/snapshot", whole(Vec::new()), &known)?;
        let (status, headers, body) = self.within(request, LONGEST, self.deadline).await?;
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let malformed = || Error::new(ErrorKind::Malformed, "answer is no snapshot");
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
        let document = String::from_utf8(body.to_vec()).map_err(|_| malformed())?;
        Ok(Some(Fetched { tag, document }))
    }

    async fn watch(&self, name: &WatchName, from: Option<Epoch>, mut hear: impl FnMut(Heard) + Send) -> Error {
        let lost = Error::new(ErrorKind::Unreachable, "watch is lost");
        let opened = async {
            let from = from.map(|from| from.to_string()).unwrap_or_default();
            let mut more = vec![(ACCEPT.as_str(), "text/event-stream")];
            if !from.is_empty() {
                more.push((LAST_EVENT_ID, &from));
            }
            let path = format!("/countersign/v1/watch?watch={}", name.as_str());
            let response = self.transport.send(self.request(Method::GET, &path, whole(Vec::new()), &more)?).await?;
            check_status(response.status())?;
            Ok(response)
        };
        let mut body = match tokio::time::timeout(self.deadline, opened).await {
            Ok(Ok(response)) => response.into_body(),
            Ok(Err(error)) => return error,
            Err(_) => return crate::embed::deadline(),
        };
        let mut events = Events::default();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if events.read(&data, &mut hear).is_err() {
                return Error::new(ErrorKind::Malformed, "watch tells what is no event");
            }
        }
        lost
    }
}

impl Transport {
    fn to(base: &Uri) -> Result<Self, Error> {
        let executor = TokioExecutor::new();
        match base.scheme_str() {
            Some("https") => {
                let roots = HttpsConnectorBuilder::new().with_native_roots();
                let roots = roots.map_err(|_| Error::new(ErrorKind::Configuration, "machine has no trusted root certificates"))?;
                Ok(Self::Tls(Http::builder(executor).build(roots.https_only().enable_http1().build())))
            }
            Some("http") if is_loopback(base) => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                Ok(Self::Plain(Http::builder(executor).build(connector)))
            }
            _ => Err(Error::new(ErrorKind::Configuration, "decision point must be reached by https, or by http on loopback")),
        }
    }

    async fn send(&self, request: Request<Sent>) -> Result<Response<Incoming>, Error> {
        let sent = match self {
            Self::Plain(http) => http.request(request).await,
            Self::Tls(http) => http.request(request).await,
        };
        sent.map_err(|_| Error::new(ErrorKind::Unreachable, "decision point cannot be reached"))
    }
}

fn is_loopback(base: &Uri) -> bool {
    let host = base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn check_status(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Ok(()),
        status if status.is_client_error() => Err(Error::new(ErrorKind::Refused, "decision point refused the question or the caller")),
        status if status.is_server_error() => Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now")),
        _ => Err(Error::new(ErrorKind::Malformed, "decision point answered with an unexpected status")),
    }
}

fn written(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|_| Error::new(ErrorKind::Configuration, "question cannot be written"))
}
