//! Events that are masked, dropped, packed and counted.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::batch::pack;
use super::*;
use crate::opa::active::tests::{bundle, here, question};
use crate::opa::active::{Activation, Active};
use crate::outbound::UrlOptions;

async fn active(policy: &str) -> Arc<Active> {
    let activation = Activation::new(here).unwrap();
    activation.activate("b", bundle("r1", &[""], &[("log.rego", policy)])).await.unwrap();
    activation.now()
}

fn happened(active: &Arc<Active>, id: &str) -> Happened {
    let event = Event {
        decision_id: id.to_owned(),
        path: Some("authz/allow".to_owned()),
        input: Some(json!({"user": "alice", "password": "s3cret"})),
        result: Some(json!(true)),
        ..Event::default()
    };
    Happened { event, active: Arc::clone(active), question: question(), size: 100 }
}

fn packed(happened: Happened) -> String {
    let batch = pack(vec![happened], &Rules::default());
    let mut json = String::new();
    GzDecoder::new(&batch.content[..]).read_to_string(&mut json).unwrap();
    json
}

fn sent(active: &Arc<Active>) -> Vec<Value> {
    serde_json::from_str(&packed(happened(active, "one"))).unwrap()
}

#[tokio::test]
async fn the_policy_masks_its_own_log() {
    let active = active("package system.log\n\nmask contains \"/input/password\" if input.path == \"authz/allow\"\n").await;
    let events = sent(&active);
    assert_eq!(events[0]["input"], json!({"user": "alice"}));
    assert_eq!(events[0]["erased"], json!(["/input/password"]));
    assert_eq!((&events[0]["decision_id"], &events[0]["result"]), (&json!("one"), &json!(true)));
}

#[tokio::test]
async fn a_rule_drops_an_event() {
    assert!(sent(&active("package system.log\n\ndrop if input.result == true\n").await).is_empty());
    assert_eq!(sent(&active("package system.log\n\ndrop if input.result == false\n").await).len(), 1);
}

#[tokio::test]
async fn a_mask_that_fails_hides_everything() {
    let conflict = "package system.log\n\nmask := [\"/input/password\"] if input.path\n\nmask := [\"/input/user\"] if input.path\n";
    let no_rules = "package system.log\n\nmask := \"/input/password\"\n";
    for policy in [conflict, no_rules] {
        let events = sent(&active(policy).await);
        assert_eq!((events[0].get("input"), events[0].get("result")), (None, None), "{policy}");
        assert_eq!(events[0]["erased"], json!(["/input", "/result"]));
        assert!(!events[0].to_string().contains("s3cret"));
    }
}

#[tokio::test]
async fn an_error_does_not_tell_what_was_masked() {
    let failed = |active: &Arc<Active>| {
        let mut one = happened(active, "one");
        one.event.error = Some(EventError { code: "eval_builtin_error", message: "`s3cret` is no network".to_owned() });
        packed(one)
    };
    let masked = failed(&active("package system.log\n\nmask contains \"/input/password\"\n").await);
    assert!(!masked.contains("s3cret") && masked.contains("eval_builtin_error"), "{masked}");
    assert!(failed(&active("package a\n").await).contains("is no network"));
}

#[tokio::test]
async fn masks_may_be_plain_data() {
    let activation = Activation::new(here).unwrap();
    let data = r#"{"system": {"log": {"mask": ["/input/password"]}}}"#;
    activation.activate("b", bundle("r1", &[""], &[("data.json", data)])).await.unwrap();
    assert_eq!(sent(&activation.now())[0]["input"], json!({"user": "alice"}));
}

#[tokio::test]
async fn without_rules_everything_is_told() {
    assert_eq!(sent(&active("package a\n").await)[0]["input"]["password"], "s3cret");
}

fn log(buffer_events: usize, buffer_bytes: usize) -> DecisionLog {
    let delay = Delay { min: Duration::from_secs(3600), max: Duration::from_secs(3600) };
    let endpoint = Endpoint::new("http://127.0.0.1:1/logs", &UrlOptions::default()).unwrap();
    let options = LogOptions {
        endpoint,
        token: None,
        delay,
        batch_bytes: 1 << 20,
        buffer_events,
        buffer_bytes,
        headers: Vec::new(),
        rules: Rules::default(),
    };
    DecisionLog::new(options, Arc::default())
}

#[tokio::test]
async fn a_full_buffer_counts_what_it_loses_and_keeps_the_newest() {
    let active = active("package a\n").await;
    let log = log(3, 1_000);
    (0..5).for_each(|at| log.offer(happened(&active, &at.to_string())));
    assert_eq!(log.lost(), 2);
    let kept: Vec<_> = log.take().into_iter().map(|happened| happened.event.decision_id).collect();
    assert_eq!(kept, ["2", "3", "4"]);
    let log = self::log(100, 250);
    (0..5).for_each(|at| log.offer(happened(&active, &at.to_string())));
    assert_eq!((log.lost(), log.take().len()), (3, 2));
    assert!(log.metrics.render().unwrap().contains("opa_events_lost_total 3"));
}

#[tokio::test]
async fn a_service_that_is_not_there_loses_nothing_until_the_end() {
    let active = active("package a\n").await;
    let log = log(10, 10_000);
    log.offer(happened(&active, "one"));
    let (_stop, mut stopped) = watch::channel(false);
    assert!(!log.send_all(&mut stopped).await);
    assert_eq!(log.lost(), 0);
    assert!(log.status().message.unwrap().contains("could not be asked"));
    log.end_within(Duration::ZERO).await;
    assert_eq!(log.lost(), 1, "what was not sent in the end is counted");
}
