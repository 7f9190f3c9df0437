//! One request of HTTP to one run of `git http-backend` (CGI, RFC 3875), and back.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{PUSHER, isolated};

/// The largest push.
const LARGEST_IN: usize = 64 << 20;
/// The largest answer.
const LARGEST_OUT: u64 = 256 << 20;
/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(60);

type Answer = Response<Body>;

pub(super) async fn answer(State(host): State<Arc<super::State>>, request: Request) -> Answer {
    let Ok(_turn) = host.turns.acquire().await else { return plain(StatusCode::SERVICE_UNAVAILABLE) };
    host.asked.fetch_add(1, Ordering::SeqCst);
    let (asked, body) = request.into_parts();
    let pushes = asked.uri.path().ends_with("/git-receive-pack") || asked.uri.query() == Some("service=git-receive-pack");
    if !is_allowed(&asked.headers, pushes, host.reader.as_deref()) {
        return refusal();
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST_IN).await else { return plain(StatusCode::PAYLOAD_TOO_LARGE) };
    host.packs.fetch_add(usize::from(asks_for_a_pack(asked.uri.path(), &body)), Ordering::SeqCst);
    let run = run(&host.root, &asked, body, pushes);
    match tokio::time::timeout(LONGEST, run).await {
        Ok(Ok(output)) => read(output).unwrap_or_else(|| plain(StatusCode::BAD_GATEWAY)),
        Ok(Err(_)) => plain(StatusCode::BAD_GATEWAY),
        Err(_) => plain(StatusCode::GATEWAY_TIMEOUT),
    }
}

fn is_allowed(headers: &HeaderMap, pushes: bool, reader: Option<&str>) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_author = shown.strip_prefix("Basic ").is_some_and(|told| told == STANDARD.encode(PUSHER));
    let reads = reader.is_none_or(|token| shown.strip_prefix("Bearer ") == Some(token));
    is_author || (reads && !pushes)
}

/// In protocol 2, and in those before it.
fn asks_for_a_pack(path: &str, body: &[u8]) -> bool {
    let says = |words: &[u8]| body.windows(words.len()).any(|some| some == words);
    path.ends_with("/git-upload-pack") && (says(b"command=fetch") || says(b"want "))
}

/// What makes `git` say who it is; readers bring their token unasked.
fn refusal() -> Answer {
    let mut answer = plain(StatusCode::UNAUTHORIZED);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"repositories\""));
    answer
}

fn plain(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

/// Runs the program on a request and gives what it printed.
async fn run(root: &std::path::Path, asked: &Parts, body: Bytes, is_author: bool) -> std::io::Result<Vec<u8>> {
    let header = |name: HeaderName| asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = isolated(std::process::Command::new("git"));
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_ADDR", "127.0.0.1");
    command.env("REQUEST_METHOD", asked.method.as_str()).env("PATH_INFO", asked.uri.path());
    command.env("QUERY_STRING", asked.uri.query().unwrap_or_default()).env("CONTENT_LENGTH", body.len().to_string());
    command.env("CONTENT_TYPE", header(header::CONTENT_TYPE)).env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING));
    command.env("GIT_PROTOCOL", header(HeaderName::from_static("git-protocol")));
    if is_author {
        // A name is what lets the program take a push.
        command.env("REMOTE_USER", PUSHER.split(':').next().unwrap_or_default());
    }
    let mut command = Command::from(command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
    // A program that answers before it has read everything hangs up on the rest.
    let give = async move {
        let _ = stdin.write_all(&body).await;
    };
    let mut output = Vec::new();
    let mut bounded = stdout.take(LARGEST_OUT);
    let (_, taken) = tokio::join!(give, bounded.read_to_end(&mut output));
    taken?;
    child.wait().await?;
    Ok(output)
}

/// Headers, an empty line, and the body as it is.
fn read(mut output: Vec<u8>) -> Option<Answer> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = output.split_off(end + 4);
    let mut answer = Response::builder();
    for line in std::str::from_utf8(&output).ok()?.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        answer = match name {
            "Status" => answer.status(value.split(' ').next()?.parse::<u16>().ok()?),
            _ => answer.header(name, value),
        };
    }
    answer.body(Body::from(body)).ok()
}
