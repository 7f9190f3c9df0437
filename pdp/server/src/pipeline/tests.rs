//! What stands between a decision and its answer.

use countersign_sdk_types::{Acr, Fault};

use super::*;

#[test]
fn without_its_record_no_answer_can_pass_not_even_as_a_report() {
    let decisions = [
        Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() }),
        Decision::Deny(Denial::new(DenialCode::PolicyDenied, "no")),
    ];
    for decision in decisions {
        let ceremony = Some("https://app.example/.countersign/step-up?d=x".to_owned());
        let answer = Answer { id: "main.1.1".to_owned(), decision, subject: None, level: None, asked: None, ceremony };
        let left = answer.unrecorded();
        // What is our own fault is never reported: it is refused.
        let Decision::Deny(denial) = &left.decision else { panic!("{left:?}") };
        assert_eq!((denial.code(), denial.fault(), left.ceremony), (DenialCode::AuditUnavailable, Fault::Unavailable, None));
    }
}

#[tokio::test]
async fn nobody_waits_for_a_record_longer_than_for_the_answer() {
    let no_time = Duration::ZERO;
    assert_eq!(written(Some(std::future::pending::<Result<(), ()>>()), no_time).await, Written::Late);
    assert_eq!(written(Some(std::future::ready(Ok::<(), ()>(()))), no_time).await, Written::InTime);
    assert_eq!(written(Some(std::future::ready(Err::<(), ()>(()))), Duration::MAX).await, Written::Never);
    assert_eq!(written(None::<std::future::Ready<Result<(), ()>>>, Duration::MAX).await, Written::Never);
    let decision = Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() });
    let ceremony = Some("https://app.example/.countersign/step-up?d=x".to_owned());
    let left = Answer { id: "main.1.1".to_owned(), decision, subject: None, level: None, asked: None, ceremony }.late();
    let Decision::Deny(denial) = &left.decision else { panic!("{left:?}") };
    assert_eq!((denial.code(), denial.fault(), left.ceremony), (DenialCode::Deadline, Fault::Unavailable, None));
}

#[test]
fn a_browser_is_sent_back_to_its_page() {
    let asked = |kind: ClientKind, page: Option<&str>| Asked {
        host: countersign_pdp_engine::path::canonical_host("app.example", "https").unwrap(),
        path: CanonicalPath::parse("/api/rows").unwrap(),
        target: "/api/rows?x=1".to_owned(),
        kind,
        page: page.map(ToOwned::to_owned),
        is_safe: true,
    };
    assert_eq!(asked(ClientKind::Navigation, Some("/elsewhere")).back(), "/api/rows?x=1");
    assert_eq!(asked(ClientKind::Script, Some("/rows?y=2")).back(), "/rows?y=2");
    assert_eq!(asked(ClientKind::Script, None).back(), "/", "what a script fetched is nothing to look at");
}
