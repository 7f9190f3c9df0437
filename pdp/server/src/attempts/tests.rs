//! Failures fade, contexts are counted once, circles are seen.

use super::*;

fn subject(sub: &str) -> SubjectId {
    SubjectId { tenant: tenant(), iss: "i".to_owned(), sub: sub.to_owned() }
}

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

fn minute(minute: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + minute * 60_000)
}

#[test]
fn failures_count_for_their_subject_and_address_and_fade() {
    let attempts = Attempts::default();
    let address = Some(IpAddr::from([192, 0, 2, 1]));
    (0..4).for_each(|_| attempts.failed(&subject("a"), address, minute(0)));
    assert_eq!(
        attempts.failures(&subject("a"), address, None, minute(0)),
        Failures { subject: 4, address: 4, sprayed: 1, ..Failures::default() }
    );
    assert_eq!(attempts.failures(&subject("b"), address, None, minute(0)), Failures { address: 4, sprayed: 1, ..Failures::default() });
    assert_eq!(attempts.failures(&subject("a"), None, None, minute(10)), Failures { subject: 2, ..Failures::default() });
    assert_eq!(attempts.failures(&subject("a"), None, None, minute(60)), Failures::default());
}

#[test]
fn distinct_contexts_are_counted_within_a_window() {
    let attempts = Attempts::default();
    let session = SessionId::new("sid:1").unwrap();
    let demanded = |context: u8, at: i64| attempts.demanded(&tenant(), &session, Digest([context; 32]), minute(at));
    assert_eq!([demanded(1, 0), demanded(1, 1), demanded(2, 2), demanded(3, 3)], [1, 1, 2, 3]);
    assert_eq!(attempts.demanded_at(&tenant(), &session), Some(minute(3)));
    assert_eq!(demanded(4, 11), 1, "the window is over");
    (0..50).for_each(|context| assert!(demanded(context, 12) <= MOST_CONTEXTS + 1));
}

#[test]
fn a_demand_that_comes_again_at_once_is_a_circle() {
    let attempts = Attempts::default();
    let (grant, request) = (GrantId::new("g").unwrap(), Digest([1; 32]));
    attempts.answered(grant.clone(), request);
    assert!(attempts.is_answered(&grant, request, minute(0), minute(1)));
    assert!(!attempts.is_answered(&grant, request, minute(0), minute(3)), "later it is a new matter");
    assert!(!attempts.is_answered(&grant, Digest([2; 32]), minute(0), minute(1)), "another request");
}

#[test]
fn one_subject_cannot_fill_the_journal_with_locks() {
    let attempts = Attempts::default();
    let locked = (0..MOST_LOCKS + 10).filter(|_| attempts.may_lock(&subject("a"))).count();
    assert_eq!(u32::try_from(locked), Ok(MOST_LOCKS));
    assert!(attempts.may_lock(&subject("b")));
}
