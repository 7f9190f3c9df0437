//! When a circuit opens, and how it closes again.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(Limits { in_a_row: 3, rest: SECOND })
}

fn at(seconds: u64) -> Tick {
    Tick(0).after(SECOND.saturating_mul(u32::try_from(seconds).unwrap()))
}

fn fail(breaker: &Breaker, now: Tick) {
    breaker.admit(now).unwrap().failed(now);
}

#[track_caller]
fn check(breaker: &Breaker, now: Tick, expected: Circuit) {
    assert_eq!(breaker.circuit(now), expected);
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    let breaker = breaker();
    for _ in 0..2 {
        fail(&breaker, at(0));
    }
    breaker.admit(at(0)).unwrap().answered();
    for _ in 0..2 {
        fail(&breaker, at(0));
    }
    check(&breaker, at(0), Circuit::Closed);
    fail(&breaker, at(0));
    check(&breaker, at(0), Circuit::Open);
    assert!(breaker.admit(at(0)).is_none());
}

#[test]
fn half_of_the_last_answers_open_it_though_no_three_are_in_a_row() {
    let breaker = breaker();
    for turn in 0..FAILED {
        check(&breaker, at(0), Circuit::Closed);
        fail(&breaker, at(0));
        if turn + 1 < FAILED {
            breaker.admit(at(0)).unwrap().answered();
        }
    }
    check(&breaker, at(0), Circuit::Open);
}

#[test]
fn it_is_left_alone_for_a_time_that_is_not_the_same_for_all() {
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker, at(0)));
        let State::Open { until, .. } = *breaker.state() else { panic!("it is closed") };
        assert!(until >= Tick(500_000_000) && until <= Tick(1_500_000_000), "{until:?}");
        ends.insert(until);
    }
    assert!(ends.len() > 40, "{ends:?}");
}

#[test]
fn one_probe_is_let_through_and_its_answer_closes() {
    let breaker = breaker();
    (0..3).for_each(|_| fail(&breaker, at(0)));
    check(&breaker, at(2), Circuit::HalfOpen);
    let probe = breaker.admit(at(2)).unwrap();
    assert!(breaker.admit(at(2)).is_none(), "a second probe");
    check(&breaker, at(2), Circuit::HalfOpen);
    probe.answered();
    check(&breaker, at(2), Circuit::Closed);
}

#[test]
fn a_probe_that_fails_opens_for_longer_up_to_a_bound() {
    let breaker = breaker();
    (0..3).for_each(|_| fail(&breaker, at(0)));
    for times in 0..12_u64 {
        let now = at(100 * (times + 1));
        fail(&breaker, now);
        let State::Open { until, .. } = *breaker.state() else { panic!("it is closed") };
        let rest = now.until(until);
        let middle = SECOND.saturating_mul(1 << (times + 1).min(16)).min(LONGEST);
        assert!(rest >= middle / 2 && rest <= middle * 3 / 2, "{times}: {rest:?}");
    }
}

#[test]
fn a_probe_that_nobody_waits_for_leaves_its_place() {
    let breaker = breaker();
    (0..3).for_each(|_| fail(&breaker, at(0)));
    drop(breaker.admit(at(2)).unwrap());
    breaker.admit(at(2)).unwrap().answered();
    check(&breaker, at(2), Circuit::Closed);
}

#[test]
fn what_was_asked_before_it_opened_says_nothing_about_now() {
    let breaker = breaker();
    let early = [breaker.admit(at(0)).unwrap(), breaker.admit(at(0)).unwrap()];
    (0..3).for_each(|_| fail(&breaker, at(0)));
    let probe = breaker.admit(at(2)).unwrap();
    let [one, other] = early;
    one.answered();
    check(&breaker, at(2), Circuit::HalfOpen);
    other.failed(at(2));
    check(&breaker, at(2), Circuit::HalfOpen);
    probe.answered();
    check(&breaker, at(2), Circuit::Closed);
}
