//! The front door with real sockets on loopback.

use std::time::Duration;

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::metrics::{ListenerName, Metrics};
use crate::tls::tests::{Authority, localhost};

async fn open(limits: Limits) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    open_with(limits, None, ListenerMetrics::default()).await
}

async fn open_with(
    limits: Limits,
    tls: Option<Arc<Tls>>,
    metrics: ListenerMetrics,
) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let listener = Listener::tcp(listener, tls).counted(metrics);
    (address, stop, tokio::spawn(serve(listener, router(), limits, stopped)))
}

/// `/peer` says who the server takes the caller for.
fn router() -> Router {
    let peer = |request: Request| async move {
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let (unix, certificate) = (request.extensions().get::<UnixPeer>(), request.extensions().get::<ClientCertificate>());
        format!("{address:?} {unix:?} {certificate:?}")
    };
    let hangup = |Extension(line): Extension<Line>| async move {
        line.hangup().now();
        std::future::pending::<()>().await;
    };
    let leaving = |Extension(line): Extension<Line>| async move {
        line.leaving().await;
        "goodbye"
    };
    let router = Router::new().route("/hangup", get(hangup)).route("/leaving", get(leaving));
    router.route("/", get(|| async { "hello" })).route("/slow", get(std::future::pending::<()>)).route("/peer", get(peer))
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
async fn what_goes_on_can_end_its_connection_and_hears_that_it_ends() {
    let (address, stop, _) = open(Limits::default()).await;
    assert_eq!(exchange(address, "GET /hangup HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /leaving HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 16];
    let _ = stream.read_exact(&mut first).await.unwrap();
    stop.send(true).unwrap();
    let mut rest = Vec::new();
    // Where the second request was not taken any more, the connection ends all the same.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("it ends");
}

#[tokio::test]
async fn two_readers_can_read_only_one_request() {
    let (address, _stop, _) = open(Limits::default()).await;
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, 200);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET http://b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, 400);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n").await, 405);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket, h2c\r\nConnection: close\r\n\r\n").await, 405);
    has_status(&exchange(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n").await, 200);
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

const HELLO: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const PEER: &str = "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn exchange_tls(address: SocketAddr, client: TlsConnector, request: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = client.connect(localhost(), stream).await?;
    stream.write_all(request.as_bytes()).await?;
    Ok(read_all(&mut stream).await)
}

#[tokio::test]
async fn https_is_spoken_on_a_tls_port_and_nothing_else() {
    let authority = Authority::new();
    let tls = Some(Arc::new(authority.tls(None)));
    let (address, _stop, _) = open_with(Limits::default(), tls, ListenerMetrics::default()).await;
    has_status(&exchange_tls(address, authority.client(None), HELLO).await.unwrap(), 200);
    let peer = exchange_tls(address, authority.client(None), PEER).await.unwrap();
    assert!(peer.ends_with("Some(127.0.0.1) None None"), "{peer}");
    let plain = exchange(address, HELLO).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_do_no_harm() {
    let authority = Authority::new();
    let limits = Limits { handshake_within: Duration::from_millis(500), ..Limits::default() };
    let (address, _stop, _) = open_with(limits, Some(Arc::new(authority.tls(None))), ListenerMetrics::default()).await;
    let mut half_open = Vec::new();
    for at in 0..1000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Half say nothing, half send the start of a client hello.
        if at % 2 == 0 {
            stream.write_all(&[22, 3, 1, 1, 0, 1]).await.unwrap();
        }
        half_open.push(stream);
    }
    has_status(&exchange_tls(address, authority.client(None), HELLO).await.unwrap(), 200);
    for mut stream in half_open {
        assert!(!read_all(&mut stream).await.contains("HTTP"));
    }
}

#[tokio::test]
async fn a_handshake_holds_its_place_until_it_is_late() {
    let authority = Authority::new();
    let limits = Limits { handshake_within: Duration::from_millis(200), connections: 1, ..Limits::default() };
    let (address, _stop, _) = open_with(limits, Some(Arc::new(authority.tls(None))), ListenerMetrics::default()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    // There is one place: this connection is accepted only when the silent one was closed.
    has_status(&exchange_tls(address, authority.client(None), HELLO).await.unwrap(), 200);
    assert_eq!(read_all(&mut silent).await, "");
}

#[tokio::test]
async fn an_open_handshake_does_not_hold_up_the_end() {
    let authority = Authority::new();
    let limits = Limits { handshake_within: Duration::from_secs(60), drain_within: Duration::from_secs(60), ..Limits::default() };
    let metrics = Metrics::new();
    let (address, stop, served) = open_with(limits, Some(Arc::new(authority.tls(None))), metrics.listener(ListenerName::Decision)).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    has_status(&exchange_tls(address, authority.client(None), HELLO).await.unwrap(), 200);
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_required_verified_and_named() {
    let authority = Authority::new();
    let ours = authority.issue("client", "client.pem", "client-key.pem");
    let tls = Some(Arc::new(authority.tls(Some(&authority.path("ca.pem")))));
    let (address, _stop, _) = open_with(Limits::default(), tls, ListenerMetrics::default()).await;
    let known = exchange_tls(address, authority.client(Some(("client.pem", "client-key.pem"))), PEER).await.unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &ours);
    let name = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    assert!(known.contains(&format!("ClientCertificate(\"{name}\"")), "{known}");
    // TLS 1.3 tells the client only after its handshake: what must not come is an answer.
    let nobody = exchange_tls(address, authority.client(None), HELLO).await.unwrap_or_default();
    assert!(!nobody.contains("HTTP/1.1"), "{nobody}");
    let stranger = Authority::new();
    std::fs::copy(stranger.path("client.pem"), authority.path("strange.pem")).unwrap();
    std::fs::copy(stranger.path("client-key.pem"), authority.path("strange-key.pem")).unwrap();
    let strange = exchange_tls(address, authority.client(Some(("strange.pem", "strange-key.pem"))), HELLO).await.unwrap_or_default();
    assert!(!strange.contains("HTTP/1.1"), "{strange}");
}

#[tokio::test]
async fn a_unix_socket_brings_the_peer_and_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (_stop, stopped) = watch::channel(false);
    let listener = Listener::unix(UnixListener::bind(&path).unwrap());
    tokio::spawn(serve(listener, router(), Limits::default(), stopped));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(PEER.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap());
    assert!(answer.ends_with(&format!("None Some(UnixPeer {{ uid: {uid}, pid: Some({}) }}) None", std::process::id())), "{answer}");
}

#[tokio::test]
async fn what_is_open_and_what_is_refused_is_counted() {
    let metrics = Metrics::new();
    let limits = Limits { in_flight: 0, ..Limits::default() };
    let (address, _stop, _) = open_with(limits, None, metrics.listener(ListenerName::Decision)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 503");
    let text = metrics.render().unwrap();
    assert!(text.contains("countersign_requests_shed_total{listener=\"decision\"} 1"), "{text}");
    assert!(text.contains("countersign_connections{listener=\"decision\"} 1"), "{text}");
    assert!(text.contains("countersign_requests_in_flight{listener=\"decision\"} 0"), "{text}");
}

#[tokio::test]
async fn the_name_of_a_request_comes_back_on_every_answer_unless_it_could_harm() {
    let (address, _stop, _) = open(Limits { in_flight: 0, ..Limits::default() }).await;
    let named = |id: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\nConnection: close\r\n\r\n");
    let shed = exchange(address, &named("r-1")).await;
    has_status(&shed, 503);
    assert!(shed.contains("x-request-id: r-1\r\n"), "{shed}");
    let refused = exchange(address, &named("r-1\r\nHost: b")).await;
    has_status(&refused, 400);
    assert!(refused.contains("x-request-id: r-1\r\n"), "{refused}");
    for harmful in ["a b", "\u{e9}", &"x".repeat(257), "a\r\nX-Request-ID: b"] {
        let answer = exchange(address, &named(harmful)).await;
        assert!(!answer.contains("x-request-id"), "{harmful}: {answer}");
    }
}
