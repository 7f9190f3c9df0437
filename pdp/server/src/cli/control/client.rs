//! One request over the local socket: HTTP/1.1, with a bound on time and size.

use std::cell::Cell;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use countersign_sdk_types::Consistency;
use countersign_sdk_types::strict::{self, Limits};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::Failure;
use crate::cli::USAGE;
use crate::control::{BASE, CONSISTENCY, ProblemDocument};

/// A server, by its socket.
pub(super) struct Client {
    socket: PathBuf,
    /// What the last change came to: how fresh a decision must be to have seen it.
    consistency: Cell<Option<Consistency>>,
}

const PATIENCE: Duration = Duration::from_secs(10);
/// A walk over a long journal, or what an import writes, takes a while.
const WALK: Duration = Duration::from_secs(600);

/// The longest list with the longest ids fits.
const ANSWER: Limits = Limits { bytes: 8 * 1024 * 1024, depth: 64, values: 1_000_000 };

/// What a server answered.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Client {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket, consistency: Cell::new(None) }
    }

    /// How fresh a decision must be to have seen what was changed, if anything was.
    pub(super) const fn consistency(&self) -> Option<Consistency> {
        self.consistency.get()
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, Value::Null, PATIENCE).await?.read()
    }

    /// As [`Self::read`], and `None` when the server knows nothing of that name.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let answer = self.ask(Method::GET, path, Value::Null, PATIENCE).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(None) } else { answer.read().map(Some) }
    }

    pub(super) async fn change<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_value(body).map_err(|error| Failure::could_not(error.to_string()))?;
        self.ask(method, path, body, PATIENCE).await?.read()
    }

    pub(super) async fn walk<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::POST, path, Value::Null, WALK).await?.read()
    }

    /// As [`Self::change`], for what takes a while.
    pub(super) async fn work<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_value(body).map_err(|error| Failure::could_not(error.to_string()))?;
        self.ask(method, path, body, WALK).await?.read()
    }

    async fn ask(&self, method: Method, path: &str, body: Value, within: Duration) -> Result<Answer, Failure> {
        let answered = tokio::time::timeout(within, self.exchange(method, path, body)).await;
        answered.unwrap_or_else(|_| Err(Failure::could_not(format!("the server did not answer within {} seconds", within.as_secs()))))
    }

    async fn exchange(&self, method: Method, path: &str, body: Value) -> Result<Answer, Failure> {
        let broken = |error: &dyn std::fmt::Display| Failure::could_not(format!("the server broke off: {error}"));
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request(method, path, &body)?).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let told = response.headers().get(CONSISTENCY).and_then(|told| told.to_str().ok());
        if let Some(told) = told.and_then(|told| Consistency::try_from(told.to_owned()).ok()) {
            self.consistency.set(Some(told));
        }
        let body = Limited::new(response.into_body(), ANSWER.bytes).collect().await.map_err(|error| broken(&error))?.to_bytes();
        connection.abort();
        Ok(Answer { status, body })
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        Failure::could_not(match error.kind() {
            ErrorKind::NotFound => format!("is `countersign serve` running? there is no socket at `{socket}`"),
            ErrorKind::ConnectionRefused => format!("is `countersign serve` running? nobody listens at `{socket}`"),
            ErrorKind::PermissionDenied => format!("`{socket}` may not be opened: run this as root or as the user of the server"),
            _ => format!("cannot connect to `{socket}`: {error}"),
        })
    }
}

fn request(method: Method, path: &str, body: &Value) -> Result<Request<Full<Bytes>>, Failure> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(format!("{BASE}{path}")).header(header::HOST, "localhost");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(text)));
    request.map_err(|error| Failure::could_not(error.to_string()))
}

impl Answer {
    /// The answer, or why there is none. An empty body is `null`.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if !self.status.is_success() {
            return Err(self.failure());
        }
        let body: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        strict::from_slice(body, ANSWER).map_err(|error| Failure::could_not(format!("the server's answer cannot be read: {error}")))
    }

    fn failure(&self) -> Failure {
        let told: Option<ProblemDocument> = strict::from_slice(&self.body, ANSWER).ok();
        let text = told.map_or_else(|| format!("the server answered {}", self.status), |problem| problem.detail);
        let code = if self.status == StatusCode::BAD_REQUEST { USAGE } else { super::COULD_NOT };
        Failure { code, text: super::text::clean(&text) }
    }
}

/// A name as one segment of a path, or one value of a query.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}
