//! The rules, one by one; and all of them against a model that remembers everything, in any order of questions, answers, events and losses.

mod model;

use countersign_sdk_types::{Action, Consistency, Ending, Entity, EvaluationRequest, EvaluationResponse, Millis, RiskScore};
use serde_json::{Map, Value, json};

use super::*;
use crate::answer::Answer;

const TERMS: Terms = Terms {
    ttl: Duration::from_secs(30),
    floor: Duration::from_secs(2),
    unleased: Duration::from_secs(5),
    room: Room { entries: 1_000, bytes: 1 << 20 },
};

const LIFE: u64 = 7;

fn at(millis: u64) -> Tick {
    Tick(millis * 1_000_000)
}

fn position(seq: u64) -> Epoch {
    Epoch { life: LIFE, seq }
}

fn tag(name: u8) -> Tag {
    Tag([name; 16])
}

fn revision(name: &str) -> Revision {
    Revision::new(name).unwrap()
}

fn question(id: &str) -> Question {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() };
    let action = Action { name: "read".to_owned(), properties: Map::new() };
    Question::new(EvaluationRequest { subject: entity("user", "u"), action, resource: entity("record", id), context: Map::new() })
}

fn lease(epoch: Epoch, tags: &[u8], of: &str) -> Lease {
    Lease {
        ttl: Millis(30_000),
        epoch,
        revision: revision(of),
        risk_below: RiskScore::new(30).unwrap(),
        depends_on: tags.iter().map(|name| tag(*name)).collect(),
    }
}

fn answer(context: Value, asked: Tick, question: &Question) -> Allow {
    let Value::Object(context) = context else { panic!("no object") };
    match Answer::read(&EvaluationResponse { decision: true, context }, question, Some(asked)).unwrap() {
        Answer::Allow(allow) => allow,
        other => panic!("{other:?}"),
    }
}

fn allow(lease: &Lease, asked: Tick, question: &Question) -> Allow {
    answer(json!({"lease": lease}), asked, question)
}

fn hello() -> WatchEvent {
    WatchEvent::Hello { heartbeat: Millis(1_000), floor: Millis(2_000), revision: revision("r1") }
}

fn ended(name: u8) -> WatchEvent {
    WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![tag(name)] }
}

/// The rules with a watch that has lived since 0 ms, with everything told up to 10.
fn watched() -> Rules {
    let rules = Rules::new(TERMS);
    rules.told(at(0), position(10), &hello()).unwrap();
    rules
}

/// Asks at `asked`, and the answer with this lease arrives at once.
fn ask(rules: &Rules, asked: Tick, lease: &Lease) -> Question {
    let question = question("r");
    rules.arrived(&question, &allow(lease, asked, &question));
    question
}

#[track_caller]
fn check(rules: &Rules, now: Tick, question: &Question, is_kept: bool) {
    assert_eq!(rules.find(now, question).is_some(), is_kept);
}

/// Keeps the watch alive until then.
fn live(rules: &Rules, until: u64) {
    (0..=until).step_by(1_000).for_each(|millis| rules.heard(at(millis)).unwrap());
}

#[test]
fn a_lease_counts_from_before_the_question() {
    let rules = watched();
    let question = question("r");
    live(&rules, 4_000);
    rules.arrived(&question, &allow(&lease(position(10), &[1], "r1"), at(1_000), &question));
    live(&rules, 31_000);
    check(&rules, at(30_999), &question, true);
    check(&rules, at(31_000), &question, false);
    assert_eq!(rules.kept(), 0, "what is over is not kept");
}

#[test]
fn no_lease_is_longer_than_what_was_asked_for() {
    let rules = watched();
    let long = Lease { ttl: Millis(u64::MAX), ..lease(position(10), &[1], "r1") };
    let question = ask(&rules, at(0), &long);
    live(&rules, 40_000);
    check(&rules, at(29_999), &question, true);
    check(&rules, at(30_000), &question, false);
}

#[test]
fn another_question_is_another_one() {
    let rules = watched();
    let asked = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    let supporting = asked.clone().supporting(["notification"]);
    for other in [question("s"), supporting, asked.clone().afresh()] {
        check(&rules, at(1), &other, false);
    }
    check(&rules, at(1), &question("r"), true);
}

#[test]
fn without_a_watch_the_floor_counts() {
    let rules = Rules::new(TERMS);
    let question = ask(&rules, at(5_000), &lease(position(10), &[1], "r1"));
    check(&rules, at(6_999), &question, true);
    check(&rules, at(7_000), &question, false);
    // The watch comes, and has missed nothing since.
    rules.told(at(8_000), position(10), &hello()).unwrap();
    check(&rules, at(8_000), &question, true);
}

#[test]
fn a_watch_that_may_have_missed_something_ends_what_is_older() {
    for (epoch, is_kept) in [(position(9), false), (position(10), true), (position(11), true), (Epoch { life: 8, seq: 10 }, false)] {
        let rules = Rules::new(TERMS);
        let question = ask(&rules, at(0), &lease(epoch, &[1], "r1"));
        check(&rules, at(1), &question, true);
        rules.told(at(2), position(10), &hello()).unwrap();
        check(&rules, at(3), &question, is_kept);
    }
}

#[test]
fn the_decision_point_may_say_a_shorter_floor_and_no_longer_one() {
    for (told, floor) in [(500, 500), (60_000, 2_000)] {
        let rules = Rules::new(TERMS);
        let hello = WatchEvent::Hello { heartbeat: Millis(1_000), floor: Millis(told), revision: revision("r1") };
        rules.told(at(0), position(10), &hello).unwrap();
        rules.lost(at(0));
        let question = ask(&rules, at(10), &lease(position(10), &[1], "r1"));
        check(&rules, at(10 + floor - 1), &question, true);
        check(&rules, at(10 + floor), &question, false);
    }
}

#[test]
fn a_lost_watch_shortens_leases_to_the_floor_from_then() {
    let rules = watched();
    let question = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    live(&rules, 10_000);
    rules.lost(at(10_500));
    check(&rules, at(12_499), &question, true);
    check(&rules, at(12_500), &question, false);
    // A lease from after the loss counts from when it was asked for.
    let question = ask(&rules, at(13_000), &lease(position(10), &[1], "r1"));
    check(&rules, at(14_999), &question, true);
    check(&rules, at(15_000), &question, false);
}

#[test]
fn silence_is_a_loss() {
    let rules = watched();
    let question = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    live(&rules, 10_000);
    assert!(rules.lives(at(12_499)) && !rules.lives(at(12_500)), "two and a half heartbeats");
    check(&rules, at(14_499), &question, true);
    check(&rules, at(14_500), &question, false);
    // What is heard after that may be old: the watch does not live again on this connection.
    assert_eq!(rules.heard(at(14_500)), Err(Broken));
    check(&rules, at(14_501), &question, false);
}

#[test]
fn an_ending_ends_what_rests_on_it_and_nothing_else() {
    let rules = watched();
    let question = ask(&rules, at(0), &lease(position(10), &[1, 2], "r1"));
    rules.told(at(1), position(11), &ended(3)).unwrap();
    check(&rules, at(1), &question, true);
    rules.told(at(2), position(12), &ended(2)).unwrap();
    check(&rules, at(2), &question, false);
}

#[test]
fn an_ending_that_comes_before_its_lease_ends_it() {
    let rules = watched();
    rules.told(at(1), position(11), &ended(1)).unwrap();
    let late = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    check(&rules, at(2), &late, false);
    // Decided after it was told, and therefore with it.
    let later = ask(&rules, at(2), &lease(position(11), &[1], "r1"));
    check(&rules, at(3), &later, true);
    // An answer may overtake the event that it was decided after.
    let overtaking = ask(&rules, at(3), &lease(position(12), &[1], "r1"));
    rules.told(at(4), position(12), &ended(1)).unwrap();
    check(&rules, at(4), &overtaking, true);
    rules.told(at(5), position(13), &ended(1)).unwrap();
    check(&rules, at(5), &overtaking, false);
}

#[test]
fn a_policy_ends_what_another_one_allowed() {
    let rules = watched();
    let question = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    rules.told(at(1), position(11), &WatchEvent::Policy { revision: revision("r1") }).unwrap();
    check(&rules, at(1), &question, true);
    rules.told(at(2), position(12), &WatchEvent::Policy { revision: revision("r2") }).unwrap();
    check(&rules, at(2), &question, false);
    let late = ask(&rules, at(1), &lease(position(11), &[1], "r1"));
    check(&rules, at(2), &late, false);
}

#[test]
fn a_reset_a_gap_and_another_life_end_everything() {
    let other = Epoch { life: 8, seq: 11 };
    let gap = (position(13), ended(9), true);
    let reset = (position(10), WatchEvent::Reset {}, true);
    let another = (other, ended(9), false);
    let greets = (other, hello(), true);
    for (place, event, goes_on) in [gap, reset, another, greets] {
        let rules = Rules::new(TERMS);
        rules.told(at(0), position(9), &hello()).unwrap();
        let question = ask(&rules, at(0), &lease(position(9), &[1], "r1"));
        rules.told(at(0), position(10), &ended(9)).unwrap();
        check(&rules, at(1), &question, true);
        assert_eq!(rules.told(at(1), place, &event).is_ok(), goes_on);
        check(&rules, at(1), &question, false);
    }
}

#[test]
fn what_was_heard_before_is_heard_once() {
    let rules = watched();
    let question = ask(&rules, at(0), &lease(position(11), &[1], "r1"));
    for seq in [11, 11, 10, 1] {
        rules.told(at(1), position(seq), &ended(1)).unwrap();
        check(&rules, at(1), &question, true);
    }
    assert_eq!(rules.position(), Some(position(11)));
    rules.told(at(2), position(12), &ended(1)).unwrap();
    check(&rules, at(2), &question, false);
}

#[test]
fn a_watch_that_goes_on_where_it_was_ends_what_it_missed() {
    // The decision point says in its hello how far it is.
    let rules = watched();
    let other = question("other");
    let question = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
    rules.arrived(&other, &allow(&lease(position(10), &[2], "r1"), at(0), &other));
    rules.lost(at(100));
    rules.told(at(5_000), position(12), &hello()).unwrap();
    check(&rules, at(5_000), &question, false);
    assert!(!rules.lives(at(5_000)), "something is missing");
    rules.told(at(5_001), position(11), &ended(1)).unwrap();
    check(&rules, at(5_001), &other, false);
    rules.told(at(5_002), position(12), &ended(3)).unwrap();
    check(&rules, at(5_002), &other, true);
    check(&rules, at(5_002), &question, false);
}

#[test]
fn a_hello_that_does_not_say_how_far_the_stream_is_waits_for_a_sign() {
    let lost = || {
        let rules = watched();
        let question = ask(&rules, at(0), &lease(position(10), &[1], "r1"));
        rules.lost(at(100));
        rules.told(at(5_000), position(10), &hello()).unwrap();
        check(&rules, at(5_000), &question, false);
        (rules, question)
    };
    // What was missed may have been a reset, and more after it.
    let (rules, _) = lost();
    rules.told(at(5_001), position(11), &WatchEvent::Reset {}).unwrap();
    assert!(!rules.lives(at(5_001)));
    rules.quiet();
    assert!(rules.lives(at(5_001)));
    // A sign of life comes only when there is nothing to tell.
    let (rules, question) = lost();
    rules.quiet();
    check(&rules, at(5_001), &question, true);
    // A question that was asked later was decided when twelve events were told.
    let (rules, question) = lost();
    let later = self::question("later");
    rules.arrived(&later, &allow(&lease(position(12), &[4], "r1"), at(5_005), &later));
    check(&rules, at(5_010), &question, false);
    rules.told(at(5_011), position(11), &ended(2)).unwrap();
    assert!(!rules.lives(at(5_011)));
    rules.told(at(5_012), position(12), &ended(1)).unwrap();
    assert!(rules.lives(at(5_012)));
    check(&rules, at(5_012), &question, false);
    check(&rules, at(5_012), &later, true);
    // One that was asked before hello says nothing.
    let (rules, question) = lost();
    rules.arrived(&later, &allow(&lease(position(10), &[4], "r1"), at(4_999), &later));
    check(&rules, at(5_010), &question, false);
}

#[test]
fn a_gap_does_not_hide_what_is_still_on_its_way() {
    for (hello_at, last) in [(position(10), None), (position(13), Some(position(13)))] {
        let rules = watched();
        rules.lost(at(100));
        rules.told(at(5_000), hello_at, &hello()).unwrap();
        rules.told(at(5_001), position(12), &ended(1)).unwrap();
        assert!(!rules.lives(at(5_001)));
        match last {
            None => rules.quiet(),
            Some(last) => assert!(rules.told(at(5_002), last, &ended(2)).is_ok()),
        }
        assert!(rules.lives(at(5_002)));
    }
}

#[test]
fn a_lease_of_another_decision_point_is_not_kept_beside_a_watch() {
    let rules = watched();
    let (question, lease) = (question("r"), lease(Epoch { life: 8, seq: 10 }, &[1], "r1"));
    let allow = allow(&lease, at(0), &question);
    rules.arrived(&question, &allow);
    check(&rules, at(0), &question, false);
    // Whoever holds the answer has it for the floor, whatever the watch says.
    live(&rules, 3_000);
    assert_eq!(rules.standing(at(1_999), allow.held()), Standing::Good(at(2_000)));
    assert_eq!(rules.standing(at(2_000), allow.held()), Standing::Paused);
}

#[test]
fn events_that_are_no_longer_remembered_may_have_ended_it() {
    let rules = watched();
    let count = u64::try_from(RECENT).unwrap() + 5;
    (1..=count).for_each(|more| assert!(rules.told(at(1), position(10 + more), &ended(9)).is_ok()));
    check(&rules, at(2), &ask(&rules, at(0), &lease(position(14), &[1], "r1")), false);
    check(&rules, at(2), &ask(&rules, at(0), &lease(position(15), &[1], "r1")), true);
    assert!(rules.state().recent.len() <= RECENT);
    let large = WatchEvent::Ended { reason: Ending::Risk, depends_on: vec![tag(9); RECENT_TAGS / 2 + 1] };
    (1..=2).for_each(|more| assert!(rules.told(at(1), position(10 + count + more), &large).is_ok()));
    assert!(rules.state().tags <= RECENT_TAGS);
}

#[test]
fn what_must_not_be_kept_is_not() {
    let rules = watched();
    let once = |headers: Value| {
        let mut asked = question("r").asked().clone();
        asked.context.insert("http".to_owned(), json!({"headers": headers}));
        Question::new(asked)
    };
    let single_use = [once(json!([["DPoP", "eyJ"]])), once(json!([["authorization", "dpop abc"]]))];
    for question in single_use {
        rules.arrived(&question, &allow(&lease(position(10), &[1], "r1"), at(0), &question));
        check(&rules, at(0), &question, false);
    }
    let bearer = once(json!([["authorization", "Bearer abc"]]));
    rules.arrived(&bearer, &allow(&lease(position(10), &[1], "r1"), at(0), &bearer));
    check(&rules, at(0), &bearer, true);
    let emergency = json!({"lease": lease(position(10), &[1], "r1"), "obligations": [{"id": "1", "type": "break-glass"}]});
    let question = question("r");
    rules.arrived(&question, &answer(emergency, at(0), &question));
    check(&rules, at(0), &question, false);
    let unleased = answer(json!({"id": "d"}), at(0), &question);
    rules.arrived(&question, &unleased);
    check(&rules, at(0), &question, false);
    assert_eq!(rules.standing(at(4_999), unleased.held()), Standing::Good(at(5_000)));
    assert_eq!(rules.standing(at(5_000), unleased.held()), Standing::Over);
}

#[test]
fn what_is_kept_answers_only_when_it_is_fresh_enough() {
    let rules = watched();
    let question = question("r");
    let fresh = |chain, seq| Consistency { chain, seq };
    let said = json!({"lease": lease(position(10), &[1], "r1"), "consistency": fresh(1, 5)});
    rules.arrived(&question, &answer(said, at(0), &question));
    for (floor, is_kept) in [(fresh(1, 5), true), (fresh(1, 4), true), (fresh(1, 6), false), (fresh(2, 5), false), (fresh(2, 1), false)] {
        check(&rules, at(1), &question.clone().at_least(floor), is_kept);
    }
    let unsaid = json!({"lease": lease(position(10), &[1], "r1")});
    rules.arrived(&question, &answer(unsaid, at(0), &question));
    check(&rules, at(1), &question.clone().at_least(fresh(1, 1)), false);
    check(&rules, at(1), &question, true);
}

#[test]
fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    let keep = |room: Room, count: usize| {
        let rules = Rules::new(Terms { room, ..TERMS });
        rules.told(at(0), position(10), &hello()).unwrap();
        for id in 0..count {
            let question = question(&format!("{id}"));
            rules.arrived(&question, &allow(&lease(position(10), &[1], "r1"), at(0), &question));
        }
        rules.kept()
    };
    let few = keep(Room { entries: 100, bytes: 100 << 20 }, 1_000);
    assert!((50..=100).contains(&few), "{few}");
    let small = keep(Room { entries: 10_000, bytes: 200 << 10 }, 1_000);
    assert!((50..=300).contains(&small), "{small}: each is some 700 bytes");
}

#[test]
fn what_a_decision_point_says_of_itself_is_bounded() {
    for (told, silence) in [(0, 50), (1_000, 2_500), (u64::MAX, 150_000)] {
        let rules = Rules::new(TERMS);
        let hello = WatchEvent::Hello { heartbeat: Millis(told), floor: Millis(u64::MAX), revision: revision("r1") };
        rules.told(at(0), position(10), &hello).unwrap();
        assert!(rules.lives(at(silence - 1)) && !rules.lives(at(silence)), "{told}");
        let leaves = rules.told(at(0), position(10), &WatchEvent::Draining { within: Millis(u64::MAX) });
        assert_eq!(leaves, Ok(Next::Leave(Duration::from_secs(60))));
    }
}

#[test]
fn a_lease_that_rests_on_too_much_is_not_kept() {
    let rules = watched();
    check(&rules, at(0), &ask(&rules, at(0), &lease(position(10), &[1; MOST_TAGS], "r1")), true);
    let rules = watched();
    check(&rules, at(0), &ask(&rules, at(0), &lease(position(10), &[1; MOST_TAGS + 1], "r1")), false);
}

#[test]
fn nothing_is_remembered_of_leases_that_nobody_holds() {
    let rules = Rules::new(Terms { room: Room { entries: 10, bytes: 1 << 20 }, ..TERMS });
    rules.told(at(0), position(10), &hello()).unwrap();
    for id in 0..10_000 {
        let question = question(&format!("{id}"));
        rules.arrived(&question, &allow(&lease(position(10), &[1, 2], "r1"), at(0), &question));
    }
    assert!(rules.state().resting.count() < 1_000, "{}", rules.state().resting.count());
}

#[tokio::test]
async fn the_end_of_an_allow_is_told_to_whoever_waits_for_it() {
    let in_time = async |end| tokio::time::timeout(Duration::from_secs(20), end).await.unwrap();
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    let hand = Arc::new(AtomicU64::new(0));
    let clock = Clock::Hand(Arc::clone(&hand));
    let held = |rules: &Rules| {
        let question = question("r");
        let allow = allow(&lease(position(10), &[1], "r1"), clock.now(), &question);
        rules.arrived(&question, &allow);
        allow
    };
    // An ending.
    let rules = watched();
    let allow = held(&rules);
    let ((), ()) = tokio::join!(in_time(rules.ended(&clock, allow.held())), async {
        tokio::task::yield_now().await;
        rules.told(at(0), position(11), &ended(1)).unwrap();
    });
    // A lost watch, when the floor is over.
    let rules = watched();
    let allow = held(&rules);
    let ((), ()) = tokio::join!(in_time(rules.ended(&clock, allow.held())), async {
        tokio::task::yield_now().await;
        rules.lost(at(0));
        hand.store(at(2_000).0, Ordering::SeqCst);
        rules.lost(at(2_000));
    });
    // A lease of no length: whoever asks again at its end does not ask without pause.
    let rules = watched();
    let question = question("r");
    let none = self::allow(&Lease { ttl: Millis(0), ..lease(position(10), &[1], "r1") }, clock.now(), &question);
    rules.arrived(&question, &none);
    assert_eq!(rules.standing(clock.now(), none.held()), Standing::Over);
    let waits = tokio::time::timeout(Duration::from_millis(1), rules.ended(&clock, none.held()));
    assert!(waits.await.is_err());
    hand.fetch_add(nanos(PACE), Ordering::SeqCst);
    in_time(rules.ended(&clock, none.held())).await;
    // One that was over when it arrived.
    let rules = watched();
    rules.told(at(2_000), position(11), &ended(1)).unwrap();
    let allow = held(&rules);
    in_time(rules.ended(&clock, allow.held())).await;
}
