//! What a watch lets live, and for how long.

use countersign_sdk_types::{Ending, RiskScore};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn revision(name: &str) -> Revision {
    Revision::new(name).unwrap()
}

fn hello(name: &str) -> WatchEvent {
    WatchEvent::Hello { heartbeat: Millis(1_000), floor: Millis(2_000), revision: revision(name) }
}

fn at(seq: u64) -> Epoch {
    Epoch { life: 7, seq }
}

fn lease(epoch: Epoch) -> Lease {
    let depends_on = vec![Tag([1; 16]), Tag([2; 16])];
    Lease { ttl: Millis(60_000), epoch, revision: revision("r1"), risk_below: RiskScore::clamp(30.0), depends_on }
}

fn ended(tag: u8) -> WatchEvent {
    WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![Tag([tag; 16])] }
}

fn greeted() -> Watch {
    let watch = Watch::default();
    watch.told(SECOND, at(5), &hello("r1"));
    watch
}

#[track_caller]
fn check(watch: &Watch, now: Duration, epoch: Epoch, expected: Option<u64>) {
    assert_eq!(watch.left(now, SECOND, &lease(epoch)).map(|left| left.as_secs()), expected);
}

#[test]
fn it_lives_as_long_as_something_is_heard() {
    check(&Watch::default(), SECOND, at(5), None);
    let watch = greeted();
    check(&watch, 2 * SECOND, at(5), Some(59));
    check(&watch, 2 * SECOND, Epoch { life: 8, seq: 5 }, None);
    // Silent after 3.5 s: the floor counts from there.
    check(&watch, 4 * SECOND, at(5), Some(1));
    check(&watch, 6 * SECOND, at(5), None);
    watch.heard(3 * SECOND);
    check(&watch, 4 * SECOND, at(5), Some(57));
    watch.lost(4 * SECOND);
    check(&watch, 5 * SECOND, at(5), Some(1));
    watch.heard(5 * SECOND);
    check(&watch, 6 * SECOND, at(5), None);
}

#[test]
fn what_ended_has_ended_however_late_the_answer_comes() {
    let watch = greeted();
    watch.told(2 * SECOND, at(6), &ended(2));
    check(&watch, 2 * SECOND, at(5), None);
    check(&watch, 2 * SECOND, at(6), Some(59));
    watch.told(2 * SECOND, at(7), &ended(9));
    check(&watch, 2 * SECOND, at(6), Some(59));
    watch.told(2 * SECOND, at(8), &WatchEvent::Policy { revision: revision("r2") });
    check(&watch, 2 * SECOND, at(8), None);
}

#[test]
fn what_was_missed_has_ended() {
    let watch = greeted();
    watch.told(2 * SECOND, at(8), &ended(9));
    check(&watch, 2 * SECOND, at(5), None);
    check(&watch, 2 * SECOND, at(8), Some(59));
    watch.told(2 * SECOND, at(9), &WatchEvent::Reset {});
    check(&watch, 2 * SECOND, at(8), None);
    check(&watch, 2 * SECOND, at(9), Some(59));
}

#[test]
fn a_watch_that_comes_back_lives_when_it_has_caught_up() {
    let watch = greeted();
    watch.lost(2 * SECOND);
    watch.told(3 * SECOND, at(7), &hello("r1"));
    check(&watch, 3 * SECOND, at(5), Some(1));
    assert!(!watch.is_alive(3 * SECOND));
    watch.told(3 * SECOND, at(6), &ended(9));
    watch.told(3 * SECOND, at(7), &ended(2));
    assert!(watch.is_alive(3 * SECOND));
    check(&watch, 3 * SECOND, at(5), None);
    check(&watch, 3 * SECOND, at(7), Some(58));
    watch.told(4 * SECOND, Epoch { life: 9, seq: 0 }, &hello("r1"));
    check(&watch, 4 * SECOND, at(7), None);
    check(&watch, 4 * SECOND, Epoch { life: 9, seq: 0 }, Some(57));
}

#[test]
fn a_watch_that_is_greeted_again_and_again_and_never_catches_up_has_only_the_first_floor() {
    let watch = greeted();
    watch.lost(2 * SECOND);
    for second in 2..6 {
        watch.told(second * SECOND, at(7), &hello("r1"));
        watch.lost(second * SECOND);
    }
    check(&watch, 3 * SECOND, at(5), Some(1));
    check(&watch, 5 * SECOND, at(5), None);
}

#[test]
fn what_a_life_told_before_it_was_heard_may_have_ended_what_it_granted() {
    let watch = greeted();
    watch.told(2 * SECOND, Epoch { life: 9, seq: 8 }, &hello("r1"));
    check(&watch, 2 * SECOND, Epoch { life: 9, seq: 7 }, None);
    check(&watch, 2 * SECOND, Epoch { life: 9, seq: 8 }, Some(59));
}

#[test]
fn a_watch_that_goes_on_where_it_was_lives_when_there_is_nothing_more_to_tell() {
    let watch = greeted();
    watch.lost(2 * SECOND);
    // As the decision point greets: by the place where it goes on.
    watch.told(3 * SECOND, at(5), &hello("r1"));
    assert!(!watch.is_alive(3 * SECOND), "what was told meanwhile may be on its way");
    check(&watch, 3 * SECOND, at(5), Some(1));
    check(&watch, 4 * SECOND, at(5), None);
    watch.told(4 * SECOND, at(6), &ended(9));
    assert!(!watch.is_alive(4 * SECOND), "and more behind it");
    watch.heard(5 * SECOND);
    check(&watch, 5 * SECOND, at(5), Some(56));
}

#[test]
fn an_answer_tells_how_far_the_stream_is() {
    let watch = greeted();
    watch.lost(2 * SECOND);
    watch.told(3 * SECOND, at(5), &hello("r1"));
    watch.learned(2 * SECOND, at(6));
    watch.learned(4 * SECOND, Epoch { life: 8, seq: 6 });
    watch.told(4 * SECOND, at(6), &ended(9));
    assert!(!watch.is_alive(4 * SECOND), "asked before the greeting, and of another life");
    watch.learned(4 * SECOND, at(7));
    assert!(!watch.is_alive(4 * SECOND));
    watch.told(4 * SECOND, at(7), &ended(2));
    assert!(watch.is_alive(4 * SECOND));
    check(&watch, 4 * SECOND, at(5), None);
}
