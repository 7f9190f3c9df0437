//! Batches that are refused, and windows that stay small and apart.

use countersign_pdp_store::Store;
use countersign_risk::pointer::{FEATURES, Feature};
use serde_json::{Value, json};

use super::*;

fn whose(sub: &str, session: u32, device: Option<&str>) -> Whose {
    let subject = SubjectId { tenant: Tenant::new("main").unwrap(), iss: "i".to_owned(), sub: sub.to_owned() };
    Whose { subject, session: SessionTag(session), device: device.map(|device| DeviceId::new(device).unwrap()), network: None }
}

/// Rows that differ in every number.
fn rows(n: usize, seed: f64) -> Vec<Vec<f64>> {
    (0..n).map(|row| (0..FEATURES).map(|column| 1.0 + seed + row as f64 + column as f64 / 100.0).collect()).collect()
}

fn names() -> Vec<&'static str> {
    Feature::ALL.iter().map(|feature| feature.name).collect()
}

fn body(n: usize, seed: f64) -> Value {
    json!({"features": names(), "actions": rows(n, seed)})
}

/// Fifty seeds apart, no two rows of two batches are alike.
fn batch(n: usize, seed: f64) -> Batch {
    Batch::read(body(n, seed).to_string().as_bytes()).unwrap()
}

#[test]
fn a_batch_is_read_by_the_names_it_gives() {
    let mut backwards = rows(3, 0.0);
    backwards.iter_mut().for_each(|row| row.reverse());
    let reversed = json!({"features": names().into_iter().rev().collect::<Vec<_>>(), "actions": backwards});
    assert_eq!(Batch::read(reversed.to_string().as_bytes()).unwrap(), batch(3, 0.0));
    let few = json!({"features": ["duration", "press duration"], "actions": [[0.5, null], [1, 0.08]]});
    assert_eq!(Batch::read(few.to_string().as_bytes()).unwrap().actions().len(), 2);
    assert_eq!(batch(50, 0.0).actions().len(), 50);
}

#[test]
fn what_no_script_sends_is_refused() {
    let refused = |body: &str| Batch::read(body.as_bytes()).expect_err(body);
    for body in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"features":["duration"],"actions":[]}"#,
        r#"{"features":[],"actions":[[]]}"#,
        r#"{"features":["duration"],"actions":[[1]],"points":[]}"#,
        r#"{"features":["duration"],"features":["duration"],"actions":[[1]]}"#,
        r#"{"features":["duration","duration"],"actions":[[1,1]]}"#,
        r#"{"features":["duration","mood"],"actions":[[1,1]]}"#,
        r#"{"features":["duration"],"actions":[[1,2]]}"#,
        r#"{"features":["duration","distance"],"actions":[[1]]}"#,
        r#"{"features":["duration"],"actions":[[null]]}"#,
        r#"{"features":["distance"],"actions":[[1]]}"#,
        r#"{"features":["duration"],"actions":[["1"]]}"#,
        r#"{"features":["duration"],"actions":[[[1]]]}"#,
        r#"{"features":["duration"],"actions":[[1e39]]}"#,
        r#"{"features":["duration"],"actions":[[1e999]]}"#,
        r#"{"features":["duration"],"actions":[[NaN]]}"#,
        r#"{"features":["duration"],"actions":[[true]]}"#,
    ] {
        let _ = refused(body);
    }
    assert!(matches!(refused(&body(51, 0.0).to_string()), BatchRefused::Actions));
    assert!(matches!(refused(&body(60, 0.0).to_string()), BatchRefused::Json(_)), "too many values");
    let padded = format!("{}{}", body(1, 0.0), " ".repeat(64 * 1024));
    assert!(matches!(refused(&padded), BatchRefused::Json(_)));
}

#[test]
fn a_window_keeps_the_newest_actions_of_its_own_session_and_device() {
    let behaviors = Behaviors::default();
    let mine = whose("ada", 1, Some("laptop"));
    for nth in 0..12 {
        behaviors.take(mine.clone(), &batch(50, f64::from(nth * 50)), Timestamp(0)).unwrap();
    }
    let others = [whose("ada", 2, Some("laptop")), whose("ada", 1, Some("phone")), whose("ada", 1, None), whose("bob", 1, Some("laptop"))];
    for other in &others {
        assert_eq!(behaviors.end(other).len(), 0, "{other:?}");
    }
    let kept = behaviors.end(&mine);
    assert_eq!((kept.len(), kept.last()), (MOST_ACTIONS, batch(50, 550.0).actions().last()));
    assert_eq!(kept.first(), batch(50, 100.0).actions().first(), "the oldest went");
    assert_eq!(behaviors.end(&mine).len(), 0, "it ended");
    behaviors.take(mine.clone(), &batch(1, 999.0), Timestamp(70_000)).unwrap();
    behaviors.restore(mine.clone(), &kept);
    let restored = behaviors.end(&mine);
    assert_eq!((restored.len(), restored.last()), (MOST_ACTIONS, batch(1, 999.0).actions().last()));
}

#[test]
fn batches_of_a_subject_are_bounded_over_all_sessions_and_devices() {
    let behaviors = Behaviors::default();
    let take = |session: u32, sub: &str, at: i64| behaviors.take(whose(sub, session, None), &batch(1, 0.0), Timestamp(at));
    let taken = (0..100).filter(|session| take(*session, "ada", 0).is_ok()).count();
    assert_eq!(u32::try_from(taken), Ok(MOST_BATCHES));
    assert_eq!(take(1, "bob", 0), Ok(()), "another subject");
    assert_eq!(take(1, "ada", 59_999), Err(TooMany));
    assert_eq!(take(1, "ada", 60_000), Ok(()), "a minute later");
}

#[test]
fn nothing_told_says_nothing_and_little_costs_nothing() {
    let (behaviors, store) = (Behaviors::default(), Store::memory().unwrap());
    let mine = whose("ada", 1, None);
    assert_eq!(behaviors.judge(&mine, store.view()).unwrap(), None);
    behaviors.take(mine.clone(), &batch(50, 0.0), Timestamp(0)).unwrap();
    let said = behaviors.judge(&mine, store.view()).unwrap().unwrap();
    assert_eq!((said.nats, said.is_replay), (0.0, false), "{said:?}");
    behaviors.take(mine.clone(), &batch(50, 0.0), Timestamp(0)).unwrap();
    let is_replay = || behaviors.judge(&mine, store.view()).unwrap().unwrap().is_replay;
    assert!(!is_replay(), "the same batch was sent again, and nothing was recorded");
    behaviors.take(mine.clone(), &batch(3, 0.0), Timestamp(0)).unwrap();
    assert!(is_replay(), "to the last bit the same as earlier ones");
}

#[test]
fn a_look_is_read_by_name_and_what_no_script_sends_is_refused() {
    let told = look::read(br#"{"components":{"screen":"00000000000000ff","audio":"0123456789abcdef"}}"#).unwrap();
    assert_eq!(told.0, [Some(0x0123_4567_89ab_cdef), None, None, None, Some(255), None]);
    for body in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"components":{}}"#,
        r#"{"components":[]}"#,
        r#"{"components":{"screen":"1920x1080"}}"#,
        r#"{"components":{"screen":"00000000000000FF"}}"#,
        r#"{"components":{"screen":"+0000000000000ff"}}"#,
        r#"{"components":{"screen":"00000000000000ff0"}}"#,
        r#"{"components":{"screen":255}}"#,
        r#"{"components":{"screen":null}}"#,
        r#"{"components":{"fonts":"00000000000000ff"}}"#,
        r#"{"components":{"screen":"00000000000000ff","screen":"00000000000000ff"}}"#,
        r#"{"components":{"screen":"00000000000000ff"},"raw":"1920x1080"}"#,
    ] {
        assert!(look::read(body.as_bytes()).is_err(), "{body}");
    }
    let padded = format!("{}{}", r#"{"components":{"screen":"00000000000000ff"}}"#, " ".repeat(2 * 1024));
    assert!(look::read(padded.as_bytes()).is_err());
}

#[test]
fn a_look_is_its_own_session_s_and_device_s_and_counts_with_the_batches() {
    let behaviors = Behaviors::default();
    let (mine, told) = (whose("ada", 1, Some("laptop")), Told([Some(1), None, None, None, None, Some(6)]));
    assert_eq!(behaviors.looks(&mine), None);
    behaviors.look(mine.clone(), told, Timestamp(0)).unwrap();
    assert_eq!(behaviors.looks(&mine), Some(told));
    for other in [whose("ada", 2, Some("laptop")), whose("ada", 1, Some("phone")), whose("ada", 1, None), whose("bob", 1, Some("laptop"))] {
        assert_eq!(behaviors.looks(&other), None, "{other:?}");
    }
    let taken = (0..100).filter(|_| behaviors.look(mine.clone(), told, Timestamp(1)).is_ok()).count();
    assert_eq!(u32::try_from(taken), Ok(MOST_BATCHES - 1));
}
