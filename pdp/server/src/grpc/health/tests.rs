//! Serving, not serving, and whom nobody knows.

use axum::body::Body;
use tower::ServiceExt as _;

use super::*;

const SERVICE: &str = "envoy.service.auth.v3.Authorization";

fn health(draining: &Arc<AtomicBool>, ready: Result<(), String>) -> Health {
    Health::new(&[SERVICE], Arc::clone(draining), Arc::new(move || ready.clone()))
}

#[test]
fn it_serves_when_ready_and_until_it_drains() {
    let draining = Arc::new(AtomicBool::new(false));
    let ready = health(&draining, Ok(()));
    assert_eq!((ready.of(""), ready.of(SERVICE)), (Standing::Serving, Standing::Serving));
    assert_eq!(ready.of("another.Service"), Standing::ServiceUnknown);
    assert_eq!(health(&draining, Err("no keys yet".to_owned())).of(SERVICE), Standing::NotServing);
    draining.store(true, Ordering::SeqCst);
    assert_eq!((ready.of(""), ready.of(SERVICE)), (Standing::NotServing, Standing::NotServing));
}

fn watcher(health: &Health) -> Option<Watcher> {
    let place = Arc::clone(&health.watchers).try_acquire_owned().ok()?;
    Some(Watcher { health: health.clone(), service: SERVICE.to_owned(), told: None, _place: place })
}

#[tokio::test]
async fn a_watcher_is_told_once_of_each_state_and_let_go_at_the_end() {
    let draining = Arc::new(AtomicBool::new(false));
    let mut watcher = watcher(&health(&draining, Ok(()))).unwrap();
    assert_eq!(watcher.next().await, Some(Standing::Serving));
    let again = tokio::time::timeout(3 * LOOK, watcher.next()).await;
    assert!(again.is_err(), "nothing changed");
    draining.store(true, Ordering::SeqCst);
    assert_eq!((watcher.next().await, watcher.next().await), (Some(Standing::NotServing), None));
}

#[tokio::test]
async fn watchers_are_few() {
    let health = health(&Arc::new(AtomicBool::new(false)), Ok(()));
    let all: Vec<_> = std::iter::from_fn(|| watcher(&health)).collect();
    assert_eq!(all.len(), WATCHERS);
    drop(all);
    assert!(watcher(&health).is_some());
}

#[tokio::test]
async fn a_stranger_cannot_make_it_hold_a_large_message() {
    let status = async |length: usize| {
        let message = HealthCheckRequest { service: "s".repeat(length) }.encode_to_vec();
        let frame = [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), &message].concat();
        let request =
            Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/grpc").body(Body::from(frame)).unwrap();
        let answer = router(health(&Arc::new(AtomicBool::new(false)), Ok(()))).oneshot(request).await.unwrap();
        answer.headers()["grpc-status"].to_str().unwrap().to_owned()
    };
    let (unknown, out_of_range) = ("5", "11");
    assert_eq!((status(100).await.as_str(), status(2000).await.as_str()), (unknown, out_of_range));
}
