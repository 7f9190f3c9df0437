//! A decision point that leases everything and whose watch lives, and a client that has asked it: what is measured is what comes after.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a measurement fails by panicking, with what it saw")]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use countersign_sdk_client::{Answer, Client, Question, Watching};
use countersign_sdk_types::{Action, Entity, EvaluationRequest};
use serde_json::{Map, json};

const LEASE: &str =
    r#"{"ttl_ms":86400000,"epoch":"1-1","revision":"r1","risk_below":30,"depends_on":["07070707070707070707070707070707"]}"#;

/// What an application asks about a request of a browser: some 900 bytes.
pub(crate) fn request() -> EvaluationRequest {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() };
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    let http = json!({"method": "GET", "scheme": "https", "host": "payroll.example", "target": "/payroll/2026/03?page=2",
        "headers": [["authorization", format!("Bearer {}", "e".repeat(500))], ["user-agent", agent], ["accept", "text/html"]],
        "client_address": "203.0.113.9"});
    EvaluationRequest {
        subject: entity("token", "presented"),
        action: Action { name: "GET".to_owned(), properties: Map::new() },
        resource: entity("route", "payroll.example/payroll/2026/03"),
        context: Map::from_iter([("http".to_owned(), http)]),
    }
}

/// A client that keeps the answer to [`request`], and the runtime that its watch runs in.
pub(crate) fn client() -> (Client, tokio::runtime::Runtime) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| drop(std::thread::spawn(|| serve(stream.unwrap())))));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = Client::builder(url).pep("app", "secret").leases(Duration::from_secs(86_400)).deadline(Duration::from_secs(20));
    let client = client.build().unwrap();
    runtime.block_on(async {
        client.evaluate(&Question::new(request())).await.unwrap();
        while client.status().watching() != Watching::Alive || client.kept(&Question::new(request())).is_none() {
            tokio::task::yield_now().await;
        }
    });
    (client, runtime)
}

/// Answers questions on one connection, or tells that it lives.
fn serve(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        if line.is_empty() {
            return;
        }
        let is_watch = line.starts_with("GET");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        if is_watch {
            return watch(&mut stream);
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        let body = format!(r#"{{"decision":true,"context":{{"id":"d1","lease":{LEASE}}}}}"#);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

fn watch(stream: &mut TcpStream) {
    let hello = r#"{"type":"hello","heartbeat_ms":60000,"floor_ms":2000,"revision":"r1"}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    stream.write_all(format!("{head}id: 1-1\nevent: hello\ndata: {hello}\n\n").as_bytes()).unwrap();
    while stream.write_all(b":\n\n").is_ok() {
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Asks, and expects what is kept: the first look must find it.
pub(crate) fn hit(client: &Client, question: &Question) -> bool {
    let asked = pin!(client.evaluate(question));
    matches!(asked.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(Answer::Allow(_))))
}
