//! Replays a day of requests through an edge and through a decision point alone, and says what that came to. Exit code 1 when a promise was not kept.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints a table")]

use std::path::PathBuf;
use std::process::ExitCode;

use countersign_tests::edge_day::{Day, corpus, generated, replay};

const USAGE: &str = "usage: edge-day [--people N] [--seed N] [--corpus FILE [--visits N]] [--json]";

fn main() -> ExitCode {
    let (day, json) = match arguments() {
        Ok(given) => given,
        Err(error) => {
            eprintln!("edge-day: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build();
    let report = match runtime {
        // On a thread of the runtime: policies are evaluated there.
        Ok(runtime) => runtime.block_on(async { tokio::spawn(async move { replay(&day).await }).await }),
        Err(error) => {
            eprintln!("edge-day: {error}");
            return ExitCode::from(2);
        }
    };
    match &report {
        Ok(report) if json => println!("{}", serde_json::to_string_pretty(report).unwrap_or_default()),
        Ok(report) => println!("{report}"),
        Err(error) => eprintln!("edge-day: {error}"),
    }
    if report.is_ok_and(|report| report.holds()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments() -> Result<(Day, bool), String> {
    let (mut people, mut seed, mut file, mut visits, mut json) = (150, 1, None, 400, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` has no value"));
        let number = |text: String| text.parse::<u32>().map_err(|_| format!("`{text}` is not a number"));
        match word.as_str() {
            "--people" => people = number(value()?)?,
            "--seed" => seed = u64::from(number(value()?)?),
            "--corpus" => file = Some(PathBuf::from(value()?)),
            "--visits" => visits = number(value()?)? as usize,
            "--json" => json = true,
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    let day = file.map_or_else(|| Ok(generated(people, seed)), |file| corpus(&file, visits))?;
    Ok((day, json))
}
