//! When a story holds.

use super::{Played, Step};

fn played(held: &[bool]) -> Played {
    let step = |held: &bool| Step { at: String::new(), told: String::new(), held: *held, seen: String::new() };
    Played { steps: held.iter().map(step).collect(), why: None }
}

#[test]
fn a_story_holds_only_if_every_step_does() {
    assert!(played(&[true, true]).holds());
    assert!(!played(&[true, false, true]).holds());
}

#[test]
fn a_story_without_steps_does_not_hold() {
    assert!(!played(&[]).holds());
}
