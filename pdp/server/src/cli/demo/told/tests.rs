//! The columns stand in line, a failure is told, and colors come only where they are wanted.

use countersign_pdp_demo::story::{Played, Step};

use super::{Ink, story, welcome};

fn step(told: &str, held: bool) -> Step {
    Step { at: "Tue 10:00".to_owned(), told: told.to_owned(), held, seen: "seen".to_owned() }
}

#[test]
fn the_steps_stand_in_columns() {
    let played = Played { steps: vec![step("short", true), step("somewhat longer", true)], why: None };
    let wanted = "✔ Tue 10:00  short            seen\n✔ Tue 10:00  somewhat longer  seen\n\nEvery step came out as told.";
    assert_eq!(story(&played, Ink::Plain), wanted);
}

#[test]
fn a_failure_is_told() {
    let played = Played { steps: vec![step("one", true), step("two", false)], why: None };
    let told = story(&played, Ink::Plain);
    assert!(told.contains("✘ Tue 10:00  two") && told.ends_with("1 of 2 steps did not come out as told."), "{told}");
}

#[test]
fn colors_come_only_where_they_are_wanted() {
    let played = Played { steps: vec![step("one", true)], why: None };
    assert!(!story(&played, Ink::Plain).contains('\u{1b}'));
    assert!(story(&played, Ink::Colored).starts_with("\u{1b}[32m✔\u{1b}[0m"));
}

#[test]
fn the_first_line_holds_the_address() {
    assert_eq!(welcome("http://payroll.localhost:1/").lines().next(), Some("The demonstration is at http://payroll.localhost:1/"));
}
