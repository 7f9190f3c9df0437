//! The client against a tiny server that answers as it is told: only a clean allow is an allow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, with what it saw"
)]

mod leases;
mod many;
#[cfg(feature = "tls")]
mod secure;
mod several;

use std::time::Duration;

use crate::{Answer, Client, ErrorKind, Question};
use countersign_sdk_types::{Action, Entity, EvaluationRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn question() -> Question {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: serde_json::Map::new() };
    let action = Action { name: "GET".to_owned(), properties: serde_json::Map::new() };
    Question::new(EvaluationRequest {
        subject: entity("token", "presented"),
        action,
        resource: entity("route", "/payroll"),
        context: serde_json::Map::new(),
    })
}

/// Reads one whole request, answers with `reply`, and hands back what was read.
async fn serve(listener: TcpListener, reply: Vec<u8>) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !is_whole(&seen) {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "the client left early");
        seen.extend_from_slice(&part[..count]);
    }
    // The client may hang up in the middle of an answer that is too large.
    let _ = stream.write_all(&reply).await;
    String::from_utf8(seen).unwrap()
}

fn is_whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.unwrap().parse::<usize>().unwrap()
}

fn reply(status: &str, kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

async fn ask(reply: Vec<u8>) -> (Result<Answer, ErrorKind>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, reply));
    let client = Client::builder(url).pep("app", "s3cret").deadline(Duration::from_secs(20)).build().unwrap();
    let answer = client.evaluate(&question()).await.map_err(|error| error.kind());
    (answer, server.await.unwrap())
}

async fn fails(reply: Vec<u8>, expected: ErrorKind) {
    let (answer, _) = ask(reply).await;
    assert_eq!(answer.unwrap_err(), expected);
}

#[tokio::test]
async fn an_allow_is_an_allow_and_the_caller_names_itself() {
    let (answer, seen) = ask(reply("200 OK", "application/json; charset=utf-8", r#"{"decision":true}"#)).await;
    assert!(matches!(answer, Ok(Answer::Allow(_))));
    assert!(seen.starts_with("POST /access/v1/evaluation HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-countersign-pep: app:s3cret\r\n"), "{seen}");
}

#[tokio::test]
async fn a_denial_is_a_denial() {
    let (answer, _) = ask(reply("200 OK", "application/json", r#"{"decision":false}"#)).await;
    assert!(matches!(answer, Ok(Answer::Deny(_))));
}

#[tokio::test]
async fn another_status_is_never_an_allow() {
    let body = r#"{"decision":true}"#;
    fails(reply("500 Oops", "application/json", body), ErrorKind::Unavailable).await;
    fails(reply("503 Busy", "application/json", body), ErrorKind::Unavailable).await;
    fails(reply("401 Who", "application/json", body), ErrorKind::Refused).await;
    fails(reply("201 Made", "application/json", body), ErrorKind::Malformed).await;
    fails(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec(), ErrorKind::Malformed).await;
}

#[tokio::test]
async fn garbage_is_never_an_allow() {
    fails(b"garbage\r\n\r\n".to_vec(), ErrorKind::Unreachable).await;
    fails(Vec::new(), ErrorKind::Unreachable).await;
    fails(reply("200 OK", "text/html", r#"{"decision":true}"#), ErrorKind::Malformed).await;
    fails(reply("200 OK", "application/json", "<html>"), ErrorKind::Malformed).await;
    fails(reply("200 OK", "application/json", r#"{"decision":false,"decision":true}"#), ErrorKind::Malformed).await;
    fails(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"decision\":true}".to_vec(),
        ErrorKind::Malformed,
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let body = format!(r#"{{"decision":true{}}}"#, " ".repeat(70_000));
    fails(reply("200 OK", "application/json", &body), ErrorKind::Malformed).await;
}

#[tokio::test]
async fn the_deadline_holds_for_a_silent_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(url).pep("app", "s3cret").deadline(Duration::from_millis(50)).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Deadline);
    drop(listener);
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(url).pep("app", "s3cret").deadline(Duration::from_secs(20)).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[test]
fn what_cannot_work_is_refused_at_build() {
    let refused = |builder: crate::Builder| assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Configuration);
    refused(Client::builder("http://pdp.example").pep("app", "s"));
    refused(Client::builder("ftp://127.0.0.1").pep("app", "s"));
    refused(Client::builder("http://127.0.0.1/path").pep("app", "s"));
    refused(Client::builder("http://user:pass@127.0.0.1").pep("app", "s"));
    refused(Client::builder("not an address").pep("app", "s"));
    refused(Client::builder("http://127.0.0.1"));
    refused(Client::builder("http://127.0.0.1").pep("a:b", "s"));
    refused(Client::builder("http://127.0.0.1").pep("app", ""));
    refused(Client::builder("http://127.0.0.1").pep("app", "line\nbreak"));
    refused(Client::builder("http://127.0.0.1").bearer(""));
    refused(Client::builder("http://127.0.0.1").bearer("two words"));
    refused(Client::builder("http://127.0.0.1").address("http://pdp.example").pep("app", "s"));
    assert!(Client::builder("http://pdp.example").pep("app", "s").dangerous_plain_http().build().is_ok());
}

#[test]
fn the_secret_is_not_shown() {
    let client = Client::builder("http://127.0.0.1").pep("app", "s3cret").build().unwrap();
    assert!(!format!("{client:?}").contains("s3cret"));
}
