//! Every order of events: at most one trial, what is active is never held, and the trail is bounded.

use proptest::prelude::*;

use super::*;
use crate::event::StateEvent;
use crate::{Expect, Store};
use countersign_sdk_types::Tenant;

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn revision(n: u8) -> Revision {
    Revision::new(digest(n).to_string()).unwrap()
}

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

fn activation(n: u8, instead_of: Option<u8>) -> StateEvent {
    let activation = Activation {
        revision: revision(n),
        digest: digest(n),
        origin: Origin { name: Some(format!("commit {n}")), ..Origin::default() },
        by: "somebody".to_owned(),
        at: Timestamp(1),
        why: instead_of.map(|_| "it hurt".to_owned()),
        instead_of: instead_of.map(digest),
    };
    StateEvent::Activated { tenant: tenant(), activation }
}

fn trial(n: u8) -> StateEvent {
    let (stage, by, at) = (Stage::Shadow, "serve".to_owned(), Timestamp(2));
    let origin = Origin { signer: Some("ann".to_owned()), ..Origin::default() };
    let trial = Trial { revision: revision(n), digest: digest(n), origin, by, at, stage, stage_at: at };
    StateEvent::TrialBegun { tenant: tenant(), trial }
}

fn moved(n: u8, percent: u8) -> StateEvent {
    StateEvent::TrialMoved { tenant: tenant(), digest: digest(n), stage: Stage::Canary(percent), by: "serve".to_owned(), at: Timestamp(3) }
}

fn ended(n: u8, held: bool) -> StateEvent {
    let (by, at, why) = ("serve".to_owned(), Timestamp(4), "9 new denies".to_owned());
    StateEvent::TrialEnded { tenant: tenant(), digest: digest(n), held, by, at, why }
}

fn fold(events: impl IntoIterator<Item = StateEvent>) -> PolicyTimes {
    let store = Store::memory().unwrap();
    for event in events {
        // What comes too late is refused, and changes nothing.
        let _ = store.append(event, Expect::Any).wait();
    }
    store.view().policy_times(&tenant()).unwrap()
}

#[test]
fn a_trial_goes_through_its_stages_and_becomes_active() {
    let times = fold([activation(1, None), trial(2), moved(2, 1), moved(2, 10)]);
    let tried = times.trial.unwrap();
    assert_eq!((tried.digest, tried.stage, tried.stage_at), (digest(2), Stage::Canary(10), Timestamp(3)));
    let times = fold([activation(1, None), trial(2), moved(2, 1), activation(2, None)]);
    assert_eq!(times.trial, None);
    let told: Vec<String> = times.changes.iter().map(|change| change.step.to_string()).collect();
    assert_eq!(told, ["active", "canary at 1 %", "shadowed", "active"]);
    assert_eq!(times.changes.get(1).unwrap().origin.signer.as_deref(), Some("ann"), "the trail says whose signature held");
}

#[test]
fn what_is_rolled_back_is_held_until_it_is_active() {
    let times = fold([activation(1, None), trial(2), ended(2, true)]);
    assert_eq!((times.trial.is_none(), times.held(&digest(2)).map(|held| held.why.as_str())), (true, Some("9 new denies")));
    let times = fold([activation(1, None), activation(2, None), activation(1, Some(2))]);
    let held = times.held(&digest(2)).unwrap();
    assert_eq!((held.why.as_str(), held.origin.name.as_deref()), ("it hurt", Some("commit 2")));
    let times = fold([activation(1, None), trial(2), ended(2, true), activation(2, None)]);
    assert_eq!(times.held, []);
    let times = fold([activation(1, None), trial(2), ended(2, false)]);
    assert_eq!((times.held.len(), times.changes.first().unwrap().step), (0, PolicyStep::Withdrawn));
}

#[test]
fn what_is_not_tried_is_neither_moved_nor_ended() {
    let store = Store::memory().unwrap();
    let refused = |event: StateEvent| store.append(event, Expect::Any).wait().is_err();
    assert!(refused(moved(2, 1)) && refused(ended(2, true)));
    assert!(!refused(trial(2)));
    assert!(refused(moved(3, 1)) && refused(ended(3, true)));
    assert!(!refused(moved(2, 1)));
}

#[test]
fn an_activation_of_an_earlier_version_is_read() {
    let digest = digest(1);
    let written = serde_json::json!({ "revision": digest.to_string(), "digest": digest, "signer": "ann", "by": "serve", "at": 1 });
    let read: Activation = serde_json::from_value(written).unwrap();
    assert_eq!((read.origin.signer.as_deref(), read.origin.name, read.why, read.instead_of), (Some("ann"), None, None, None));
    let again: Activation = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
    assert_eq!(again.origin.signer.as_deref(), Some("ann"));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Activate(u8, Option<u8>),
    Begin(u8),
    Move(u8, u8),
    End(u8, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (0..70_u8, proptest::option::of(0..70_u8)).prop_map(|(n, of)| Step::Activate(n, of.filter(|of| *of != n))),
        (0..3_u8).prop_map(Step::Begin),
        (0..3_u8, 1..=100_u8).prop_map(|(n, percent)| Step::Move(n, percent)),
        (0..3_u8, any::<bool>()).prop_map(|(n, held)| Step::End(n, held)),
    ];
    proptest::collection::vec(one, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_happens_the_state_makes_sense(steps in steps()) {
        let mut active = None;
        let events = steps.iter().map(|step| match *step {
            Step::Activate(n, of) => {
                active = Some(n);
                activation(n, of)
            }
            Step::Begin(n) => trial(n),
            Step::Move(n, percent) => moved(n, percent),
            Step::End(n, held) => ended(n, held),
        });
        let times = fold(events.collect::<Vec<_>>());
        prop_assert!(times.held.len() <= MOST_HELD && times.changes.len() <= MOST_CHANGES);
        let mut held: Vec<_> = times.held.iter().map(|held| held.digest).collect();
        held.sort();
        held.dedup();
        prop_assert_eq!(held.len(), times.held.len(), "each content is held once");
        let is_tried = times.trial.as_ref().map(|trial| trial.digest);
        if let (None, Some(active)) = (is_tried, active) {
            let began_later = times.changes.iter().take_while(|change| change.step != PolicyStep::Active).count();
            prop_assert!(began_later > 0 || times.held(&digest(active)).is_none(), "what became active last is not held");
        }
    }
}
