//! What stands between a decision and its answer.

use std::collections::BTreeSet;

use countersign_pdp_engine::decide::sight;
use countersign_pdp_engine::identify::{Check, Given, Introspected, Issuer, Issuers, ProofRules, identify};
use countersign_pdp_engine::keys::KeySet;
use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::request::{HostRules, Pep, RawHttp};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::{Salts, SubjectSalt};
use countersign_sdk_types::{Acr, Epoch, Fault, PepId, Place, PlaceGap, Revision, RiskScore};
use serde_json::json;

use super::*;
use crate::policies::{deep, source};

#[test]
fn without_its_record_no_answer_can_pass_not_even_as_a_report() {
    let decisions = [
        Decision::StepUp(Demand { acr: Acr::phr(), max_age: Seconds(300), reasons: Vec::new() }),
        Decision::Deny(Denial::new(DenialCode::PolicyDenied, "no")),
    ];
    for decision in decisions {
        let ceremony = Some("https://app.example/.countersign/step-up?d=x".to_owned());
        let (epoch, risk_below) = (Epoch { life: 1, seq: 1 }, RiskScore::clamp(30.0));
        let lease = Lease { ttl: Millis(1), epoch, revision: Revision::new("r").unwrap(), risk_below, depends_on: Vec::new() };
        let answer = Answer { ceremony, lease: Some(lease), ..Answer::of("main.1.1".to_owned(), decision) };
        let left = answer.unrecorded();
        assert_eq!(left.lease, None);
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
    let left = Answer { ceremony, ..Answer::of("main.1.1".to_owned(), decision) }.late();
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
        proving: None,
    };
    assert_eq!(asked(ClientKind::Navigation, Some("/elsewhere")).back(), "/api/rows?x=1");
    assert_eq!(asked(ClientKind::Script, Some("/rows?y=2")).back(), "/rows?y=2");
    assert_eq!(asked(ClientKind::Script, None).back(), "/", "what a script fetched is nothing to look at");
}

/// Alice, by a token that is bound to a certificate, with that certificate.
fn proving(thumbprint: &str, now: Timestamp) -> Identified {
    let (iss, host) = ("https://issuer.example", countersign_pdp_engine::path::canonical_host("app.example", "https").unwrap());
    let issuer = Issuer {
        keys: KeySet::default(),
        check: Check::Introspection,
        algorithms: Vec::new(),
        audiences: BTreeSet::from(["app".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: Seconds(3600),
        mapped_claims: BTreeSet::new(),
    };
    let issuers = Issuers { by_iss: BTreeMap::from([(iss.to_owned(), issuer)]), opaque: Some(iss.to_owned()), skew: Seconds(5) };
    let said = json!({"active": true, "sub": "alice", "aud": "app", "exp": now.secs() + 600, "cnf": {"x5t#S256": thumbprint}});
    let said = Introspected::read(iss, "t", said.to_string().as_bytes()).unwrap();
    let http = RawHttp {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        authority: "app.example".to_owned(),
        target: "/".to_owned(),
        headers: vec![("authorization".to_owned(), b"Bearer t".to_vec())],
        client: Client::Unknown,
        client_certificate: Some(thumbprint.to_owned()),
    };
    let pep = Pep { id: PepId::new("proxy").unwrap(), asserts_subject: false, asserts_client: false, asserts: BTreeSet::new() };
    let raw = RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: Some(http), asked: None };
    let rules = RequestRules { hosts: BTreeMap::from([(host, HostRules::default())]), ..RequestRules::default() };
    let (request, credentials) = normalize(raw, &rules).unwrap();
    let given = Given { issuers: &issuers, proofs: &ProofRules::default(), linked: None, introspected: Some(&said), now };
    identify(request, &credentials, given).unwrap().confirm(|_| Ok(())).unwrap()
}

#[test]
fn a_batch_is_answered_by_what_was_served_when_it_began() {
    let files = source("authz", vec![("a.rego".to_owned(), b"package authz\nallow = true".to_vec())]).unwrap();
    let snapshot = |name: &str| Snapshot::new(Revision::new(name).unwrap(), deep(|| Policy::compile(&files)).unwrap().unwrap());
    let served = Served::alone(snapshot("old"));
    let at = |seq: u64| Seen { epoch: Epoch { life: 1, seq }, consistency: Consistency { chain: 1, seq } };
    let (mut many, mut one) = (Batch::of_many(None), Batch::of_one(None));
    let mut begun = |seq: u64| {
        [&mut many, &mut one].map(|batch| {
            let (seen, serving) = batch.begin(|| (at(seq), served.load_full()));
            (seen.epoch.seq, serving.general().revision.to_string())
        })
    };
    assert_eq!(begun(1), [(1, "old".to_owned()), (1, "old".to_owned())]);
    served.swap(Serving::one(Arc::new(snapshot("new"))));
    // Its leases have the epoch of the beginning, so that what was told of the change ends them.
    assert_eq!(begun(2), [(1, "old".to_owned()), (2, "new".to_owned())]);
}

#[test]
fn what_a_batch_shares_was_seen_no_later_than_it_was_read() {
    let now = Timestamp(1_800_000_000_000);
    let (own, other) = (proving("own", now), proving("another", now));
    let at = |seq: u64| Seen { epoch: Epoch { life: 1, seq }, consistency: Consistency { chain: 1, seq } };
    let credentials = Credentials { token: Some((Scheme::Bearer, "t".to_owned())), ..Credentials::default() };
    let mut batch = Batch::of_many(None);
    let mut ask = |of: &Identified, seen: u64| {
        let (_, seen) = batch.identify(of.request().clone(), &credentials, at(seen), |_| Ok(of.clone())).unwrap();
        (seen.epoch.seq, seen.consistency.seq)
    };
    assert_eq!(ask(&own, 3), (3, 3));
    assert_eq!(ask(&own, 5), (3, 3), "what was told meanwhile may be missing in what was read before");
    assert_eq!(ask(&other, 6), (6, 6));
    assert_eq!(ask(&own, 7), (7, 7));
}

#[test]
fn a_key_of_the_past_teaches_a_quarter_and_a_new_one_nothing() {
    let now = Timestamp(1_800_000_000_000);
    let files = source("authz", vec![("a.rego".to_owned(), b"package authz\nallow = true".to_vec())]).unwrap();
    let snapshot = Snapshot::new(Revision::new("test").unwrap(), deep(|| Policy::compile(&files)).unwrap().unwrap());
    let salts = Salts { subject: SubjectSalt::new([1; 32]), organisation: SubjectSalt::new([2; 32]) };
    let mut facts = Facts::unknown(salts, Place::Unknown(PlaceGap::NoAddress));
    let own = proving("own", now);
    for day in 1..20 {
        facts.baseline.learn(&sight(&own, &facts, Timestamp(now.0 - day * 86_400_000)).learned(Strength::StepUp));
    }
    let taught = |identified: &Identified, facts: &Facts| {
        let decided = decide(identified, facts, &snapshot, now);
        lesson(identified, facts, &decided).map(|event| match event {
            StateEvent::Learned { event, .. } => event.strength,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(taught(&own, &facts), Some(Strength::BoundLowRisk));
    assert_eq!(taught(&proving("another", now), &facts), None, "no key makes itself known");
    let risky = Facts { counter_regressed: true, ..facts.clone() };
    assert_eq!(taught(&own, &risky), None, "nothing is learned at risk");
}
