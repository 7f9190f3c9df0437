//! The layer: nothing reaches the handler without an allow.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use countersign_sdk_client::{Allow, Answer, Error, ErrorKind, Question};
use countersign_sdk_types::EvaluationResponse;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

use super::EnforceLayer;
use crate::{DecisionPoint, NotPermitted, Permitted};

/// Answers with one response, or fails when there is none.
#[derive(Clone)]
struct Told(Option<Value>);

impl DecisionPoint for Told {
    async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        let response = self.0.clone().ok_or(Error::new(ErrorKind::Deadline, "too late"))?;
        let response: EvaluationResponse = serde_json::from_value(response).map_err(|_| Error::new(ErrorKind::Malformed, "no response"))?;
        Answer::from_response(&response, question)
    }

    async fn ended(&self, _allow: &Allow) {}
}

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

async fn pass(told: Option<Value>, request: Request<()>) -> Response<Body> {
    EnforceLayer::new(Told(told), "https://app.example".parse().unwrap()).layer(Application).call(request).await.unwrap()
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
async fn a_post_and_a_fetch_are_not_led_away() {
    let post = Request::post("/payroll").header("sec-fetch-mode", "navigate").body(()).unwrap();
    refused(&pass(step_up(), post).await, 401);
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
async fn without_the_layer_there_is_no_guard() {
    let (mut parts, ()) = get("/").into_parts();
    assert_eq!(Permitted::from_request_parts(&mut parts, &()).await.unwrap_err(), NotPermitted);
}
