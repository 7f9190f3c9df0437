//! The service over real gRPC, the recordings of a real Envoy, and what a hostile client makes of both. However it ends, it ends with a `CheckResponse`.

mod hostile;
pub(crate) mod recorded;
mod scene;

use axum::http::StatusCode;
use countersign_pdp_engine::decide::{Decision, Demand};
use countersign_sdk_types::{Acr, Seconds};

use super::*;
use crate::adapter::answer::reply;
use crate::adapter::identity::IdentityHeaders;
use crate::ext_authz::{CheckResponse, HttpResponse, SERVICE, code};
use crate::grpc::health::{HealthCheckRequest, HealthCheckResponse, Standing};
use crate::pipeline::Answer;
use scene::{Scene, denied, get, header, metadata, passed};

fn rendered(decision: Decision) -> CheckResponse {
    let answer = Answer::of("main.1.2".to_owned(), decision);
    let metadata = render::metadata(&answer);
    let identity = IdentityHeaders::default();
    render::render(reply(answer, &std::collections::BTreeMap::new(), &identity), metadata, &identity)
}

#[test]
fn no_denial_is_ok_and_each_is_a_denied_response() {
    for code in DenialCode::ALL {
        let response = rendered(Decision::Deny(Denial::new(*code, "why")));
        let (status, denied) = denied(&response);
        assert!(matches!(status.as_u16(), 400 | 401 | 403 | 503), "{code}: {status}");
        assert_ne!(response.status.as_ref().unwrap().code, code::OK, "{code}");
        assert_eq!(header(&denied.headers, "cache-control"), Some("no-store"), "{code}");
        assert_eq!(metadata(&response)["code"], code.as_str());
        assert!(!format!("{response:?}").contains("why"), "the detail is for operators");
    }
}

#[test]
fn a_step_up_is_a_challenge_without_reasons() {
    let response = rendered(Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() }));
    let (status, denied) = denied(&response);
    assert_eq!((status, response.status.as_ref().unwrap().code), (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED));
    assert!(header(&denied.headers, "www-authenticate").unwrap().contains("insufficient_user_authentication"));
    assert_eq!(metadata(&response)["effect"], "step_up");
}

#[tokio::test]
async fn a_token_of_alice_passes_and_says_who_asks() {
    let scene = Scene::open().await;
    let response = scene.ask(get("/wiki", &[("authorization", &scene.token("alice"))])).await;
    let ok = passed(&response);
    assert_eq!(header(&ok.headers, "remote-user"), Some("alice"));
    let decision = header(&ok.headers, "x-countersign-decision").unwrap();
    let metadata = metadata(&response);
    assert_eq!((metadata["decision_id"].as_str(), metadata["subject"].as_str()), (Some(decision), Some("alice")));
    assert!(metadata["risk_level"].is_string() && metadata["effect"] == "allow", "{metadata}");
}

#[tokio::test]
async fn p05_what_a_client_sends_in_an_identity_header_is_overwritten_or_removed() {
    let scene = Scene::open().await;
    let spoofed = [("authorization", scene.token("alice")), ("remote-user", "admin".into()), ("remote-groups", "root".into())];
    let spoofed: Vec<(&str, &str)> = spoofed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = scene.ask(get("/wiki", &spoofed)).await;
    let ok = passed(&response);
    assert_eq!(header(&ok.headers, "remote-user"), Some("alice"));
    assert!(ok.headers.iter().all(|option| option.append_action == 2), "overwritten, never appended");
    let set: Vec<&str> = ok.headers.iter().map(|option| std::str::from_utf8(&option.header.as_ref().unwrap().key).unwrap()).collect();
    for name in scene.decider.identity.names() {
        let is_removed = ok.headers_to_remove.iter().any(|removed| removed == name.as_str());
        assert!(is_removed != set.contains(&name.as_str()), "{name} is either set or removed");
    }
    for alias in ["remote_user", "remote_groups", "x_countersign_subject", "x-countersign-pep"] {
        assert!(ok.headers_to_remove.iter().any(|removed| removed == alias), "{alias}");
    }
}

#[tokio::test]
async fn nobody_and_a_refusal_of_the_policy_are_told_apart() {
    let scene = Scene::open().await;
    let (status, nobody) = denied(&scene.ask(get("/wiki", &[])).await);
    assert_eq!((status, header(&nobody.headers, "www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Bearer")));
    let response = scene.ask(get("/admin", &[("authorization", &scene.token("alice"))])).await;
    assert_eq!(denied(&response).0, StatusCode::FORBIDDEN);
    assert_eq!(metadata(&response)["code"], "policy_denied");
    assert!(metadata(&response).get("subject").is_none(), "only who is let in is named");
}

#[tokio::test]
async fn a_grpc_client_reads_its_own_status() {
    let scene = Scene::open().await;
    let (status, nobody) = denied(&scene.ask(get("/wiki", &[("content-type", "application/grpc+proto")])).await);
    assert_eq!((status, header(&nobody.headers, "grpc-status")), (StatusCode::UNAUTHORIZED, Some("16")));
    let call = [("content-type", "application/grpc"), ("authorization", &scene.token("alice"))];
    assert_eq!(header(&denied(&scene.ask(get("/admin", &call)).await).1.headers, "grpc-status"), Some("7"));
}

#[tokio::test]
async fn a_browser_without_a_session_is_sent_to_the_login() {
    let scene = Scene::open().await;
    let (status, login) = denied(&scene.ask(get("/wiki", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")])).await);
    assert_eq!(status, StatusCode::FOUND);
    assert!(header(&login.headers, "location").unwrap().starts_with("https://login.example/"));
}

#[tokio::test]
async fn the_client_is_the_peer_of_envoys_connection_and_beyond_it_only_what_a_trusted_proxy_says() {
    let scene = Scene::open().await;
    let asked = |source: &str, forwarded: Option<&str>| {
        let token = scene.token("alice");
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(forwarded.map(|forwarded| ("x-forwarded-for", forwarded)));
        let mut message = get("/from", &headers);
        scene::from(&mut message, source);
        scene.ask(message)
    };
    let client =
        async |source: &str, forwarded: Option<&str>| matches!(asked(source, forwarded).await.http_response, Some(HttpResponse::Ok(_)));
    assert!(client("192.0.2.7", None).await, "the policy lets in this address");
    assert!(!client("198.51.100.1", Some("192.0.2.7")).await, "a client says where it is");
    assert!(client("10.0.0.1", Some("192.0.2.7")).await, "a trusted proxy says so");
    assert!(!client("10.0.0.1", Some("192.0.2.7, 198.51.100.1")).await, "the right-most hop is what the proxy saw");
    assert!(!client("/run/envoy.sock", Some("192.0.2.7")).await, "nobody knows who is behind a pipe");
}

#[tokio::test]
async fn health_is_asked_without_a_secret_and_ends_before_the_process_does() {
    let scene = Scene::open().await;
    let ask = async |service: &str| {
        let asked = HealthCheckRequest { service: service.to_owned() };
        scene.call::<_, HealthCheckResponse>("/grpc.health.v1.Health/Check", asked, None).await
    };
    assert_eq!(ask("").await.unwrap().status(), Standing::Serving);
    assert_eq!(ask(SERVICE).await.unwrap().status(), Standing::Serving);
    assert_eq!(ask("another.Service").await.unwrap_err().code(), tonic::Code::NotFound);
    scene.draining.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(ask(SERVICE).await.unwrap().status(), Standing::NotServing);
}
