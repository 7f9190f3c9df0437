//! What a scraper reads.

use super::*;

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "no line `{line}` in\n{text}");
}

#[test]
fn everything_that_happens_has_a_line() {
    let metrics = Metrics::new();
    metrics.decided(Door::Nginx, Effect::Deny, Some(DenialCode::ExpiredToken), Duration::from_micros(60));
    metrics.decided(Door::Nginx, Effect::Allow, None, Duration::from_micros(40));
    metrics.audit_lost();
    metrics.policy_reloaded(ReloadOutcome::Refused);
    metrics.key_set_fetched(FetchOutcome::Failed);
    metrics.stepped_up(StepUpStage::Asserted, StepUpOutcome::Succeeded);
    metrics.told_behavior(BatchOutcome::Limited);
    metrics.searched(SearchOutcome::Partial);
    let listener = metrics.listener(ListenerName::Decision);
    listener.shed();
    let text = metrics.render().unwrap();
    has(&text, r#"countersign_decisions_total{effect="deny",code="expired_token",door="nginx"} 1"#);
    has(&text, r#"countersign_decisions_total{effect="allow",code="none",door="nginx"} 1"#);
    has(&text, r#"countersign_decision_seconds_bucket{le="0.00005",door="nginx"} 1"#);
    has(&text, r#"countersign_decision_seconds_bucket{le="0.0001",door="nginx"} 2"#);
    has(&text, r#"countersign_decision_seconds_bucket{le="1.0",door="nginx"} 2"#);
    has(&text, "countersign_audit_lost_total 1");
    has(&text, r#"countersign_policy_reloads_total{outcome="refused"} 1"#);
    has(&text, r#"countersign_key_set_fetches_total{outcome="failed"} 1"#);
    has(&text, r#"countersign_step_ups_total{stage="asserted",outcome="succeeded"} 1"#);
    has(&text, r#"countersign_behavior_batches_total{outcome="limited"} 1"#);
    has(&text, r#"countersign_searches_total{outcome="partial"} 1"#);
    has(&text, r#"countersign_requests_shed_total{listener="decision"} 1"#);
    has(&text, &format!(r#"countersign_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")));
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn what_is_present_counts_until_it_is_gone() {
    let metrics = Metrics::new();
    let listener = metrics.listener(ListenerName::Public);
    let connection = listener.connection();
    let request = listener.request();
    has(&metrics.render().unwrap(), r#"countersign_connections{listener="public"} 1"#);
    has(&metrics.render().unwrap(), r#"countersign_requests_in_flight{listener="public"} 1"#);
    drop((connection, request));
    has(&metrics.render().unwrap(), r#"countersign_connections{listener="public"} 0"#);
    has(&metrics.render().unwrap(), r#"countersign_requests_in_flight{listener="public"} 0"#);
}

#[test]
fn a_lost_record_is_counted_once_however_often_it_is_told() {
    let metrics = Metrics::new();
    for total in [0, 2, 2, 1, 3] {
        metrics.records_lost(total);
    }
    metrics.audit_lost();
    has(&metrics.render().unwrap(), "countersign_audit_lost_total 4");
}
