//! `docs/policy-lifecycle.md`, typed as it stands: a git repository over HTTP, signed and unsigned changes, the gate, the canary, the way back and the audit trail.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_tests::page::{Block, blocks, compare, script};
use countersign_tests::process::{Process, countersign, free_ports, wait_within};

/// The page takes its time: people work, stages pass, and the programs are not optimised.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn the_page_does_what_it_says() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let blocks = blocks(&fs::read_to_string(top.join("policy-lifecycle.md")).unwrap());
    assert!(blocks.len() > 10, "the page was not read: {blocks:?}");
    let folder = tempfile::tempdir().unwrap();
    let typed = folder.path().join("typed");
    fs::write(&typed, script(&blocks, "cat $FOLDER/server.log $FOLDER/people.log")).unwrap();
    let ports: [u16; 3] = free_ports();
    let mut command = Command::new("bash");
    command.arg(top.join("policy-lifecycle/run")).arg("bash").arg(&typed).stdin(Stdio::null());
    // What the command would build is built.
    command.env("BUILT", countersign().parent().unwrap()).env("TMPDIR", folder.path()).env("HOME", folder.path());
    command.env("PORTS", ports.map(|port| port.to_string()).join(" "));
    let mut process = Process::start(&mut command, &folder.path().join("log"));
    let is_through = wait_within(PATIENCE, || process.has_ended());
    if !is_through {
        process.terminate();
    }
    compare(&blocks, &process.output()).unwrap_or_else(|difference| panic!("{difference}"));
    assert!(is_through, "{}", process.output());
}

#[test]
fn a_page_that_says_something_else_is_noticed() {
    let page = "text\n```sh\necho one 17 two\necho three\n```\nthen\n```text\none … two\nthree\n```\n```console\n$ not run\n```\n```sh\ntrue\n```\n";
    let [first, second] = blocks(page).try_into().unwrap();
    assert_eq!(first, Block { line: 3, commands: "echo one 17 two\necho three\n".to_owned(), prints: "one … two\nthree\n".to_owned() });
    assert_eq!((second.line, second.prints.as_str()), (15, ""));
    let both = [first, second];
    let run = |script: &str| String::from_utf8(Command::new("bash").arg("-c").arg(script).output().unwrap().stdout).unwrap();
    let printed = run(&script(&both, "echo last words"));
    assert_eq!(printed, "one 17 two\nthree\n\u{1e}\u{1e}last words\n");
    assert_eq!(compare(&both, &printed), Ok(()));
    for wrong in [
        "one two\nthree\n\u{1e}\u{1e}",
        "one 17 two\n\u{1e}\u{1e}",
        "one 17 two\nthree\nfour\n\u{1e}\u{1e}",
        "one 17 two\nthree\n\u{1e}noise\u{1e}",
        "",
    ] {
        assert!(compare(&both, wrong).is_err(), "{wrong}");
    }
    let any = [Block { prints: "first\n…\nlast\n".to_owned(), ..both[1].clone() }];
    assert_eq!(compare(&any, "first\nlast\n"), Ok(()));
    assert_eq!(compare(&any, "first\nmore\nand more\nlast\n"), Ok(()));
    assert!(compare(&any, "first\nlast\nmore\n").is_err());
}
