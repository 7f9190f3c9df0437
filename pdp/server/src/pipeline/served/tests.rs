//! The pointer: who is answered by what, who drops what was swapped out, and that nobody waits.

use countersign_pdp_engine::policy::Policy;
use countersign_sdk_types::{DecisionId, DenialCode, Tenant, Timestamp};

use super::*;
use crate::policies::{deep, source};

fn snapshot(name: &str) -> Snapshot {
    let files = source("authz", vec![("a.rego".to_owned(), b"package authz\nallow = true".to_vec())]).unwrap();
    Snapshot::new(Revision::new(name).unwrap(), deep(|| Policy::compile(&files)).unwrap().unwrap())
}

fn subject(n: u32) -> SubjectId {
    SubjectId { tenant: Tenant::new("main").unwrap(), iss: "https://issuer.example".to_owned(), sub: format!("person-{n}") }
}

fn trying(percent: u8) -> Serving {
    Serving::trying(Arc::new(snapshot("old")), Arc::new(snapshot("new")), Digest([1; 32]), percent)
}

#[test]
fn shares_are_as_large_as_they_say_and_grow() {
    let mut before: Vec<u32> = Vec::new();
    for percent in [0, 1, 10, 50, 99, 100] {
        let serving = trying(percent);
        let answered: Vec<u32> = (0..5_000).filter(|n| serving.of(&subject(*n)).revision.as_str() == "new").collect();
        let expected = 50.0 * f64::from(percent);
        assert!((answered.len() as f64 - expected).abs() < 180.0, "{percent}: {}", answered.len());
        assert!(before.iter().all(|n| answered.binary_search(n).is_ok()), "{percent}: somebody goes back");
        assert_eq!(serving.is_general(&Revision::new("new").unwrap()), percent == 100);
        before = answered;
    }
    assert_eq!(before.len(), 5_000);
}

#[test]
fn another_candidate_draws_others() {
    let drawn = |digest: u8| (0..2_000).filter(|n| draw(&Digest([digest; 32]), &subject(*n)) < 1_000).collect::<Vec<_>>();
    let (first, second) = (drawn(1), drawn(2));
    let both = first.iter().filter(|n| second.contains(n)).count();
    assert!(both < first.len() / 2, "{both} of {}", first.len());
}

#[test]
fn leases_end_when_another_candidate_answers_as_many() {
    let served = Served::alone(snapshot("old"));
    let active = Arc::clone(served.load().active());
    let mut before = served.epoch();
    let mut ends = |digest: u8, percent: u8| {
        served.swap(Serving::trying(Arc::clone(&active), Arc::new(snapshot("new")), Digest([digest; 32]), percent));
        std::mem::replace(&mut before, served.epoch()) != before
    };
    assert!(!ends(1, 0) && !ends(2, 0), "in the shadow nobody is answered otherwise");
    assert!(ends(2, 10), "some are");
    assert!(!ends(2, 10), "the same ones");
    assert!(ends(3, 10), "others, and those before are answered as in general again");
    assert!(ends(3, 20));
}

#[test]
fn a_request_never_drops_what_was_swapped_out() {
    let served = Served::alone(snapshot("old"));
    let held = served.load_full();
    served.swap(Serving::one(Arc::new(snapshot("new"))));
    assert_eq!((held.general().revision.as_str(), served.load().general().revision.as_str()), ("old", "new"));
    assert_eq!(served.retired(), 1);
    drop(held);
    assert_eq!(served.retired(), 1, "whoever held it has no work of it");
    served.sweep();
    assert_eq!(served.retired(), 0);
}

#[test]
fn what_nobody_takes_is_counted_and_keeps_nobody_waiting() {
    let served = Served::alone(snapshot("old"));
    let (serving, tenant) = (served.load_full(), Tenant::new("main").unwrap());
    for n in 0..WAITING + 7 {
        let id = DecisionId::new(format!("main.1.{n}")).unwrap();
        let record = Record::for_denial(id, Timestamp(1), tenant.clone(), None, DenialCode::PolicyDenied.into());
        served.observe(Arc::clone(&serving), record);
    }
    assert_eq!((served.take_missed(), served.take_missed()), (7, 0));
    assert_eq!(served.observations().unwrap().try_iter().count(), WAITING);
    assert!(served.observations().is_none(), "there is one who compares");
}
