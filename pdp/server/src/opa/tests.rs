//! The listener's router, asked as OPA's clients ask.

use std::path::Path;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request as HttpRequest, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::active::tests::here;
use super::*;
use crate::bundle::{Origin, Trust};

const POLICY: &str = r#"package authz

default allow := false

allow if input.user == "alice"

names contains "b"

names contains "a"

half := 1 / input.zero

conflict := 1 if input.both

conflict := 2 if input.both
"#;

fn options(folder: &Path) -> Options {
    let trust = Trust::default();
    let delay = Delay { min: Duration::from_secs(1), max: Duration::from_secs(1) };
    Options {
        bundles: vec![Configured { name: String::new(), origin: Origin::Folder(folder.to_owned()), trust, delay }],
        token: None,
        default_decision: vec!["authz".to_owned(), "allow".to_owned()],
        envoy_decision: vec!["envoy".to_owned(), "authz".to_owned(), "allow".to_owned()],
        budget: Duration::from_secs(10),
        largest_body: 64 * 1024,
        labels: BTreeMap::from([("app".to_owned(), "test".to_owned())]),
        log: None,
        resources: BTreeMap::new(),
        log_resource: None,
    }
}

async fn opa_with(change: impl FnOnce(&mut Options)) -> Arc<Opa> {
    let data = r#"{"servers": [{"id": "s1"}, {"id": "s2"}], "a-b": 1.50, "big": 12345678901234567890}"#;
    let write = |folder: &Path| {
        std::fs::write(folder.join("authz.rego"), POLICY).unwrap();
        std::fs::write(folder.join("data.json"), data).unwrap();
    };
    opa_on(write, change).await
}

/// A listener on a folder, with options.
pub(super) async fn opa_on(write: impl FnOnce(&Path), change: impl FnOnce(&mut Options)) -> Arc<Opa> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let mut options = options(folder.path());
    change(&mut options);
    let opa = Arc::new(Opa::checked_by(here, options, folder.path(), Clock::system(), Arc::default()).unwrap());
    opa.start().await;
    opa
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn send(opa: &Arc<Opa>, method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let request =
        headers.iter().fold(HttpRequest::builder().method(method).uri(target), |request, (name, value)| request.header(*name, *value));
    let answer = router(Arc::clone(opa)).oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn post(opa: &Arc<Opa>, target: &str, body: &Value) -> Answer {
    send(opa, "POST", target, &[], body.to_string()).await
}

async fn get(opa: &Arc<Opa>, target: &str) -> Answer {
    send(opa, "GET", target, &[], "").await
}

#[tokio::test]
async fn a_document_with_an_input() {
    let opa = opa_with(|_| {}).await;
    let answer = post(&opa, "/v1/data/authz/allow", &json!({"input": {"user": "alice"}})).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "{\"result\":true}\n"));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(post(&opa, "/v1/data/authz/allow", &json!({"input": {"user": "eve"}})).await.json(), json!({"result": false}));
    assert_eq!(get(&opa, "/v1/data/authz/allow?input=%7B%22user%22%3A%22alice%22%7D").await.json(), json!({"result": true}));
    assert_eq!(get(&opa, "/v1/data/").await.json()["result"]["a-b"], json!(1.5));
    assert_eq!(get(&opa, "/v1/data/authz/names").await.json(), json!({"result": ["a", "b"]}));
    assert_eq!(get(&opa, "/v1/data/servers/1/id").await.json(), json!({"result": "s2"}));
    assert_eq!(get(&opa, "/v1/data/a-b").await.json(), json!({"result": 1.5}));
    assert_eq!(get(&opa, "/v1/data/big").await.json(), json!({"result": 12_345_678_901_234_567_890_u64}));
}

#[tokio::test]
async fn an_undefined_document_is_an_empty_answer_and_bare_an_error() {
    let opa = opa_with(|_| {}).await;
    assert_eq!(post(&opa, "/v1/data/authz/nothing", &json!({"input": {}})).await.body, "{}\n");
    assert_eq!(get(&opa, "/v1/data/no/such/thing").await.body, "{}\n");
    let answer = post(&opa, "/v0/data/authz/nothing", &json!({})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json(), json!({"code": "undefined_document", "message": "document undefined: data.authz.nothing"}));
    let answer = post(&opa, "/v0/data/no/thing", &json!({})).await;
    assert_eq!(answer.json()["message"], "document missing: data.no.thing");
}

#[tokio::test]
async fn bare_documents_and_the_default_decision() {
    let opa = opa_with(|_| {}).await;
    assert_eq!(post(&opa, "/v0/data/authz/allow", &json!({"user": "alice"})).await.body, "true\n");
    assert_eq!(post(&opa, "/", &json!({"user": "alice"})).await.body, "true\n");
    assert_eq!(send(&opa, "POST", "/", &[], "").await.body, "false\n");
    let opa = opa_with(|options| options.default_decision = vec!["system".to_owned(), "main".to_owned()]).await;
    let answer = post(&opa, "/", &json!({})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::NOT_FOUND, &json!("undefined_document")));
}

#[tokio::test]
async fn a_missing_input_is_warned_of() {
    let opa = opa_with(|_| {}).await;
    let warning = json!({"code": "api_usage_warning", "message": "'input' key missing from the request"});
    for body in ["", "{}", "{\"user\": \"alice\"}", "null", "{\"input\": null}"] {
        let answer = send(&opa, "POST", "/v1/data/authz/allow", &[], body).await.json();
        assert_eq!(answer, json!({"result": false, "warning": warning}), "{body}");
    }
    assert!(get(&opa, "/v1/data/authz/allow").await.json().get("warning").is_none());
}

#[tokio::test]
async fn malformed_bodies_are_the_callers_fault() {
    let opa = opa_with(|_| {}).await;
    for body in ["{", "[]", "\"text\"", "{\"input\": 1, \"input\": 2}", "{\"input\": {\"a\": 1, \"a\": 2}}", "{} {}", "\u{1}"] {
        let answer = send(&opa, "POST", "/v1/data/authz/allow", &[], body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_parameter")), "{body}");
        assert!(answer.json()["message"].as_str().unwrap().contains("malformed input document"), "{}", answer.body);
    }
    let answer = send(&opa, "POST", "/v0/data/authz/allow", &[], "{").await;
    assert!(answer.json()["message"].as_str().unwrap().starts_with("unexpected parse error for input: body contains"), "{}", answer.body);
    assert_eq!(get(&opa, "/v1/data/authz/allow?input=%7B").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&opa, "/v1/data/authz/allow?explain=full").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&opa, "/v1/data/a%22%5D%3B%20x%20%3A%3D%201%20%23").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn failures_of_rules_are_undefined_or_told() {
    let opa = opa_with(|_| {}).await;
    let zero = json!({"input": {"zero": 0}});
    assert_eq!(post(&opa, "/v1/data/authz/half", &zero).await.body, "{}\n");
    let answer = post(&opa, "/v1/data/authz/half?strict-builtin-errors", &zero).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_error")));
    assert_eq!(answer.json()["message"], "error(s) occurred while evaluating query");
    assert_eq!(answer.json()["errors"][0]["code"], "eval_builtin_error");
    let answer = post(&opa, "/v1/data/authz/conflict", &json!({"input": {"both": true}})).await;
    assert_eq!(answer.json()["errors"][0]["code"], "eval_conflict_error", "{}", answer.body);
}

#[tokio::test]
async fn what_an_answer_rests_on_and_how_long_it_took() {
    let opa = opa_with(|_| {}).await;
    let answer = post(&opa, "/v1/data/authz/allow?provenance&metrics", &json!({"input": {}})).await.json();
    assert_eq!(answer["provenance"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer["provenance"]["bundles"], json!({}));
    for timer in ["timer_rego_input_parse_ns", "timer_rego_query_eval_ns", "timer_server_handler_ns"] {
        assert!(answer["metrics"][timer].as_u64().unwrap() > 0, "{timer}: {answer}");
    }
    let pretty = post(&opa, "/v1/data/authz/allow?pretty=true", &json!({"input": {}})).await;
    assert_eq!(pretty.body, "{\n  \"result\": false\n}\n");
}

#[tokio::test]
async fn queries() {
    let opa = opa_with(|_| {}).await;
    let answer = post(&opa, "/v1/query", &json!({"query": "data.servers[i].id = id", "input": {}})).await;
    assert_eq!(answer.json(), json!({"result": [{"i": 0, "id": "s1"}, {"i": 1, "id": "s2"}]}));
    assert_eq!(get(&opa, "/v1/query?q=data.authz.names%5Bx%5D").await.json(), json!({"result": [{"x": "a"}, {"x": "b"}]}));
    assert_eq!(post(&opa, "/v1/query", &json!({"query": "false"})).await.json(), json!({}));
    assert_eq!(
        post(&opa, "/v1/query", &json!({"query": "input.user == \"alice\"", "input": {"user": "alice"}})).await.json(),
        json!({"result": [{}]})
    );
    let answer = post(&opa, "/v1/query", &json!({"query": "x = "})).await;
    assert_eq!((answer.status, &answer.json()["message"]), (StatusCode::BAD_REQUEST, &json!("error(s) occurred while parsing query")));
    assert_eq!(answer.json()["errors"][0]["code"], "rego_parse_error");
    assert!(answer.json()["errors"][0]["location"]["row"].is_number());
    let bulk = r#"a := data.authz.allow with input as {"user": "alice"}; b := data.authz.allow with input as {"user": "eve"}"#;
    assert_eq!(post(&opa, "/v1/query", &json!({"query": bulk})).await.json(), json!({"result": [{"a": true, "b": false}]}));
    assert_eq!(get(&opa, "/v1/query").await.json()["message"], "missing parameter 'q'");
    let deep = format!("x = {}1{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(post(&opa, "/v1/query", &json!({"query": deep})).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn modules_are_shown_and_nothing_is_changed() {
    let opa = opa_with(|_| {}).await;
    let answer = get(&opa, "/v1/policies").await.json();
    assert_eq!(answer, json!({"result": [{"id": "authz.rego", "raw": POLICY}]}));
    assert_eq!(get(&opa, "/v1/policies/").await.json(), answer);
    assert_eq!(get(&opa, "/v1/policies/authz.rego").await.json()["result"]["raw"], POLICY);
    let missing = get(&opa, "/v1/policies/other.rego").await;
    assert_eq!((missing.status, &missing.json()["code"]), (StatusCode::NOT_FOUND, &json!("resource_not_found")));
    for (method, target) in [
        ("PUT", "/v1/policies/x"),
        ("DELETE", "/v1/policies/authz.rego"),
        ("PUT", "/v1/data/servers"),
        ("PATCH", "/v1/data"),
        ("DELETE", "/v1/data/servers"),
        ("GET", "/v0/data/servers"),
        ("PUT", "/"),
    ] {
        let answer = send(&opa, method, target, &[], "{}").await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::METHOD_NOT_ALLOWED, &json!("invalid_operation")),
            "{method} {target}"
        );
    }
    let compile = post(&opa, "/v1/compile", &json!({"query": "data.authz.allow"})).await;
    assert_eq!(compile.status, StatusCode::NOT_IMPLEMENTED);
    assert!(compile.json()["message"].as_str().unwrap().contains("partial evaluation"));
    assert_eq!(get(&opa, "/v2/data").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_and_what_it_says_of_itself() {
    let opa = opa_with(|_| {}).await;
    for target in ["/health", "/health?bundles", "/health?plugins&exclude-plugin=x"] {
        let answer = get(&opa, target).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "{}\n"), "{target}");
    }
    let answer = get(&opa, "/health/live").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json(), json!({"error": "health check (data.system.health.live) was undefined"}));
    let missing = opa_with(|options| {
        options.bundles.push(Configured {
            name: "b".to_owned(),
            origin: Origin::File("/nowhere.tar.gz".into()),
            trust: Trust::default(),
            delay: Delay { min: Duration::from_secs(1), max: Duration::from_secs(1) },
        });
    })
    .await;
    assert_eq!(get(&missing, "/health").await.status, StatusCode::OK);
    assert_eq!(get(&missing, "/health?bundles").await.json(), json!({"error": "one or more bundles are not activated"}));
    assert_eq!(get(&missing, "/health?plugins=true").await.json(), json!({"error": "one or more plugins are not up"}));
    assert_eq!(get(&missing, "/health?plugins&exclude-plugin=bundle").await.status, StatusCode::OK);
    let status = get(&missing, "/v1/status").await.json();
    assert_eq!(status["result"]["bundles"]["b"]["code"], "bundle_error");
    assert_eq!(status["result"]["plugins"]["bundle"]["state"], "NOT_READY");
    let config = get(&opa, "/v1/config").await.json();
    assert_eq!((&config["result"]["labels"]["app"], &config["result"]["default_decision"]), (&json!("test"), &json!("/authz/allow")));
    assert!(get(&opa, "/metrics").await.body.contains("countersign_build_info"));
}

#[tokio::test]
async fn only_who_brings_the_token_may_ask() {
    let opa = opa_with(|options| options.token = Some(token_digest("the token of the callers"))).await;
    let ask = async |headers: &[(&str, &str)]| send(&opa, "GET", "/v1/data/authz/allow", headers, "").await;
    assert_eq!(ask(&[("authorization", "Bearer the token of the callers")]).await.status, StatusCode::OK);
    for headers in [&[][..], &[("authorization", "Bearer other")], &[("authorization", "Basic the token of the callers")]] {
        let answer = ask(headers).await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized")));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let twice = [("authorization", "Bearer the token of the callers"), ("authorization", "Bearer other")];
    assert_eq!(ask(&twice).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&opa, "/health").await.status, StatusCode::OK, "a probe has no token");
    assert_eq!(post(&opa, "/health", &json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&opa, "/healthy").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_endless_evaluation_is_ended() {
    let opa = opa_with(|options| options.budget = Duration::from_millis(50)).await;
    let pairs =
        "count([1 | some a in numbers.range(1, 300); some b in numbers.range(1, 300); some c in numbers.range(1, 300); a * b == c])";
    let answer = post(&opa, "/v1/query", &json!({"query": format!("n := {pairs}")})).await;
    assert_eq!(
        (answer.status, &answer.json()["errors"][0]["code"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("eval_cancel_error")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_takes_it() {
    use std::io::Read as _;
    let opa = opa_with(|_| {}).await;
    let input = json!({"input": "x".repeat(5_000)});
    let body = json!({"query": "x = input", "input": input});
    let request = HttpRequest::post("/v1/query").header("accept-encoding", "gzip").body(Body::from(body.to_string())).unwrap();
    let answer = router(Arc::clone(&opa)).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"result": [{"x": input}]}));
    let plain = post(&opa, "/v1/query", &body).await;
    assert!(!plain.headers.contains_key("content-encoding"));
}
