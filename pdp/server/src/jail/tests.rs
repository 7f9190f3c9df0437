//! What the parent makes of each ending of a check. The checks themselves are tested with the real binary.

use super::*;

#[track_caller]
fn ending(wait_status: i32, said: &str, expected: &Result<CandidateReport, Ended>) {
    assert_eq!(judge(ExitStatus::from_raw(wait_status), said.as_bytes(), MEMORY), *expected, "{wait_status} {said}");
}

const CLEAN: &str = r#"{"problems":[],"tests":[]}"#;

#[test]
fn only_a_clean_end_with_a_report_is_one() {
    ending(0, CLEAN, &Ok(CandidateReport::default()));
    ending(0, "", &Err(Ended::Garbage));
    ending(0, "accepted", &Err(Ended::Garbage));
    ending(0, r#"{"problems":[],"problems":[],"tests":[]}"#, &Err(Ended::Garbage));
    ending(0, &format!("{CLEAN}{}", " ".repeat(MAX_REPORT.bytes)), &Err(Ended::TooMuch));
    ending(1 << 8, CLEAN, &Err(Ended::Failed(1)));
    ending(i32::from(NOT_READ) << 8, CLEAN, &Err(Ended::Failed(65)));
    ending(i32::from(NOT_JAILED) << 8, CLEAN, &Err(Ended::NotJailed("it does not say why".to_owned())));
    for signal in [9, 11, 31] {
        ending(signal, CLEAN, &Err(Ended::Signal(signal)));
    }
    ending(24, CLEAN, &Err(Ended::Cpu));
    ending(6, CLEAN, &Err(Ended::Aborted(MEMORY)));
}

#[test]
fn the_machine_is_blamed_for_what_it_did() {
    assert!(Ended::Late.is_passing() && Ended::NotStarted(String::new()).is_passing());
    assert!(!Ended::Cpu.is_passing() && !Ended::Aborted(MEMORY).is_passing() && !Ended::Garbage.is_passing());
}
