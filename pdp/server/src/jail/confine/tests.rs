//! What can be said of the walls from outside; that they stand is tested with the real binary.

use super::*;

#[test]
fn an_open_jail_is_noticed() {
    assert!(matches!(prove(), Err(Open::Possible("opening a file"))));
}

#[test]
fn the_list_of_calls_is_known_on_every_machine() {
    for machine in [TargetArch::x86_64, TargetArch::aarch64] {
        let calls = SYSCALLS.replace("\"own process\"", "1");
        assert_eq!(compile_from_json(calls.as_bytes(), machine).unwrap().len(), 1);
    }
}
