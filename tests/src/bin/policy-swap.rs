//! `cargo run --release -p countersign-tests --bin policy-swap`: revisions that change under 500 requests a second, measured on a server of its own; with
//! `--files 1500`, how soon one changed file decides.
//!
//! Build the server with it: `cargo build --release -p countersign-pdp-server -p countersign-tests`. Exits 1 when an answer was wrong or missing, 2 when it could
//! not measure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use countersign_tests::swap::live::{self, Delay};
use countersign_tests::swap::{self, Options, Report, Spread};
use serde_json::json;

const USAGE: &str =
    "policy-swap [--rate N] [--seconds N] [--subjects N] [--every SECONDS] [--json]\npolicy-swap --files N [--changes N] [--json]";

struct Asked {
    swap: Options,
    live: Option<live::Options>,
    is_json: bool,
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Option<Asked> {
    let mut swap = Options { rate: 500, seconds: 30, subjects: 2_000, is_canary: false, every: 1 };
    let (mut files, mut changes, mut is_json) = (None, 10, false);
    while let Some(argument) = arguments.next() {
        let mut number = |most: u32| arguments.next()?.parse().ok().filter(|number| (1..=most).contains(number));
        match argument.as_str() {
            "--rate" => swap.rate = number(20_000)?,
            "--seconds" => swap.seconds = number(600)?,
            "--subjects" => swap.subjects = number(10_000)?,
            "--every" => swap.every = number(60)?,
            "--files" => files = Some(number(2_400)?),
            "--changes" => changes = number(100)?,
            "--json" => is_json = true,
            _ => return None,
        }
    }
    // Each change closes a resource of its own.
    let live = files.map(|files| live::Options { files, changes }).filter(|live| live.files > live.changes * 7 + 2);
    (files.is_none() || live.is_some()).then_some(Asked { swap, live, is_json })
}

fn main() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(measure(&asked)));
    match measured {
        Ok(missed) => {
            missed.iter().for_each(|bar| eprintln!("missed: {bar}"));
            ExitCode::from(u8::from(!missed.is_empty()))
        }
        Err(error) => {
            eprintln!("could not measure: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures, prints each part when it is there, and gives the bars that are missed.
async fn measure(asked: &Asked) -> Result<Vec<String>, String> {
    match asked.live {
        Some(options) => measure_live(options, asked.is_json).await.map(|()| Vec::new()),
        None => measure_swaps(asked.swap, asked.is_json).await,
    }
}

async fn measure_live(options: live::Options, is_json: bool) -> Result<(), String> {
    let print = |title: &str, delay: &Delay| {
        if !is_json {
            println!(
                "{title:<36} p50 {:.0} ms, slowest {:.0} ms; a decision takes {:.1} ms",
                delay.p50_ms, delay.max_ms, delay.decision_ms
            );
        }
    };
    eprintln!("one changed file among {}, until it decides, {} times", options.files, options.changes);
    let folder = live::by_folder(options).await?;
    print("in a folder", &folder);
    let git = live::by_git(options).await?;
    print("in git over HTTP, signed, webhook", &git);
    if is_json {
        println!("{}", json!({"files": options.files, "folder": folder, "git": git}));
    }
    Ok(())
}

async fn measure_swaps(options: Options, is_json: bool) -> Result<Vec<String>, String> {
    eprintln!("{} requests a second for twice {} s", options.rate, options.seconds);
    let at_once = swap::swap(options).await?;
    if !is_json {
        print("swapped at once", &at_once);
    }
    // A trial takes three stages of a second or two each.
    let canary = swap::swap(Options { is_canary: true, every: options.every.max(8), ..options }).await?;
    if is_json {
        println!("{}", json!({"at_once": at_once, "canary": canary}));
    } else {
        print("through a canary of 10, 50 and 100 %", &canary);
    }
    Ok([at_once.missed(), canary.missed()].concat())
}

fn print(title: &str, report: &Report) {
    let spread = |spread: &Spread| {
        format!("{} requests, p50 {:.2} ms, p99 {:.2} ms, slowest {:.1} ms", spread.count, spread.p50_ms, spread.p99_ms, spread.max_ms)
    };
    let rows = [
        ("requests; wrong answers, failed", format!("{}; {}, {}", report.asked, report.wrong, report.failed)),
        ("revisions offered, of them swapped in", format!("{}, {}", report.offered, report.swapped)),
        ("from the file to the first decision", format!("{:.0} ms at worst", report.live_max_ms)),
        ("while nothing changes", spread(&report.calm)),
        ("while a revision comes in", spread(&report.swapping)),
        ("that by this: p50, p99", format!("{:.2}, {:.2}", report.p50_ratio, report.p99_ratio)),
    ];
    println!("{title}");
    for (what, figure) in rows {
        println!("  {what:<40} {figure}");
    }
    if let Some(first) = &report.first {
        println!("  {:<40} {first}", "the first that was wrong");
    }
}
