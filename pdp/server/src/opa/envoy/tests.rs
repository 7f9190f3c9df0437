//! The plugin's input and the plugin's results. Expectations are those that its users' policies were written against.

mod inputs;
mod results;

use std::path::Path;

use axum::body::Body;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::ext_authz::HttpResponse;

/// A policy as the plugin's users write it: the old dialect, the input's shape, a boolean or an object.
const POLICY: &str = r#"package envoy.authz

import input.attributes.request.http as http_request

default allow = {"allowed": false, "http_status": 401, "body": "not here", "headers": {"x-why": "policy"}}

allow = {"allowed": true, "headers": {"x-user": user}, "dynamic_metadata": {"user": user}} {
    user := http_request.headers["x-user-id"]
    http_request.method == "GET"
    input.parsed_path == ["people", user]
    input.parsed_query.team == ["a", "b"]
}

allow = true {
    input.parsed_path == ["orders"]
    not input.truncated_body
    input.parsed_body.amount < 100
}

allow = "yes" {
    input.parsed_path == ["shape"]
}
"#;

async fn opa(token: Option<&str>) -> Arc<Opa> {
    let policy = |folder: &Path| std::fs::write(folder.join("envoy.rego"), POLICY).unwrap();
    crate::opa::tests::opa_on(policy, |options| options.token = token.map(crate::opa::token_digest)).await
}

async fn call(opa: Arc<Opa>, message: Vec<u8>, authorization: Option<&str>) -> CheckResponse {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0], length.as_slice(), &message].concat();
    let request = axum::http::Request::post(CHECK).header("content-type", "application/grpc");
    let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
    let response = router(opa, Arc::default()).oneshot(request.body(Body::from(framed)).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    prost::Message::decode(body.slice(5..)).unwrap()
}

async fn ask(opa: &Arc<Opa>, message: &CheckRequest) -> CheckResponse {
    call(Arc::clone(opa), prost::Message::encode_to_vec(message), None).await
}

/// 0 where the request passes.
fn status(response: &CheckResponse) -> i32 {
    let code = response.status.as_ref().unwrap().code;
    match response.http_response.as_ref().unwrap() {
        HttpResponse::Ok(_) => code,
        HttpResponse::Denied(denied) => {
            assert_ne!(code, 0);
            denied.status.unwrap().code
        }
    }
}

#[tokio::test]
async fn a_policy_of_the_plugin_answers_as_it_did() {
    let opa = opa(None).await;
    let mut message = inputs::get("/people/alice?team=a&team=b");
    assert_eq!(status(&ask(&opa, &message).await), 401);
    inputs::http(&mut message).headers.push(inputs::entry("x-user-id", "alice"));
    let response = ask(&opa, &message).await;
    assert_eq!(status(&response), 0);
    assert_eq!(Value::from(response.dynamic_metadata.unwrap()), json!({"user": "alice"}));
    let order = |amount: &str| inputs::order("/orders", amount);
    assert_eq!(status(&ask(&opa, &order("20")).await), 0);
    assert_eq!(status(&ask(&opa, &order("200")).await), 401);
    let mut partial = order("20");
    inputs::http(&mut partial).headers.push(inputs::entry("x-envoy-auth-partial-body", "true"));
    assert_eq!(status(&ask(&opa, &partial).await), 401);
}

#[tokio::test]
async fn what_is_no_decision_refuses() {
    let opa = opa(None).await;
    assert_eq!(status(&ask(&opa, &inputs::get("/shape")).await), 403);
    let undefined = crate::opa::tests::opa_on(|_| {}, |_| {}).await;
    assert_eq!(status(&ask(&undefined, &inputs::get("/a")).await), 403);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_no_error() {
    let opa = opa(None).await;
    for message in [b"\xff\xff".to_vec(), Vec::new(), prost::Message::encode_to_vec(&inputs::get("/people%2Falice"))] {
        assert_eq!(status(&call(Arc::clone(&opa), message, None).await), 400);
    }
}

#[tokio::test]
async fn a_stranger_is_refused_where_a_token_is_configured() {
    let opa = opa(Some("a-token-of-this-test")).await;
    let message = prost::Message::encode_to_vec(&inputs::order("/orders", "20"));
    let ask = async |authorization| status(&call(Arc::clone(&opa), message.clone(), authorization).await);
    assert_eq!((ask(None).await, ask(Some("Bearer another-token")).await), (403, 403));
    assert_eq!(ask(Some("Bearer a-token-of-this-test")).await, 0);
}
