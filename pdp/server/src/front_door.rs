//! The accept loop: HTTP/1.1 over TCP, TLS or a Unix socket, or HTTP/2 where gRPC is spoken, with limits on time, headers and connections, so that slow and
//! half-open clients cost little and end soon.
//!
//! `axum::serve` sets no timer, and without one hyper's own timeout does nothing: half-sent requests would stay open for good.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt as _;

use crate::metrics::ListenerMetrics;
use crate::tls::{ClientCertificate, Tls};

mod http2;
mod line;

pub use line::{Hangup, Line};

/// What a listener speaks: one protocol, never what the client likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge, or by ALPN where there is TLS.
    Http2,
}

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a TLS handshake is done.
    pub handshake_within: Duration,
    /// Until a request's headers are there, and between two requests of a connection. Of an HTTP/2 connection, its first request.
    pub headers_within: Duration,
    /// How old an HTTP/2 connection may become; its client opens another one.
    pub connection_age: Duration,
    /// Until a request is answered, its body included.
    pub answer_within: Duration,
    /// Open connections.
    pub connections: usize,
    /// Requests in the handlers at once; more are answered 503 at once.
    pub in_flight: usize,
    /// Until open requests must be done when the server ends.
    pub drain_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_within: Duration::from_secs(5),
            headers_within: Duration::from_secs(5),
            connection_age: Duration::from_secs(600),
            answer_within: Duration::from_secs(10),
            connections: 4096,
            in_flight: 256,
            drain_within: Duration::from_secs(10),
        }
    }
}

/// How long a peer may leave unanswered what was sent to it, in milliseconds.
const UNANSWERED_MS: u32 = 30_000;
const MOST_HEADERS: usize = 100;
const BUFFER: usize = 32 * 1024;
const LONGEST_URI: usize = 8 * 1024;

/// Where connections come from, and how they are counted.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    protocol: Protocol,
    metrics: ListenerMetrics,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, Option<Arc<Tls>>),
    Unix(UnixListener),
}

impl Listener {
    /// Plain HTTP, or HTTPS when there is a certificate.
    #[must_use]
    pub fn tcp(listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { socket: Socket::Tcp(listener, tls), protocol: Protocol::Http1, metrics: ListenerMetrics::default() }
    }

    /// A socket in the file system: requests bring a [`UnixPeer`] and no address.
    #[must_use]
    pub fn unix(listener: UnixListener) -> Self {
        Self { socket: Socket::Unix(listener), protocol: Protocol::Http1, metrics: ListenerMetrics::default() }
    }

    /// Speaking this protocol.
    #[must_use]
    pub fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Counted by these meters.
    #[must_use]
    pub fn counted(self, metrics: ListenerMetrics) -> Self {
        Self { metrics, ..self }
    }

    async fn accept(&self) -> std::io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                // A peer that vanished answers nothing; what is sent to it is given up, and with it the connection.
                let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNANSWERED_MS);
                Ok(Accepted::Tcp(stream, peer, tls.clone()))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred()?;
                Ok(Accepted::Unix(stream, UnixPeer { uid: credentials.uid(), pid: credentials.pid() }))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::tcp(listener, None)
    }
}

/// The process at the other end of a Unix socket, as the kernel knows it. An extension of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its user.
    pub uid: u32,
    /// Its id, where the system tells it.
    pub pid: Option<i32>,
}

enum Accepted {
    Tcp(TcpStream, SocketAddr, Option<Arc<Tls>>),
    Unix(UnixStream, UnixPeer),
}

/// Who is at the other end.
#[derive(Clone)]
enum Peer {
    Network(SocketAddr, Option<ClientCertificate>),
    Local(UnixPeer),
}

impl Peer {
    fn mark(self, request: &mut Request) {
        let extensions = request.extensions_mut();
        match self {
            Self::Network(address, certificate) => {
                extensions.insert(ConnectInfo(address));
                certificate.map(|certificate| extensions.insert(certificate));
            }
            Self::Local(peer) => {
                extensions.insert(peer);
            }
        }
    }
}

/// What the connections of a listener share.
struct Door {
    router: Router,
    protocol: Protocol,
    limits: Limits,
    in_flight: Semaphore,
    metrics: ListenerMetrics,
}

/// Serves a router until told to stop, then lets open requests end.
pub async fn serve(listener: impl Into<Listener>, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let listener = listener.into();
    let connections = Arc::new(Semaphore::new(limits.connections));
    let door = Arc::new(Door::new(router, limits, &listener));
    let graceful = GracefulShutdown::new();
    let stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((accepted, place)) = accepted else { continue };
        let (door, watcher, mut stopping) = (Arc::clone(&door), graceful.watcher(), stopping.clone());
        tokio::spawn(async move {
            let _open = door.metrics.connection();
            match door.greet(accepted, &mut stopping).await {
                Some((stream, peer)) => door.converse(stream, peer, watcher, stopping).await,
                None => drop(watcher),
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_within, graceful.shutdown()).await;
}

/// The next connection, when there is a place for it. Out of file descriptors, it waits a moment instead of spinning.
async fn accept(listener: &Listener, connections: &Arc<Semaphore>) -> Option<(Accepted, OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(accepted) => Some((accepted, place)),
        Err(error) => {
            tracing::warn!(%error, "connection was not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A connection that HTTP can be spoken on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Door {
    fn new(router: Router, limits: Limits, listener: &Listener) -> Self {
        let (protocol, metrics) = (listener.protocol, listener.metrics.clone());
        Self { router, protocol, in_flight: Semaphore::new(limits.in_flight), limits, metrics }
    }

    /// Shakes hands where that is due. A peer that fails, is late, or comes as the server ends, is closed.
    async fn greet(&self, accepted: Accepted, stopping: &mut watch::Receiver<bool>) -> Option<(Box<dyn Stream>, Peer)> {
        match accepted {
            Accepted::Tcp(stream, address, None) => Some((Box::new(stream), Peer::Network(address, None))),
            Accepted::Unix(stream, peer) => Some((Box::new(stream), Peer::Local(peer))),
            Accepted::Tcp(stream, address, Some(tls)) => {
                let shaken = tokio::select! {
                    shaken = tls.accept(stream, self.protocol, self.limits.handshake_within) => shaken,
                    _ = stopping.wait_for(|stop| *stop) => return None,
                };
                let shaken = shaken.inspect_err(|error| tracing::debug!(%error, "no TLS connection"));
                let (stream, certificate) = shaken.ok()?;
                Some((Box::new(stream), Peer::Network(address, certificate)))
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: Box<dyn Stream>, peer: Peer, watcher: Watcher, stopping: watch::Receiver<bool>) {
        match self.protocol {
            Protocol::Http1 => self.converse_http1(stream, peer, watcher, stopping).await,
            Protocol::Http2 => {
                self.converse_http2(stream, peer, stopping).await;
                drop(watcher);
            }
        }
    }

    async fn converse_http1(self: Arc<Self>, stream: Box<dyn Stream>, peer: Peer, watcher: Watcher, stopping: watch::Receiver<bool>) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.limits.headers_within).max_headers(MOST_HEADERS).max_buf_size(BUFFER);
        let hangup = Hangup::default();
        let line = Line::new(stopping, hangup.clone());
        let service = tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let (door, peer) = (Arc::clone(&self), peer.clone());
            request.extensions_mut().insert(line.clone());
            async move { Ok::<_, Infallible>(door.answer(request.map(Body::new), peer).await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        // A connection that breaks is the client's affair; there is nobody left to tell.
        tokio::select! {
            _ = watcher.watch(connection) => {}
            () = hangup.wanted() => {}
        }
    }

    async fn answer(&self, request: Request, peer: Peer) -> Response {
        let id = request_id(&request);
        let mut response = self.answer_unnamed(request, peer).await;
        if let Some(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    async fn answer_unnamed(&self, mut request: Request, peer: Peer) -> Response {
        match self.protocol {
            Protocol::Http2 if !http2::is_call(&request) => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
            Protocol::Http2 => {}
            Protocol::Http1 => {
                if let Err(status) = strict(&request) {
                    return (status, [(header::CONNECTION, "close")]).into_response();
                }
            }
        }
        let Ok(_place) = self.in_flight.try_acquire() else {
            self.metrics.shed();
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "overloaded").into_response();
        };
        let _present = self.metrics.request();
        peer.mark(&mut request);
        let answered = tokio::time::timeout(self.limits.answer_within, self.router.clone().oneshot(request)).await;
        let answered = answered.unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()));
        answered.unwrap_or_else(|never| match never {})
    }
}

/// The header by which a caller finds the answer to its request again (AuthZEN §10.1.4).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name of a request that is repeated.
const LONGEST_ID: usize = 256;

/// The one name of the request, as far as it can be repeated without harm: visible ASCII.
fn request_id(request: &Request) -> Option<HeaderValue> {
    let mut ids = request.headers().get_all(REQUEST_ID).iter();
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let is_harmless = (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    is_harmless.then(|| id.clone())
}

/// What hyper lets through and two readers could read differently: no host or two, another authority in the target, a fragment, an upgrade. Only that to a
/// WebSocket is overlooked: Caddy passes a client's handshake on when it asks about it, and nothing here ever answers 101.
fn strict(request: &Request) -> Result<(), StatusCode> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let one_host = hosts.next().is_some() && hosts.next().is_none();
    let uri = request.uri();
    if !one_host || uri.authority().is_some() || uri.to_string().contains('#') {
        return Err(StatusCode::BAD_REQUEST);
    }
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > LONGEST_URI) {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let upgrades = request.headers().get_all(header::UPGRADE).iter().any(|to| !to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if request.method() == hyper::Method::CONNECT || upgrades {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
