//! The front door with real sockets on loopback.

use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

async fn open(limits: Limits) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(std::future::pending::<()>));
    (address, stop, tokio::spawn(serve(listener, router, limits, stopped)))
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn has_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

#[tokio::test]
async fn two_readers_can_read_only_one_request() {
    let (address, _stop, _) = open(Limits::default()).await;
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, 200);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET http://b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n").await, 405);
    let many = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    has_status(&exchange(address, &format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await, 431);
}

#[tokio::test]
async fn a_thousand_half_open_connections_do_no_harm() {
    let limits = Limits { headers_within: Duration::from_millis(500), ..Limits::default() };
    let (address, _stop, _) = open(limits).await;
    let mut half_open = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Half").await.unwrap();
        half_open.push(stream);
    }
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, 200);
    for mut stream in half_open {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "a half-open connection stays open");
    }
}

#[tokio::test]
async fn more_than_fits_is_refused_at_once() {
    let limits = Limits { in_flight: 1, answer_within: Duration::from_secs(15), ..Limits::default() };
    let (address, _stop, _) = open(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut refused = String::new();
    for _ in 0..100 {
        refused = exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        if refused.starts_with("HTTP/1.1 503") {
            break;
        }
    }
    has_status(&refused, 503);
    assert!(refused.to_ascii_lowercase().contains("retry-after: 1"), "{refused}");
}

#[tokio::test]
async fn a_stopped_server_accepts_nobody_and_ends() {
    let (address, stop, served) = open(Limits::default()).await;
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
