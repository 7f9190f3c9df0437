//! HTTP/2 with real sockets on loopback: what it speaks, what it bears, and that it ends.

use std::net::SocketAddr;

use axum::body::Body;
use axum::routing::post;
use axum::{Extension, Router};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::{Limits, Listener, Protocol, serve};
use super::*;
use crate::tls::Tls;
use crate::tls::tests::{Authority, localhost};

async fn open(limits: Limits, tls: Option<Arc<Tls>>) -> (SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", post(|| async { "hello" })).route("/slow", post(std::future::pending::<()>));
    let router = router.route("/leaving", post(leaving)).route("/hangup", post(hangup));
    let listener = Listener::tcp(listener, tls).speaking(Protocol::Http2);
    (address, stop, tokio::spawn(serve(listener, router, limits, stopped)))
}

/// Answers when its connection is about to end.
async fn leaving(Extension(line): Extension<Line>) -> &'static str {
    line.leaving().await;
    "goodbye"
}

async fn hangup(Extension(line): Extension<Line>) {
    line.hangup().now();
    std::future::pending::<()>().await;
}

struct Client {
    send: SendRequest<Body>,
    connection: JoinHandle<Result<(), hyper::Error>>,
}

async fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    Client { send, connection: tokio::spawn(connection) }
}

impl Client {
    async fn call(&mut self, method: &str, path: &str) -> Result<u16, hyper::Error> {
        let request = Request::builder().method(method).uri(format!("http://a{path}")).body(Body::empty()).unwrap();
        self.send.ready().await?;
        Ok(self.send.send_request(request).await?.status().as_u16())
    }
}

/// Everything that comes until the peer closes.
async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    answer
}

#[tokio::test]
async fn calls_are_posts_over_http2_and_nothing_else() {
    let (address, _stop, _) = open(Limits::default(), None).await;
    let mut client = connect(address).await;
    assert_eq!(client.call("POST", "/").await.unwrap(), 200);
    assert_eq!(client.call("GET", "/").await.unwrap(), 405);
    assert_eq!(client.call("DELETE", "/").await.unwrap(), 405);
    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let answer = read_all(&mut other).await;
    assert!(!answer.starts_with(b"HTTP/1"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_peer_that_never_asks_is_sent_away() {
    let (address, _stop, _) = open(Limits { headers_within: Duration::from_millis(200), ..Limits::default() }, None).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut greeted = TcpStream::connect(address).await.unwrap();
    greeted.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    read_all(&mut silent).await;
    read_all(&mut greeted).await;
}

#[tokio::test]
async fn an_old_connection_ends_and_another_one_serves() {
    let young = Duration::from_millis(100);
    let (address, _stop, _) = open(Limits { headers_within: young, connection_age: young, ..Limits::default() }, None).await;
    let mut client = connect(address).await;
    assert_eq!(client.call("POST", "/").await.unwrap(), 200);
    tokio::time::timeout(Duration::from_secs(20), client.connection).await.expect("it ends").unwrap().unwrap();
    assert_eq!(connect(address).await.call("POST", "/").await.unwrap(), 200);
}

#[tokio::test]
async fn what_goes_on_hears_that_its_connection_ends() {
    let young = Duration::from_millis(100);
    let (address, _stop, _) = open(Limits { headers_within: young, connection_age: young, ..Limits::default() }, None).await;
    assert_eq!(connect(address).await.call("POST", "/leaving").await.unwrap(), 200, "by age");
    let (address, stop, served) = open(Limits::default(), None).await;
    let mut client = connect(address).await;
    assert_eq!(client.call("POST", "/").await.unwrap(), 200);
    let call = tokio::spawn(async move { client.call("POST", "/leaving").await });
    stop.send(true).unwrap();
    // A call that came too late is not answered, and none is left hanging.
    let called = tokio::time::timeout(Duration::from_secs(20), call).await.expect("it ends").unwrap();
    assert!(called.is_err() || called.is_ok_and(|status| status == 200));
    tokio::time::timeout(Duration::from_secs(20), served).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_goes_on_can_end_its_connection() {
    let (address, _stop, _) = open(Limits::default(), None).await;
    let mut client = connect(address).await;
    assert!(tokio::time::timeout(Duration::from_secs(20), client.call("POST", "/hangup")).await.expect("it ends").is_err());
}

#[tokio::test]
async fn an_open_call_does_not_hold_up_the_end() {
    let (address, stop, served) = open(Limits { drain_within: Duration::from_millis(300), ..Limits::default() }, None).await;
    let mut client = connect(address).await;
    assert_eq!(client.call("POST", "/").await.unwrap(), 200);
    let slow = tokio::spawn(async move { client.call("POST", "/slow").await });
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), served).await.expect("it ends").unwrap();
    drop(slow);
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let (address, _stop, _) = open(Limits::default(), None).await;
    let mut flood = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    for call in 0..500 {
        let stream = 2 * call + 1;
        // POST, http, `/`, and an authority of `a`: calls that are taken back at once.
        flood.extend(frame(1, 4, stream, b"\x83\x86\x84\x01\x01a"));
        flood.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&flood).await.unwrap();
    let answer = read_all(&mut client).await;
    let enhance_your_calm = [0, 0, 0, 11];
    assert!(answer.windows(4).any(|code| code == enhance_your_calm), "{answer:?}");
    assert_eq!(connect(address).await.call("POST", "/").await.unwrap(), 200, "others are served");
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let (address, _stop, _) = open(Limits::default(), None).await;
    let mut client = connect(address).await;
    let request = Request::post("http://a/").header("x-large", "x".repeat(64 * 1024)).body(Body::empty()).unwrap();
    let answered = client.send.send_request(request).await;
    assert!(answered.is_err() || answered.is_ok_and(|answer| answer.status() == 431));
}

#[tokio::test]
async fn over_tls_it_is_what_alpn_offers() {
    let authority = Authority::new();
    let (address, _stop, _) = open(Limits::default(), Some(Arc::new(authority.tls(None)))).await;
    for (offered, is_taken) in [("h2", true), ("http/1.1", false)] {
        let stream = TcpStream::connect(address).await.unwrap();
        let shaken = authority.client_offering(offered).connect(localhost(), stream).await;
        assert_eq!(shaken.is_ok_and(|stream| stream.get_ref().1.alpn_protocol() == Some(offered.as_bytes())), is_taken, "{offered}");
    }
}
