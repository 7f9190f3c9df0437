//! What the platform is told.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

async fn ask(router: &Router, path: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status, kind, text)
}

#[tokio::test]
async fn not_ready_says_why_and_lives() {
    let draining = Arc::new(AtomicBool::new(false));
    let keys = Arc::new(AtomicBool::new(false));
    let loaded = Arc::clone(&keys);
    let ready: Readiness = Arc::new(move || if loaded.load(Ordering::SeqCst) { Ok(()) } else { Err("no keys of `https://i`".to_owned()) });
    let router = router(Arc::clone(&draining), ready, Arc::new(Metrics::new()));
    let (status, _, why) = ask(&router, "/readyz").await;
    assert_eq!((status, why.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no keys of `https://i`"));
    keys.store(true, Ordering::SeqCst);
    assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
    draining.store(true, Ordering::SeqCst);
    assert_eq!(ask(&router, "/readyz").await.2, "draining");
    assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_scraper_gets_openmetrics() {
    let metrics = Arc::new(Metrics::new());
    metrics.audit_lost();
    let router = router(Arc::default(), Arc::new(|| Ok(())), metrics);
    let (status, kind, text) = ask(&router, "/metrics").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(text.contains("countersign_audit_lost_total 1"), "{text}");
}
