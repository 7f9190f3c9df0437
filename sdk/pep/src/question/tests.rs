//! Questions: what of a request goes to the decision point.

use http::Request;

use super::{Ambiguous, ClientAddress, Origin, ask, plain_path};

#[track_caller]
fn path(text: &str, plain: bool) {
    assert_eq!(plain_path(text).is_ok(), plain, "{text}");
}

#[test]
fn only_plain_paths_are_asked_about() {
    for text in ["/", "/payroll", "/payroll/", "/a/b.c", "/caf%C3%A9", "/a..b", "/v1:read"] {
        path(text, true);
    }
    for text in
        ["", "*", "payroll", "//a", "/a//b", "/./a", "/a/..", "/%2e%2e/a", "/a%2Fb", "/a;b", "/a\\b", "/%61", "/%c3", "/%", "/%C", "/a b"]
    {
        path(text, false);
    }
}

fn origin() -> Origin {
    "https://payroll.example".parse().unwrap()
}

#[test]
fn the_question_shows_what_was_presented() {
    let request = Request::get("/payroll?month=3")
        .header("host", "evil.example")
        .header("authorization", "Bearer t")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "192.0.2.1")
        .extension(ClientAddress("203.0.113.9".parse().unwrap()))
        .body(())
        .unwrap();
    let question = ask(&request.into_parts().0, &origin()).unwrap();
    let expected = serde_json::json!({
        "subject": {"type": "token", "id": "presented"},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": "payroll.example/payroll"},
        "context": {"http": {
            "method": "GET", "scheme": "https", "host": "payroll.example", "target": "/payroll?month=3",
            "headers": [["authorization", "Bearer t"], ["cookie", "a=1; b=2"]], "client_address": "203.0.113.9",
        }},
    });
    assert_eq!(serde_json::to_value(question).unwrap(), expected);
}

#[test]
fn a_repeated_header_is_ambiguous() {
    let request = Request::get("/").header("authorization", "Bearer a").header("authorization", "Bearer b").body(()).unwrap();
    assert_eq!(ask(&request.into_parts().0, &origin()), Err(Ambiguous));
}

#[test]
fn an_origin_is_scheme_and_host() {
    for text in ["https://a.example", "http://a.localhost:8080"] {
        assert!(text.parse::<Origin>().is_ok(), "{text}");
    }
    for text in
        ["", "a.example", "ftp://a.example", "https://a.example/", "https://a.example/x", "https://u@a.example", "https://a.example?q"]
    {
        assert!(text.parse::<Origin>().is_err(), "{text}");
    }
}
