//! How fast a change of policy is compared over a log: `diff-speed OLD NEW LOG [PACKAGE]`, two folders and a log as `policy diff` takes it.
//!
//! `cargo run --release -p countersign-tests --bin decision-log -- 1000000 log.jsonl.gz` makes a log.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool of the tests prints, and fails by panicking with what it saw"
)]

use std::path::Path;
use std::time::Instant;

use countersign_pdp_engine::policy::{DEFAULT_PACKAGE, Policy};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::diff::{Log, run};
use countersign_pdp_server::policies::{deep, read, source};
use countersign_sdk_types::Revision;

/// Compiled without the jail, which is the binary of the server.
fn load(folder: &str, package: &str) -> Snapshot {
    let source = source(package, read(Path::new(folder)).unwrap()).unwrap();
    let policy = deep(|| Policy::compile(&source)).unwrap().unwrap();
    Snapshot::new(Revision::new(source.digest().to_string()).unwrap(), policy)
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that it reads")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (old, new, log, package) = match arguments.as_slice() {
        [old, new, log] => (old, new, log, DEFAULT_PACKAGE),
        [old, new, log, package] => (old, new, log, package.as_str()),
        _ => panic!("usage: diff-speed OLD NEW LOG [PACKAGE]"),
    };
    let (old, new, log) = (load(old, package), load(new, package), Path::new(log));
    let bytes = Log::size(log).unwrap() as f64 / 1e6;
    let begun = now();
    let report = run(&old, &new, log, 3, |_| {}).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let (decisions, threads) = (report.decisions, std::thread::available_parallelism().map_or(1, usize::from));
    println!(
        "{decisions} decisions in {seconds:.1} s on {threads} cores: {:.0} a second, a log of {bytes:.0} MB",
        decisions as f64 / seconds
    );
    println!("{} new denies, {} new allows, {} new step-ups", report.new_denies, report.new_allows, report.new_step_ups);
    println!("1,000,000 decisions would take {:.1} s", seconds * 1e6 / decisions.max(1) as f64);
}
