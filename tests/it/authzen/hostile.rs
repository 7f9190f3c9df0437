//! What a caller may send that is no question, and what comes back: never a decision, always the name of the request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use countersign_tests::authzen::{BEARER, Pdp};
use countersign_tests::http::{self, Answer};
use serde_json::json;

const ENDPOINTS: [&str; 5] = [
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
];

/// Sends bytes as they are and reads what comes back.
fn raw(pdp: &Pdp, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(pdp.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}

fn post(pdp: &Pdp, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: pdp\r\nConnection: close\r\nAuthorization: Bearer {BEARER}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    raw(pdp, &[head.as_bytes(), body].concat())
}

#[test]
fn every_malformed_body_is_a_400_with_a_sentence() {
    let pdp = Pdp::start("");
    let deep = format!("{{\"context\":{{\"a\":{}{}}}}}", "[".repeat(64), "]".repeat(64));
    let long = format!("{{\"context\":{{\"a\":[{}1]}}}}", "1,".repeat(30_000));
    let entities = r#""action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}"#;
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"{} trailing".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"subject\":\"\xff\xfe\"}".to_vec(),
        format!(r#"{{"subject":{{"type":"user","id":"bob","id":"alice"}},{entities}"#).into_bytes(),
        format!(r#"{{"subject":{{"type":"user","id":"bob"}},"subject":{{"type":"user","id":"alice"}},{entities}"#).into_bytes(),
        format!(r#"{{"subject":{{"type":"user","id":"\ud800"}},{entities}"#).into_bytes(),
        format!(r#"{{"subject":{{"type":"user","id":"\udfff\ud800"}},{entities}"#).into_bytes(),
        format!(r#"{{"subject":null,{entities}"#).into_bytes(),
        format!(r#"{{"subject":{{"type":5,"id":"alice"}},{entities}"#).into_bytes(),
        format!(r#"{{"subject":{{"type":"user","id":"alice","properties":[]}},{entities}"#).into_bytes(),
        deep.into_bytes(),
        long.into_bytes(),
    ];
    for path in ENDPOINTS {
        for body in &bodies {
            let answer = post(&pdp, path, "Content-Type: application/json\r\nX-Request-ID: r-1\r\n", body);
            let shown: String = String::from_utf8_lossy(body).chars().take(80).collect();
            assert_eq!(answer.status, 400, "{path} {shown}: {answer:?}");
            assert!(!answer.body.is_empty() && !answer.body.contains("struct"), "{path} {shown}: {answer:?}");
            assert_eq!((answer.header("x-request-id"), answer.header("cache-control")), (Some("r-1"), Some("no-store")), "{answer:?}");
        }
    }
}

#[test]
fn every_other_content_type_is_a_400() {
    let pdp = Pdp::start("");
    let question =
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}});
    let question = question.to_string();
    for kind in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json; charset=utf-16\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
    ] {
        for path in ENDPOINTS {
            assert_eq!(post(&pdp, path, kind, question.as_bytes()).status, 400, "{path} {kind}");
        }
    }
    let taken = post(&pdp, ENDPOINTS[0], "Content-Type: application/json; charset=UTF-8\r\n", question.as_bytes());
    assert!(taken.status == 200 && taken.json()["decision"] == true, "{taken:?}");
}

#[test]
fn another_method_is_a_405_that_names_the_right_one() {
    let pdp = Pdp::start("");
    for path in ENDPOINTS {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: pdp\r\nConnection: close\r\nX-Request-ID: r-2\r\n\r\n");
            let answer = raw(&pdp, request.as_bytes());
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {path}");
            assert_eq!(answer.header("x-request-id"), Some("r-2"), "{method} {path}");
        }
    }
}

#[test]
fn every_answer_repeats_the_name_of_the_request_and_none_that_could_harm() {
    let pdp = Pdp::start("");
    let asked = |path: &str, headers: &[(&str, &str)], body: &serde_json::Value| {
        let mut headers = headers.to_vec();
        headers.push(("x-request-id", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"));
        let answer = http::send("POST", &format!("{}{path}", pdp.url), &headers, Some(body));
        assert_eq!(answer.header("x-request-id"), Some("bfe9eb29-ab87-4ca3-be83-a1d5d8305716"), "{answer:?}");
        answer.status
    };
    let bearer = format!("Bearer {BEARER}");
    let caller = [("authorization", bearer.as_str())];
    assert_eq!(asked("/access/v1/evaluation", &[], &json!({})), 401);
    assert_eq!(asked("/access/v1/evaluation", &[("authorization", "Bearer wrong")], &json!({})), 401);
    assert_eq!(asked("/access/v1/nothing", &caller, &json!({})), 404);
    assert_eq!(asked("/access/v1/evaluation", &caller, &json!({"context": {"a": "x".repeat(300 * 1024)}})), 413);
    // What the front door itself refuses.
    let answer = raw(&pdp, b"POST /access/v1/evaluation HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Request-ID: r-3\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status, answer.header("x-request-id")), (400, Some("r-3")));

    let long = "x".repeat(257);
    for id in ["", "a b", "caf\u{e9}", &long] {
        let request = format!("GET /access/v1/evaluation HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: {id}\r\n\r\n");
        assert_eq!(raw(&pdp, request.as_bytes()).header("x-request-id"), None, "{id}");
    }
    let twice = b"GET /access/v1/evaluation HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: a\r\nX-Request-ID: b\r\n\r\n";
    assert_eq!(raw(&pdp, twice).header("x-request-id"), None);
}

#[test]
fn what_is_computed_here_is_never_stated_and_never_replaced() {
    let pdp = Pdp::start("");
    let with = |name: &str| {
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
            "context": {name: "x"}})
    };
    for name in ["risk_score", "risk", "place", "known", "caller", "device", "session", "token", "request", "user"] {
        let answer = pdp.ask("/access/v1/evaluation", &with(name));
        assert!(answer.status == 400 && answer.body.contains(name), "{name}: {answer:?}");
    }
    // Two names of the specification's own examples are taken, beside what is computed.
    for name in ["time", "ip"] {
        assert_eq!(pdp.ask("/access/v1/evaluation", &with(name)).json()["decision"], true, "{name}");
    }
}
