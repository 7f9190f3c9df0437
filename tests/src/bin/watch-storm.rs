//! `cargo run --release -p countersign-tests --bin watch-storm -- --streams 100000`: a storm of watches on a server of its own, measured.
//!
//! Build the server with it: `cargo build --release -p countersign-pdp-server -p countersign-tests`. Exits 1 when a bar is missed, 2 when it could not measure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use countersign_tests::storm::{Options, Report, rage};

const USAGE: &str = "watch-storm [--streams N] [--connections N] [--revocations N] [--json]";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<(Options, bool)> {
    let mut options = Options { streams: 100_000, connections: 0, revocations: 60 };
    let mut is_json = false;
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse().ok().filter(|number| (1..=200_000).contains(number));
        match argument.as_str() {
            "--streams" => options.streams = number()?,
            "--connections" => options.connections = number()?,
            "--revocations" => options.revocations = number()?,
            "--json" => is_json = true,
            _ => return None,
        }
    }
    if options.connections == 0 {
        options.connections = options.streams.div_ceil(50);
    }
    // A connection bears a hundred streams, and as many connections as a process has files.
    (options.streams <= options.connections * 100 && options.connections <= 4_000).then_some((options, is_json))
}

fn main() -> ExitCode {
    let Some((options, is_json)) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let raged = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(rage(options)));
    let report = match raged {
        Ok(report) => report,
        Err(error) => {
            eprintln!("could not measure: {error}");
            return ExitCode::from(2);
        }
    };
    if is_json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        print(&report);
    }
    let missed = report.missed();
    missed.iter().for_each(|bar| eprintln!("missed: {bar}"));
    ExitCode::from(u8::from(!missed.is_empty()))
}

fn print(report: &Report) {
    let rows = [
        ("watches, connections, sockets of the server", format!("{}, {}, {}", report.streams, report.connections, report.server_sockets)),
        (
            "memory of the server a watch",
            format!("{:.1} KiB", f64::from(u32::try_from(report.bytes_per_stream).unwrap_or(u32::MAX)) / 1024.0),
        ),
        ("all watches open after", format!("{:.1} s", report.opened_s)),
        ("revocations", format!("{}, each told to each: {}, leased: {}", report.revocations, report.complete, report.leased)),
        ("told to all: mean, p50, p99, slowest", spread(&[report.all_mean_ms, report.all_p50_ms, report.all_p99_ms, report.all_max_ms])),
        ("told to whoever holds the lease: mean, slowest", spread(&[report.own_mean_ms, report.own_max_ms])),
        ("answered to the operator: mean", spread(&[report.answered_mean_ms])),
        (
            "processor time of the server a revocation",
            format!("{:.0} ms", report.server_cpu_s * 1_000.0 / f64::from(u32::try_from(report.revocations).unwrap_or(1))),
        ),
    ];
    for (what, figure) in rows {
        println!("{what:<50} {figure}");
    }
}

fn spread(all: &[f64]) -> String {
    all.iter().map(|ms| format!("{ms:.1} ms")).collect::<Vec<_>>().join(", ")
}
