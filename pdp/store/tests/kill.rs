//! STORE-01: nothing that was acknowledged is lost by `kill -9` under load.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_pdp_store::{Options, Store};
use countersign_sdk_types::{Tenant, Timestamp};

const RUNS: usize = 100;

/// cargo builds the examples of a package before its tests, beside them.
fn writer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples/kill_writer");
    assert!(built.exists(), "`{}` is missing: run the tests of the whole package", built.display());
    built
}

/// Lets the writer go until it has acknowledged `count` records, kills it, and returns all that it acknowledged.
fn run(folder: &Path, count: usize) -> Vec<String> {
    let mut child = Command::new(writer()).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = lines.by_ref().take(count).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines.map_while(Result::ok));
    // The writer's lines are shorter than a pipe's atomic write, so none of them is cut.
    acknowledged
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let tenant = Tenant::new("acme").unwrap();
    let options = Options { segment_bytes: 16 * 1024, ..Options::default() };
    let mut all = BTreeSet::new();
    for round in 0..RUNS {
        let acknowledged = run(folder.path(), 1 + (round * 37) % 90);
        assert!(!acknowledged.is_empty(), "round {round}: the writer did not start");
        all.extend(acknowledged);
        // The next writer opens the folder and would refuse a damaged one; every tenth time all names are asked for.
        if round % 10 == 9 {
            let store = Store::open(folder.path(), options, Timestamp(1)).unwrap();
            let lost: Vec<_> = all.iter().filter(|name| store.view().user(&tenant, name).unwrap().is_none()).collect();
            assert!(lost.is_empty(), "round {round}: lost {lost:?}");
            store.verify().unwrap();
        }
    }
    assert!(all.len() > RUNS);
}
