//! HTTP/2, for gRPC: bounded streams, windows and headers, a floor under floods of resets, and connections that end by age, so that none is held for good.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use super::{Door, Hangup, Line, Peer, Stream};

/// Calls in flight on one connection.
const STREAMS: u32 = 100;
/// What a client may send of a call, and of all of a connection's, before somebody reads it.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Of a request, decompressed.
const HEADERS: u32 = 16 * 1024;
/// A client that opens calls only to reset them is sent away after as many (CVE-2023-44487), and one that makes us reset its calls as well.
const RESETS: usize = 20;
const OUR_RESETS: usize = 100;
/// A peer that answers no ping is gone.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// gRPC is `POST`, and a watch is the one `GET`; a tunnel is nothing.
pub(super) fn is_call(request: &Request) -> bool {
    match *request.method() {
        Method::POST => true,
        Method::GET => request.uri().path() == crate::adapter::watch::PATH,
        _ => false,
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(OUR_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    http
}

impl Door {
    pub(super) async fn converse_http2(self: Arc<Self>, stream: Box<dyn Stream>, peer: Peer, mut stopping: watch::Receiver<bool>) {
        let limits = self.limits;
        let spoke = Arc::new(AtomicBool::new(false));
        let speaks = Arc::clone(&spoke);
        let (leave, leaving) = watch::channel(false);
        let hangup = Hangup::default();
        let line = Line::new(leaving, hangup.clone());
        let service = tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let (door, peer) = (Arc::clone(&self), peer.clone());
            speaks.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(line.clone());
            async move { Ok::<_, Infallible>(door.answer(request.map(Body::new), peer).await) }
        });
        let own = GracefulShutdown::new();
        let mut connection = Box::pin(own.watch(builder().serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))));
        let old = async {
            tokio::time::sleep(limits.headers_within).await;
            if spoke.load(Ordering::Relaxed) {
                tokio::time::sleep(limits.connection_age).await;
            }
        };
        // A connection that breaks is the client's affair; there is nobody left to tell.
        tokio::select! {
            _ = &mut connection => return,
            () = hangup.wanted() => return,
            () = old => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        // What goes on is told first, so that it comes to its end.
        let _ = leave.send(true);
        // The client is told to go; what it has asked already is answered, within a bound.
        let _ = tokio::time::timeout(limits.drain_within, async { tokio::join!(own.shutdown(), connection) }).await;
    }
}

#[cfg(test)]
mod tests;
