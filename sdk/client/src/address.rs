//! One address of a decision point: its connections, and whether it is asked at all.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::breaker::Breaker;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "tls")]
use crate::tls::{self, Connector};
use crate::wire::{Said, Wire};
use countersign_sdk_types::EvaluationRequest;

/// A connection that nobody used for so long is closed: sooner than most servers and balancers close theirs.
const IDLE: Duration = Duration::from_secs(20);

/// An address, with what is known of it.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) base: Uri,
    pub(crate) breaker: Breaker,
    wire: Wire,
    questions: Connections,
    watches: Connections,
}

/// Where secrets and tokens may cross a network unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    Loopback,
    Anywhere,
}

/// How it is connected to.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) wire: Wire,
    pub(crate) plain: Plain,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<tls::Settings>,
}

#[derive(Debug, Clone)]
enum Connections {
    Plain(Http<HttpConnector, Full<Bytes>>),
    #[cfg(feature = "tls")]
    Tls(Http<Connector, Full<Bytes>>),
}

impl Address {
    pub(crate) fn new(url: &str, means: &Means, breaker: Breaker) -> Result<Self, Error> {
        let base = base(url)?;
        // A watch has a connection of its own: what is asked must not wait behind it, nor end it.
        let (questions, watches) = (Connections::new(&base, means, 64)?, Connections::new(&base, means, 0)?);
        Ok(Self { base, breaker, wire: means.wire, questions, watches })
    }

    /// Scheme, host and port.
    pub(crate) fn url(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// Asks, and reads what is answered.
    pub(crate) async fn ask(&self, credentials: &HeaderMap, asked: &[EvaluationRequest]) -> Result<Said, Error> {
        let request = self.wire.request(&self.base, credentials, asked)?;
        let again = request.clone();
        let response = match self.questions.send(request).await {
            // A connection that was kept may have been closed by the other end meanwhile.
            Err(Failed::Stale(_)) => self.questions.send(again).await,
            sent => sent,
        };
        self.wire.said(response.map_err(Failed::into_error)?, asked.len()).await
    }

    /// Opens a stream that is read for as long as it lasts.
    pub(crate) async fn watch(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.watches.send(request).await.map_err(Failed::into_error)
    }
}

/// Why there is no response.
enum Failed {
    /// The connection ended before an answer began.
    Stale(Error),
    /// There was no connection, or what came back is no HTTP.
    Broken(Error),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Stale(error) | Self::Broken(error) => error,
        }
    }
}

impl Connections {
    fn new(base: &Uri, means: &Means, idle: usize) -> Result<Self, Error> {
        let mut http = Http::builder(TokioExecutor::new());
        http.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).pool_max_idle_per_host(idle);
        #[cfg(feature = "grpc")]
        if means.wire == Wire::Grpc {
            http.http2_only(true).timer(TokioTimer::new());
        }
        match base.scheme_str() {
            #[cfg(feature = "tls")]
            Some("https") => {
                let settings = means.tls.clone().unwrap_or_default();
                Ok(Self::Tls(http.build(settings.connector(means.wire, connector())?)))
            }
            Some("http") if means.plain == Plain::Anywhere || is_loopback(base) => Ok(Self::Plain(http.build(connector()))),
            _ => Err(Error::new(ErrorKind::Configuration, "decision point must be reached by https, or by http on loopback")),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        let sent = match self {
            Self::Plain(http) => http.request(request).await,
            #[cfg(feature = "tls")]
            Self::Tls(http) => http.request(request).await,
        };
        sent.map_err(|cause| {
            let of_hyper = std::error::Error::source(&cause).and_then(|source| source.downcast_ref::<hyper::Error>());
            let is_stale = !cause.is_connect() && of_hyper.is_some_and(|error| !error.is_parse());
            let error = Error::because(ErrorKind::Unreachable, "decision point cannot be reached", cause);
            if is_stale { Failed::Stale(error) } else { Failed::Broken(error) }
        })
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

/// Scheme and authority. Credentials in an address end up in logs, and a path or query would be dropped silently.
fn base(url: &str) -> Result<Uri, Error> {
    let invalid = "address of the decision point is not scheme, host and port";
    let base: Uri = url.parse().map_err(|cause| Error::because(ErrorKind::Configuration, invalid, cause))?;
    let is_bare = base.query().is_none() && matches!(base.path(), "" | "/");
    let is_clean = base.scheme().is_some() && base.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if is_bare && is_clean { Ok(base) } else { Err(Error::new(ErrorKind::Configuration, invalid)) }
}

fn is_loopback(base: &Uri) -> bool {
    let host = base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
