//! Streams and sockets on a real server with real clients: they go on as long as the decision holds, and not longer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite;

use crate::fake::Fake;
use crate::{EnforceLayer, Permitted};

/// Longer than anything here takes: what waits for it failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that gives what is sent to it, one piece at a time.
fn fed(mut pieces: mpsc::Receiver<&'static str>) -> Body {
    Body::from_stream(futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx).map(|piece| piece.map(Ok::<_, Infallible>))))
}

/// The application: a stream that the test feeds, sockets with and without their guard, a long page.
struct Application {
    point: Fake,
    port: u16,
    feed: mpsc::Sender<&'static str>,
    over: watch::Receiver<bool>,
}

impl Application {
    async fn start() -> Self {
        Self::with(|layer| layer).await
    }

    async fn with(change: impl FnOnce(EnforceLayer<Fake>) -> EnforceLayer<Fake>) -> Self {
        Self::serving(change, |listener, app| async move { axum::serve(listener, app).await.unwrap() }).await
    }

    async fn serving<S: Future<Output = ()> + Send + 'static>(
        change: impl FnOnce(EnforceLayer<Fake>) -> EnforceLayer<Fake>,
        serve: impl FnOnce(TcpListener, Router) -> S,
    ) -> Self {
        let (feed, pieces) = mpsc::channel(8);
        let (told, over) = watch::channel(false);
        let pieces = Arc::new(Mutex::new(Some(pieces)));
        let point = Fake::allowing();
        let layer = change(EnforceLayer::new(point.clone(), "http://app.localhost".parse().unwrap()));
        let stream = move || async move { fed(pieces.lock().unwrap().take().unwrap()) };
        let app = Router::new()
            .route("/stream", get(stream))
            .route("/zeros", get(|| async { Body::from_stream(futures_util::stream::repeat_with(zeros)) }))
            .route("/page", get(|| async { "a page" }))
            .route("/socket", get(socket))
            .route("/careless", get(careless))
            .route("/forgetful", get(forgetful))
            .route("/selecting", get(move |permitted, upgrade| selecting(permitted, upgrade, told.clone())))
            .layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener, app));
        Self { point, port, feed, over }
    }

    async fn get(&self, path: &str) -> http::Response<Incoming> {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(format!("http://127.0.0.1:{}{path}", self.port)).body(Empty::new()).unwrap();
        client.request(request).await.unwrap()
    }

    async fn connect(&self, path: &str) -> Result<Socket, u16> {
        match tokio_tungstenite::client_async(format!("ws://127.0.0.1{path}"), self.tcp().await).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    fn deny(&self) {
        self.point.say(Some(json!({"decision": false, "context": {"reason": "revoked"}})));
    }

    /// Waits until this many questions were asked.
    async fn asked(&self, count: usize) {
        let asked = async {
            while self.point.asked() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
    }
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

fn zeros() -> Result<Bytes, Infallible> {
    Ok(Bytes::from_static(&[0; 4096]))
}

/// Says back what it hears.
async fn socket(permitted: Permitted, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| async move {
        let mut socket = permitted.guard(socket);
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
        let goodbye = Message::Close(None);
        let _ = socket.into_inner().send(goodbye).await;
    })
}

/// Forgets that decisions end.
async fn careless(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
}

/// Looks at the guard, and forgets it.
async fn forgetful(permitted: Permitted, upgrade: WebSocketUpgrade) -> Response {
    assert_eq!(permitted.action().name, "GET");
    drop(permitted);
    careless(upgrade).await
}

async fn selecting(permitted: Permitted, upgrade: WebSocketUpgrade, told: watch::Sender<bool>) -> Response {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        tokio::select! {
            _ = permitted.ended() => drop(told.send(true)),
            _ = socket.recv() => {}
        }
    })
}

/// The next piece of a body; `None` at its proper end, an error where it broke off.
async fn piece(body: &mut Incoming) -> Option<Result<String, String>> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap()?;
    let text = frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap());
    Some(text.map_err(|error| error.to_string()))
}

#[tokio::test]
async fn a_stream_ends_with_its_decision_and_the_client_sees_that_it_broke() {
    let app = Application::start().await;
    let mut body = app.get("/stream").await.into_body();
    app.feed.send("one").await.unwrap();
    assert_eq!(piece(&mut body).await, Some(Ok("one".to_owned())));
    app.deny();
    app.point.end();
    let broken = piece(&mut body).await;
    assert!(matches!(broken, Some(Err(_))), "{broken:?}");
    assert_eq!(app.point.asked(), 2, "the same question is asked once more");
    assert_eq!(app.point.last(), app.point.last().afresh(), "and nothing that is kept answers it");
    // What made the stream is told.
    tokio::time::timeout(PATIENCE, app.feed.closed()).await.unwrap();
}

#[tokio::test]
async fn a_stream_goes_on_when_the_question_is_allowed_again() {
    let app = Application::start().await;
    let mut body = app.get("/stream").await.into_body();
    for (round, text) in ["one", "two", "three"].into_iter().enumerate() {
        app.feed.send(text).await.unwrap();
        assert_eq!(piece(&mut body).await, Some(Ok(text.to_owned())));
        app.point.end();
        app.asked(round + 2).await;
    }
    drop(app.feed);
    assert_eq!(piece(&mut body).await, None, "its own end is a proper one");
}

#[tokio::test]
async fn a_stream_is_cut_when_nobody_can_say_whether_it_may_go_on() {
    let app = Application::start().await;
    let mut body = app.get("/stream").await.into_body();
    app.feed.send("one").await.unwrap();
    assert_eq!(piece(&mut body).await, Some(Ok("one".to_owned())));
    app.point.say(None);
    app.point.end();
    assert!(matches!(piece(&mut body).await, Some(Err(_))));
}

#[tokio::test]
async fn nothing_passes_while_the_question_is_open() {
    let app = Application::start().await;
    let mut body = app.get("/stream").await.into_body();
    app.feed.send("before").await.unwrap();
    assert_eq!(piece(&mut body).await, Some(Ok("before".to_owned())));
    app.deny();
    app.point.end();
    // It is there before the answer is, and is never seen.
    app.feed.try_send("after").unwrap();
    assert!(matches!(piece(&mut body).await, Some(Err(_))));
}

#[tokio::test]
async fn a_download_that_is_always_ready_is_cut_too() {
    let app = Application::start().await;
    let mut body = app.get("/zeros").await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    app.deny();
    app.point.end();
    let cut = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::time::timeout(PATIENCE, cut).await.unwrap();
}

/// One connection of HTTP/2.
async fn multiplexed(listener: TcpListener, app: Router) {
    let (stream, _) = listener.accept().await.unwrap();
    let service = TowerToHyperService::new(app);
    // The client goes when the test is over.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn over_http_2_only_the_stream_is_cut() {
    let app = Application::serving(|layer| layer, multiplexed).await;
    let io = TokioIo::new(app.tcp().await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| Request::get(format!("http://app.localhost{path}")).body(Empty::<Bytes>::new()).unwrap();
    let mut body = client.send_request(request("/stream")).await.unwrap().into_body();
    app.feed.send("one").await.unwrap();
    assert_eq!(piece(&mut body).await, Some(Ok("one".to_owned())));
    app.deny();
    app.point.end();
    assert!(matches!(piece(&mut body).await, Some(Err(_))));
    let refused = client.send_request(request("/page")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "the connection lives, and the next request is refused on it");
}

#[tokio::test]
async fn an_answer_that_is_over_before_its_decision_is_whole() {
    let app = Application::start().await;
    let response = app.get("/page").await;
    assert_eq!(response.headers().get("content-length").map(http::HeaderValue::as_bytes), Some(&b"6"[..]));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a page");
    assert_eq!(app.point.asked(), 1);
}

#[tokio::test]
async fn an_obligation_of_the_second_answer_is_carried_out_or_the_stream_ends() {
    let obliged = |kind: &str| Some(json!({"decision": true, "context": {"obligations": [{"id": "1", "type": kind}]}}));
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let notify = move |_| {
        *counted.lock().unwrap() += 1;
        std::future::ready(Ok::<(), Infallible>(()))
    };
    let app = Application::with(|layer| layer.obligation("notification", notify)).await;
    let mut body = app.get("/stream").await.into_body();
    for asked in 2..=3 {
        app.point.say(obliged("notification"));
        app.point.end();
        app.asked(asked).await;
        app.feed.send("more").await.unwrap();
        assert_eq!(piece(&mut body).await, Some(Ok("more".to_owned())));
    }
    assert_eq!(*count.lock().unwrap(), 1, "the same obligation once");
    app.point.say(obliged("dance"));
    app.point.end();
    assert!(matches!(piece(&mut body).await, Some(Err(_))));
}

#[tokio::test]
async fn a_socket_ends_with_its_decision() {
    let app = Application::start().await;
    let mut socket = app.connect("/socket").await.unwrap();
    let say = |text: &str| tungstenite::Message::text(text.to_owned());
    socket.send(say("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), say("hello"));
    app.point.end();
    app.asked(2).await;
    socket.send(say("again")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), say("again"), "allowed again, it goes on");
    app.deny();
    app.point.end();
    let last = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(matches!(last, Some(Ok(tungstenite::Message::Close(_)))), "{last:?}");
}

#[tokio::test]
async fn a_handler_can_wait_for_the_end() {
    let mut app = Application::start().await;
    let socket = app.connect("/selecting").await.unwrap();
    app.deny();
    app.point.end();
    tokio::time::timeout(PATIENCE, app.over.wait_for(|over| *over)).await.unwrap().unwrap();
    drop(socket);
}

#[tokio::test]
async fn an_upgrade_whose_handler_does_not_keep_the_guard_is_refused() {
    let (app, trusting) = (Application::start().await, Application::with(EnforceLayer::dangerous_unguarded_upgrades).await);
    for path in ["/careless", "/forgetful"] {
        assert_eq!(app.connect(path).await.unwrap_err(), 503);
        assert!(trusting.connect(path).await.is_ok());
    }
}

#[tokio::test]
async fn a_handshake_is_refused_plainly() {
    let app = Application::start().await;
    app.deny();
    assert_eq!(app.connect("/socket").await.unwrap_err(), 401);
    app.point.say(None);
    assert_eq!(app.connect("/socket").await.unwrap_err(), 503);
}

#[tokio::test]
async fn bytes_are_guarded_as_messages_are() {
    let point = Fake::allowing();
    let permitted = permitted(&point).await;
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut guarded = permitted.guard(ours);
    theirs.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    guarded.read_exact(&mut heard).await.unwrap();
    guarded.write_all(&heard).await.unwrap();
    point.say(None);
    point.end();
    theirs.write_all(b"more").await.unwrap();
    assert_eq!(guarded.read(&mut heard).await.unwrap(), 0, "nothing more is read");
    assert_eq!(guarded.write(b"more").await.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    assert!(guarded.flush().await.is_err());
    guarded.shutdown().await.unwrap();
}

/// The guard of one request.
async fn permitted(point: &Fake) -> Permitted {
    use tower_layer::Layer as _;
    use tower_service::Service as _;

    let taken: Arc<Mutex<Option<Permitted>>> = Arc::default();
    let take = Arc::clone(&taken);
    let handler = get(move |permitted: Permitted| async move { *take.lock().unwrap() = Some(permitted) });
    let app: Router = Router::new().route("/", handler);
    let layer = EnforceLayer::new(point.clone(), "http://app.localhost".parse().unwrap());
    let response = layer.layer(app).call(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let permitted = taken.lock().unwrap().take();
    permitted.unwrap()
}
