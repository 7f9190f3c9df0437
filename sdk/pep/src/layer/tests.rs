//! The layer: nothing reaches the handler without an allow.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use countersign_sdk_types::{Consistency, DecisionId};
use http::{Request, Response, Version};
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

use super::EnforceLayer;
use crate::fake::Fake;
use crate::{AtLeast, Duty, NotPermitted, Permitted};

/// Says for what its guard was issued.
#[derive(Clone)]
struct Application;

impl Service<Request<()>> for Application {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let guard: &Permitted = request.extensions().get().expect("the application was reached without a guard");
        let reached = format!("{} {}", guard.action().name, guard.resource().id);
        ready(Ok(Response::builder().header("x-reached", reached).body(Body::empty()).unwrap()))
    }
}

fn layer(point: &Fake) -> EnforceLayer<Fake> {
    EnforceLayer::new(point.clone(), "https://app.example".parse().unwrap())
}

async fn pass(told: Option<Value>, request: Request<()>) -> Response<Body> {
    layer(&Fake::saying(told)).layer(Application).call(request).await.unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[track_caller]
fn refused(response: &Response<Body>, status: u16) {
    assert_eq!(response.status(), status);
    assert_eq!(header(response, "x-reached"), None);
    assert_eq!(header(response, "cache-control"), Some("no-store"));
}

fn step_up() -> Option<Value> {
    let obligation = json!({"id": "o1", "type": "step-up", "properties": {"acr_value": "phr", "max_age": 300}});
    Some(
        json!({"decision": false, "context": {"step_up": {"url": "https://app.example/.countersign/step-up?d=1"}, "obligations": [obligation]}}),
    )
}

#[tokio::test]
async fn an_allow_reaches_the_application_with_its_guard() {
    let response = pass(Some(json!({"decision": true})), get("/payroll")).await;
    assert_eq!(header(&response, "x-reached"), Some("GET app.example/payroll"));
}

#[tokio::test]
async fn a_denial_is_a_403() {
    refused(&pass(Some(json!({"decision": false})), get("/")).await, 403);
    refused(&pass(Some(json!({"decision": false, "context": {"reason": "policy_denied"}})), get("/")).await, 403);
    refused(&pass(Some(json!({"decision": true, "context": {"obligations": [{"id": "1", "type": "x"}]}})), get("/")).await, 403);
}

#[tokio::test]
async fn a_refusal_names_its_decision() {
    let response = pass(Some(json!({"decision": false, "context": {"id": "main.1.7", "reason": "policy_denied"}})), get("/")).await;
    assert_eq!(header(&response, "x-countersign-decision"), Some("main.1.7"));
}

#[tokio::test]
async fn a_missing_or_bad_token_is_a_401() {
    let response = pass(Some(json!({"decision": false, "context": {"reason": "no_credentials"}})), get("/")).await;
    refused(&response, 401);
    assert_eq!(header(&response, "www-authenticate"), Some("Bearer"));
    let response = pass(Some(json!({"decision": false, "context": {"reason": "expired_token"}})), get("/")).await;
    refused(&response, 401);
    assert_eq!(header(&response, "www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn an_error_is_a_503() {
    refused(&pass(None, get("/")).await, 503);
    refused(&pass(Some(json!({"decision": "true"})), get("/")).await, 503);
    refused(&pass(Some(json!({"decision": false, "context": {"reason": "internal"}})), get("/")).await, 503);
}

#[tokio::test]
async fn an_ambiguous_request_is_a_400_whatever_would_be_answered() {
    refused(&pass(Some(json!({"decision": true})), get("/a/../b")).await, 400);
}

#[tokio::test]
async fn a_program_is_challenged() {
    let request = Request::get("/payroll").header("authorization", "Bearer t").header("sec-fetch-mode", "navigate").body(()).unwrap();
    let response = pass(step_up(), request).await;
    refused(&response, 401);
    let challenge = header(&response, "www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.ends_with("acr_values=\"phr\", max_age=\"300\""), "{challenge}");
    assert_eq!(header(&response, "location"), None);
}

#[tokio::test]
async fn a_browser_is_led_to_the_ceremony() {
    for (name, value) in [("sec-fetch-mode", "navigate"), ("accept", "text/html,*/*;q=0.8")] {
        let response = pass(step_up(), Request::get("/payroll").header(name, value).body(()).unwrap()).await;
        refused(&response, 302);
        assert_eq!(header(&response, "location"), Some("https://app.example/.countersign/step-up?d=1"));
    }
}

#[tokio::test]
async fn a_form_is_led_away_and_never_repeated_there() {
    let post = Request::post("/payroll").header("sec-fetch-mode", "navigate").body(()).unwrap();
    let response = pass(step_up(), post).await;
    refused(&response, 303);
    assert_eq!(header(&response, "location"), Some("https://app.example/.countersign/step-up?d=1"));
}

#[tokio::test]
async fn without_a_ceremony_a_browser_too_is_challenged() {
    let obligation = json!({"id": "o1", "type": "step-up", "properties": {"acr_value": "phr"}});
    let told = json!({"decision": false, "context": {"obligations": [obligation]}});
    let response = pass(Some(told), Request::get("/").header("sec-fetch-mode", "navigate").body(()).unwrap()).await;
    refused(&response, 401);
    assert!(header(&response, "www-authenticate").unwrap().ends_with("acr_values=\"phr\""));
}

#[tokio::test]
async fn a_fetch_is_not_led_away() {
    let fetch = Request::get("/payroll").header("sec-fetch-mode", "cors").header("accept", "text/html").body(()).unwrap();
    let response = pass(step_up(), fetch).await;
    refused(&response, 401);
    assert_eq!(
        header(&response, "x-countersign-page"),
        Some("https://app.example/.countersign/step-up?d=1"),
        "a script can send its page there"
    );
}

#[tokio::test]
async fn a_client_that_proves_its_key_is_challenged_in_its_scheme() {
    let proved = || Request::get("/").header("authorization", "DPoP t").header("dpop", "proof").body(()).unwrap();
    let response = pass(step_up(), proved()).await;
    refused(&response, 401);
    assert!(header(&response, "www-authenticate").unwrap().starts_with("DPoP error=\"insufficient_user_authentication\""));
    for (reason, error) in
        [("invalid_dpop_proof", "invalid_dpop_proof"), ("use_dpop_nonce", "use_dpop_nonce"), ("revoked", "invalid_token")]
    {
        let told = json!({"decision": false, "context": {"reason": reason, "dpop_nonce": "n-1"}});
        let response = pass(Some(told), proved()).await;
        refused(&response, 401);
        assert_eq!(header(&response, "www-authenticate"), Some(format!("DPoP error=\"{error}\"").as_str()));
        assert_eq!(header(&response, "dpop-nonce"), Some("n-1"));
    }
    let told = json!({"decision": false, "context": {"reason": "no_credentials"}});
    assert_eq!(header(&pass(Some(told), get("/")).await, "dpop-nonce"), None);
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_its_own_terms() {
    let call = |version| Request::post("/pay.Roll/Get").version(version).header("content-type", "application/grpc").body(()).unwrap();
    let reason = |reason: &str| Some(json!({"decision": false, "context": {"reason": reason}}));
    let cases = [
        (step_up(), "16", 401),
        (reason("expired_token"), "16", 401),
        (reason("policy_denied"), "7", 403),
        (reason("overloaded"), "14", 503),
        (None, "14", 503),
    ];
    for (told, number, status) in cases {
        let response = pass(told.clone(), call(Version::HTTP_2)).await;
        refused(&response, 200);
        assert_eq!(header(&response, "grpc-status"), Some(number));
        assert_eq!(header(&response, "content-type"), Some("application/grpc"));
        assert_eq!(header(&response, "location"), None);
        let response = pass(told, call(Version::HTTP_11)).await;
        refused(&response, status);
        assert_eq!(header(&response, "grpc-status"), Some(number));
    }
}

#[tokio::test]
async fn handshakes_and_preflights_are_led_nowhere() {
    let handshake = Request::get("/").header("upgrade", "websocket").header("accept", "text/html").body(()).unwrap();
    let response = pass(step_up(), handshake).await;
    refused(&response, 401);
    assert_eq!((header(&response, "location"), header(&response, "x-countersign-page")), (None, None));
    let preflight = || {
        let request = Request::builder().method("OPTIONS").uri("/").header("origin", "https://other.example");
        request.header("access-control-request-method", "PUT").body(()).unwrap()
    };
    for told in [step_up(), Some(json!({"decision": false, "context": {"reason": "no_credentials"}}))] {
        let response = pass(told, preflight()).await;
        refused(&response, 403);
        assert_eq!(header(&response, "www-authenticate"), None);
    }
}

/// An allow with obligations of these types, whose ids are their places.
fn obliging(types: &[&str]) -> Option<Value> {
    let one = |(at, kind): (usize, &&str)| json!({"id": at.to_string(), "type": kind, "properties": {"to": "ops"}});
    let all: Vec<Value> = types.iter().enumerate().map(one).collect();
    Some(json!({"decision": true, "context": {"id": "main.1.7", "obligations": all}}))
}

/// A layer that carries out `notification`, and fails at `watermark`; what was begun is in the list.
fn dutiful(point: &Fake) -> (EnforceLayer<Fake>, Arc<Mutex<Vec<String>>>) {
    let done: Arc<Mutex<Vec<String>>> = Arc::default();
    let (one, two) = (Arc::clone(&done), Arc::clone(&done));
    let notify = move |duty: Duty| {
        assert_eq!((duty.decision_id().map(DecisionId::as_str), &duty.properties()["to"]), (Some("main.1.7"), &json!("ops")));
        one.lock().unwrap().push(format!("{} {} {}", duty.id(), duty.kind(), duty.resource().id));
        ready(Ok::<(), &str>(()))
    };
    let fail = move |duty: Duty| {
        two.lock().unwrap().push(format!("{} {}", duty.id(), duty.kind()));
        ready(Err("no ink"))
    };
    let layer = layer(point).obligation("notification", notify).obligation("watermark", fail);
    (layer, done)
}

async fn carried(types: &[&str]) -> (Response<Body>, Vec<String>) {
    let point = Fake::saying(obliging(types));
    let (layer, done) = dutiful(&point);
    let response = layer.layer(Application).call(get("/payroll")).await.unwrap();
    assert_eq!(point.asked(), 1);
    let done = done.lock().unwrap().clone();
    (response, done)
}

#[tokio::test]
async fn obligations_are_carried_out_before_the_request_passes() {
    let (response, done) = carried(&["notification", "notification"]).await;
    assert_eq!(header(&response, "x-reached"), Some("GET app.example/payroll"));
    assert_eq!(done, ["0 notification app.example/payroll", "1 notification app.example/payroll"]);
}

#[tokio::test]
async fn one_that_fails_refuses_the_request_and_keeps_none_from_being_done() {
    let (response, done) = carried(&["watermark", "notification"]).await;
    refused(&response, 403);
    assert_eq!(header(&response, "x-countersign-decision"), Some("main.1.7"));
    assert_eq!(done, ["0 watermark", "1 notification app.example/payroll"]);
}

#[tokio::test]
async fn what_nobody_carries_out_is_a_deny_and_nothing_is_begun() {
    for unknown in ["dance", "step-up", "Notification"] {
        let (response, done) = carried(&["notification", unknown]).await;
        refused(&response, 403);
        assert_eq!(done, Vec::<String>::new(), "{unknown}");
    }
}

#[tokio::test]
async fn a_step_up_is_never_carried_out() {
    let point = Fake::saying(obliging(&["step-up"]));
    let layer = layer(&point).obligation("step-up", |_| async { Ok::<(), Infallible>(()) });
    refused(&layer.layer(Application).call(get("/")).await.unwrap(), 403);
    assert!(point.last().supported().is_empty());
}

#[tokio::test]
async fn what_is_carried_out_is_said_with_the_question_and_an_emergency_needs_nobody() {
    let point = Fake::saying(obliging(&["break-glass"]));
    let (layer, done) = dutiful(&point);
    let response = layer.layer(Application).call(get("/")).await.unwrap();
    assert_eq!(response.status(), 200);
    let supported: Vec<String> = point.last().supported().iter().cloned().collect();
    assert_eq!(supported, ["break-glass", "notification", "watermark"]);
    assert!(done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_obligation_that_takes_too_long_refuses_the_request() {
    let point = Fake::saying(obliging(&["notification"]));
    let layer = layer(&point).obligation("notification", |_| pending::<Result<(), Infallible>>());
    let response = layer.obligation_deadline(Duration::from_millis(20)).layer(Application).call(get("/")).await.unwrap();
    refused(&response, 403);
}

#[tokio::test]
async fn the_application_may_ask_for_a_fresh_answer() {
    let point = Fake::allowing();
    let floor = Consistency { chain: 7, seq: 9 };
    let request = Request::get("/").extension(AtLeast(floor)).body(()).unwrap();
    layer(&point).layer(Application).call(request).await.unwrap();
    assert_eq!(point.last().floor(), Some(floor));
}

#[tokio::test]
async fn a_guard_of_another_layer_is_removed() {
    let (outer, inner) = (Fake::allowing(), Fake::saying(Some(json!({"decision": false}))));
    let inside = EnforceLayer::new(inner.clone(), "https://other.example".parse().unwrap());
    let response = layer(&outer).layer(inside.layer(Application)).call(get("/")).await.unwrap();
    refused(&response, 403);
    inner.say(Some(json!({"decision": true})));
    let response = layer(&outer).layer(inside.layer(Application)).call(get("/")).await.unwrap();
    assert_eq!(header(&response, "x-reached"), Some("GET other.example/"), "the guard is the one of the inner layer");
}

#[tokio::test]
async fn a_tunnel_needs_its_guard_taken() {
    let tunnel = || Request::builder().method("CONNECT").uri("/chat").version(Version::HTTP_2).body(()).unwrap();
    refused(&pass(Some(json!({"decision": true})), tunnel()).await, 503);
    let trusting = layer(&Fake::allowing()).dangerous_unguarded_upgrades();
    assert_eq!(trusting.layer(Application).call(tunnel()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_the_layer_there_is_no_guard() {
    let (mut parts, ()) = get("/").into_parts();
    assert_eq!(Permitted::from_request_parts(&mut parts, &()).await.unwrap_err(), NotPermitted);
}
