//! The accept loop: HTTP/1.1 on hyper with limits on time, headers and connections, so that slow and half-open clients cost little and end soon.
//!
//! `axum::serve` sets no timer, and without one hyper's own timeout does nothing: half-sent requests would stay open for good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a request's headers are there, and between two requests of a connection.
    pub headers_within: Duration,
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
            headers_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(10),
            connections: 4096,
            in_flight: 256,
            drain_within: Duration::from_secs(10),
        }
    }
}

const MOST_HEADERS: usize = 100;
const BUFFER: usize = 32 * 1024;
const LONGEST_URI: usize = 8 * 1024;

/// Serves a router until told to stop, then lets open requests end.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let in_flight = Arc::new(Semaphore::new(limits.in_flight));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers_within).max_headers(MOST_HEADERS).max_buf_size(BUFFER);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let router = router.clone();
        let in_flight = Arc::clone(&in_flight);
        let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
            answer(request.map(Body::new), router.clone(), Arc::clone(&in_flight), peer, limits.answer_within)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        tokio::spawn(async move {
            // A connection that breaks is the client's affair; there is nobody left to tell.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_within, graceful.shutdown()).await;
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, when there is a place for it. Out of file descriptors, it waits a moment instead of spinning.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "connection was not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn answer(
    mut request: Request,
    router: Router,
    in_flight: Arc<Semaphore>,
    peer: SocketAddr,
    within: Duration,
) -> Result<Response, std::convert::Infallible> {
    if let Err(status) = strict(&request) {
        return Ok((status, [(header::CONNECTION, "close")]).into_response());
    }
    let Ok(_place) = in_flight.try_acquire() else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "overloaded").into_response());
    };
    request.extensions_mut().insert(ConnectInfo(peer));
    let answered = tokio::time::timeout(within, router.oneshot(request)).await;
    answered.unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()))
}

/// What hyper lets through and two readers could read differently: no host or two, another authority in the target, a fragment, an upgrade.
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
    if request.method() == hyper::Method::CONNECT || request.headers().contains_key(header::UPGRADE) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
