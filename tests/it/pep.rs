//! Enforcement inside applications, with the real server behind it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, Version};
use axum::routing::any;
use countersign_sdk_client::Client;
use countersign_sdk_pep::{Duty, EnforceLayer, Permitted};
use countersign_tests::decision_points::{self, OBLIGATION, ORIGIN, Tested as _, WITH_PASSKEY, World, remote::Remote};
use serde_json::json;
use tower::ServiceExt as _;

#[tokio::test]
async fn the_remote_decision_point_passes_the_suite() {
    let world = World::default();
    let remote = Remote::start(&world);
    decision_points::check(&world, &remote).await;
}

fn enforced(layer: EnforceLayer<Client>) -> Router {
    let reached = |permitted: Permitted| async move { format!("reached {}", permitted.resource().id) };
    Router::new().fallback(any(reached)).layer(layer)
}

async fn send(app: &Router, target: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_client_gets_its_answer() {
    let world = World::default();
    let remote = Remote::start(&world);
    let app = enforced(EnforceLayer::new(remote.point().clone(), ORIGIN.parse().unwrap()));
    let bearer = |sub: &str| format!("Bearer {}", world.token(sub, &json!({})));
    let (alice, bob, carol) = (bearer("alice"), bearer("bob"), bearer(WITH_PASSKEY));

    let status = async |target: &str, token: &str| send(&app, target, &[("authorization", token)]).await.status().as_u16();
    assert_eq!(status("/mine", &alice).await, 200);
    assert_eq!(status("/mine", &bob).await, 403);
    assert_eq!(status("/strong", &alice).await, 403, "she has no passkey");
    assert_eq!(status("/told", &alice).await, 403, "nobody tells");
    assert_eq!(status("/a%2Fb", &alice).await, 400);
    let nobody = send(&app, "/open", &[]).await;
    assert_eq!((nobody.status().as_u16(), header(&nobody, "www-authenticate")), (401, "Bearer"));
    let expired = format!("Bearer {}", world.token("alice", &json!({"iat": 1_700_000_000, "exp": 1_700_000_600})));
    let expired = send(&app, "/open", &[("authorization", &expired)]).await;
    assert_eq!((expired.status().as_u16(), header(&expired, "www-authenticate")), (401, "Bearer error=\"invalid_token\""));
    assert!(header(&expired, "x-countersign-decision").starts_with("main."));
    let unproved = send(&app, "/open", &[("authorization", &alice.replace("Bearer", "DPoP"))]).await;
    assert_eq!((unproved.status().as_u16(), header(&unproved, "www-authenticate")), (401, "DPoP error=\"invalid_token\""));

    // A step-up: a program, a browser, a script, a handshake, a call.
    let challenge = "error=\"insufficient_user_authentication\"";
    let program = send(&app, "/strong", &[("authorization", &carol)]).await;
    assert_eq!((program.status().as_u16(), header(&program, "x-countersign-page")), (401, ""));
    assert!(header(&program, "www-authenticate").contains(challenge));
    let cookie = format!("access_token={}", world.token(WITH_PASSKEY, &json!({})));
    let browser = send(&app, "/strong", &[("cookie", &cookie), ("sec-fetch-mode", "navigate")]).await;
    assert_eq!(browser.status().as_u16(), 302);
    let ceremony = format!("{ORIGIN}/.countersign/step-up?d=");
    assert!(header(&browser, "location").starts_with(&ceremony), "{browser:?}");
    let script = send(&app, "/strong", &[("cookie", &cookie), ("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(script.status().as_u16(), 401);
    assert!(
        header(&script, "x-countersign-page").starts_with(&ceremony) && header(&script, "www-authenticate").contains(challenge),
        "{script:?}"
    );
    let handshake = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("sec-fetch-mode", "websocket")];
    let handshake = send(&app, "/strong", &handshake).await;
    assert_eq!((handshake.status().as_u16(), header(&handshake, "location")), (401, ""));
    let call = Request::post("/strong").version(Version::HTTP_2).header("content-type", "application/grpc").header("authorization", &carol);
    let call = app.clone().oneshot(call.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!((call.status().as_u16(), header(&call, "grpc-status")), (200, "16"));

    // What is revoked is out, and nobody to ask is nobody's yes.
    remote.revoke("alice");
    assert_eq!(status("/mine", &alice).await, 401);
    drop(remote);
    assert_eq!(status("/mine", &bob).await, 503);
}

#[tokio::test]
async fn obligations_of_a_policy_are_carried_out_before_the_request_passes() {
    let world = World::default();
    let remote = Remote::start(&world);
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = Arc::clone(&told);
    let tell = move |duty: Duty| {
        let to = duty.properties().get("to").and_then(|to| to.as_str()).unwrap_or_default();
        list.lock().unwrap().push(format!("{} {to}", duty.id()));
        std::future::ready(Ok::<(), Infallible>(()))
    };
    let layer = EnforceLayer::new(remote.point().clone(), ORIGIN.parse().unwrap())
        .obligation("notification", tell)
        .obligation(OBLIGATION, |_| std::future::ready(Err("no ink")));
    let (app, token) = (enforced(layer), format!("Bearer {}", world.token("alice", &json!({}))));
    let status = async |target: &str| send(&app, target, &[("authorization", &token)]).await.status().as_u16();
    assert_eq!(status("/told/twice").await, 200);
    assert_eq!(*told.lock().unwrap(), ["n1 security@payroll.example", "n2 security@payroll.example"]);
    assert_eq!(status("/marked").await, 403);
    assert_eq!(status("/open").await, 200);
    assert_eq!(told.lock().unwrap().len(), 2);
}
