//! A decision point for tests: it answers as it is told, by AuthZEN and by gRPC, and its watch tells what it is told to tell.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_sdk_types::{Ending, Epoch, Millis, Revision, Tag, WatchEvent};
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Body = BoxBody<Bytes, Infallible>;

/// How a question is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An allow, leased on this name where there is one.
    Allow(Option<u8>),
    /// These members beside `decision`.
    Says(bool, Value),
    /// A status and nothing else.
    Status(u16),
    /// Nothing, ever.
    Silence,
}

/// The decision point. Dropping it ends it, with all its connections.
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
    connections: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
}

#[derive(Debug)]
pub(crate) struct State {
    reply: Mutex<Reply>,
    asked: Mutex<Vec<Value>>,
    requests: AtomicUsize,
    life: AtomicU64,
    told: Mutex<Told>,
    /// What each watch came with.
    watches: Mutex<Vec<Watched>>,
}

#[derive(Debug, Default)]
struct Told {
    events: Vec<WatchEvent>,
    lines: Vec<UnboundedSender<Bytes>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) query: String,
    pub(crate) last: Option<String>,
    pub(crate) version: http::Version,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
        self.connections.lock().unwrap().iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Fake {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::with(reply, None).await
    }

    /// By TLS where there is an acceptor.
    pub(crate) async fn with(reply: Reply, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        Self::on(listener, url, reply, tls)
    }

    fn on(listener: TcpListener, url: String, reply: Reply, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let state = Arc::new(State {
            reply: Mutex::new(reply),
            asked: Mutex::default(),
            requests: AtomicUsize::new(0),
            life: AtomicU64::new(1),
            told: Mutex::default(),
            watches: Mutex::default(),
        });
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (shared, handles) = (Arc::clone(&state), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                let connection = tokio::spawn(async move {
                    let serve = service_fn(move |request| serve(Arc::clone(&state), request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), serve).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(server.serve_connection(TokioIo::new(stream), serve).await);
                        }
                    }
                });
                handles.lock().unwrap().push(connection.abort_handle());
            }
        });
        Self { url, state, accepting, connections }
    }

    pub(crate) fn replies(&self, reply: Reply) {
        *self.state.reply.lock().unwrap() = reply;
    }

    /// How many questions were asked.
    pub(crate) fn count(&self) -> usize {
        self.state.asked.lock().unwrap().len()
    }

    /// What was asked last.
    pub(crate) fn last(&self) -> Value {
        self.state.asked.lock().unwrap().last().cloned().unwrap()
    }

    /// How many requests asked them.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn watches(&self) -> Vec<Watched> {
        self.state.watches.lock().unwrap().clone()
    }

    /// Everything that rests on this ends.
    pub(crate) fn end(&self, name: u8) {
        self.tell(WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![Tag([name; 16])] });
    }

    pub(crate) fn tell(&self, event: WatchEvent) {
        let mut told = self.state.told.lock().unwrap();
        told.events.push(event.clone());
        let at = Epoch { life: self.state.life.load(Ordering::SeqCst), seq: told.events.len() as u64 };
        told.lines.retain(|line| line.send(frame(at, &event)).is_ok());
    }

    /// To the watches that are open, and of no place in the stream.
    pub(crate) fn whisper(&self, bytes: &str) {
        let mut told = self.state.told.lock().unwrap();
        told.lines.retain(|line| line.send(Bytes::from(bytes.to_owned())).is_ok());
    }

    /// Its stream ends, and the next one is of another life.
    pub(crate) fn forgets(&self) {
        self.state.life.fetch_add(1, Ordering::SeqCst);
        *self.state.told.lock().unwrap() = Told::default();
    }

    /// How many watches are open.
    pub(crate) fn lines(&self) -> usize {
        self.state.told.lock().unwrap().lines.len()
    }

    /// Every connection ends; new ones are accepted.
    pub(crate) fn hangs_up(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
    }

    /// The streams end; what was told is kept.
    pub(crate) fn cuts(&self) {
        self.state.told.lock().unwrap().lines.clear();
    }
}

fn frame(at: Epoch, event: &WatchEvent) -> Bytes {
    let data = serde_json::to_value(event).unwrap();
    Bytes::from(format!("id: {at}\nevent: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
}

fn hello() -> WatchEvent {
    WatchEvent::Hello { heartbeat: Millis(1_000), floor: Millis(300), revision: Revision::new("r1").unwrap() }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::GET {
        return Ok(watch(&state, &request));
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    #[cfg(feature = "grpc")]
    if path.starts_with("/countersign.v1") {
        return Ok(crate::wire::fake_grpc(&body, &path, |asked| answer_value(&state, asked)));
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let many = asked.get("evaluations").and_then(Value::as_array).cloned();
    let answers = many.clone().unwrap_or_else(|| vec![asked]).into_iter().map(|one| answer_value(&state, one));
    let mut said = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => said.push(answer),
            Err(Some(status)) => return Ok(whole(status, "no")),
            Err(None) => tokio::time::sleep(Duration::from_secs(3_600)).await,
        }
    }
    let body = if many.is_some() { json!({"evaluations": said}) } else { said.remove(0) };
    Ok(whole(200, &body.to_string()))
}

/// The answer to one question; or a status; or none at all.
fn answer_value(state: &State, asked: Value) -> Result<Value, Option<u16>> {
    state.asked.lock().unwrap().push(asked);
    let reply = state.reply.lock().unwrap().clone();
    match reply {
        Reply::Allow(None) => Ok(json!({"decision": true, "context": {"id": "d"}})),
        Reply::Allow(Some(name)) => {
            let seq = state.told.lock().unwrap().events.len() as u64;
            let epoch = Epoch { life: state.life.load(Ordering::SeqCst), seq };
            let lease = json!({"ttl_ms": 30_000, "epoch": epoch, "revision": "r1", "risk_below": 30, "depends_on": [Tag([name; 16])]});
            Ok(json!({"decision": true, "context": {"id": "d", "lease": lease}}))
        }
        Reply::Says(decision, context) => Ok(json!({"decision": decision, "context": context})),
        Reply::Status(status) => Err(Some(status)),
        Reply::Silence => Err(None),
    }
}

fn watch(state: &State, request: &Request<Incoming>) -> Response<Body> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("x-countersign-pep").as_deref(), Some("app:s3cret"));
    let last = header("last-event-id");
    let query = request.uri().query().unwrap_or_default().to_owned();
    state.watches.lock().unwrap().push(Watched { query, last: last.clone(), version: request.version() });
    let (line, mut lines) = unbounded_channel();
    let life = state.life.load(Ordering::SeqCst);
    let mut told = state.told.lock().unwrap();
    let now = told.events.len() as u64;
    let from = last.and_then(|last| last.parse::<Epoch>().ok()).filter(|last| last.life == life).map_or(now, |last| last.seq);
    line.send(frame(Epoch { life, seq: from }, &hello())).unwrap();
    for seq in from + 1..=now {
        line.send(frame(Epoch { life, seq }, &told.events[seq as usize - 1])).unwrap();
    }
    line.send(Bytes::from_static(b":\n\n")).unwrap();
    told.lines.push(line);
    let frames = stream::poll_fn(move |context| lines.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))));
    Response::builder().header("content-type", "text/event-stream").body(BodyExt::boxed(StreamBody::new(frames))).unwrap()
}

pub(crate) fn whole(status: u16, body: &str) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .body(Full::from(body.to_owned()).boxed())
        .unwrap()
}
