//! `policy bench`: how long a policy takes, by entry point and by input, beside a policy that says no and nothing else.

mod inputs;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign_pdp_engine::policy::{DEFAULT_PACKAGE, Policy, PolicySource};
use countersign_sdk_types::contract::Input;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::super::control::clean;
use super::super::{COULD_NOT, fail, say};
use crate::clock::Stopwatch;
use crate::policies;

/// What everything is compared with: the least that a policy can be.
const PLAIN: &str = "package plain\nimport rego.v1\ndefault allow := false\n";
/// The time that an evaluation may take here, so that a slow one is measured and not cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most evaluations of one line of the report.
const MOST: usize = 200_000;
/// Evaluations that are not counted: the first ones fill caches.
const WARM: usize = 20;

/// What `policy bench` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// The folder of the policy.
    folder: PathBuf,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// Logged decisions to take inputs from too: the `decisions` folder of a store, or a file with one record a line.
    #[arg(long)]
    log: Option<PathBuf>,
    /// How many inputs are taken from the log at most.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    sample: u16,
    /// The milliseconds that each line of the report is measured for.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    milliseconds: u16,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// One entry point on inputs of one kind.
#[derive(Debug, Serialize)]
struct Line {
    entry: String,
    inputs: &'static str,
    evaluations: usize,
    /// Evaluations that gave no value, and so would deny.
    errors: usize,
    p50_us: f64,
    p99_us: f64,
    /// The median beside that of the plain policy on the same inputs.
    times_plain: f64,
}

/// Runs the command: 0 when there is a report, 2 when there is none.
pub(in crate::cli) fn run(asked: &Bench) -> ExitCode {
    match measure(asked) {
        Err(error) => fail(COULD_NOT, &clean(&error)),
        Ok(lines) if asked.json => say(&serde_json::to_string_pretty(&lines).unwrap_or_default()),
        Ok(lines) => say(&clean(&words(&lines))),
    }
}

fn measure(asked: &Bench) -> Result<Vec<Line>, String> {
    let policy = policies::load(&asked.folder, &asked.package)?.policy;
    let plain = PolicySource::from_files("plain", [("plain.rego".to_owned(), PLAIN.as_bytes().to_vec())]);
    let plain = plain.and_then(|source| Policy::compile(&source)).map_err(|error| error.to_string())?;
    let kinds = inputs::kinds(asked)?;
    let entries = policy.entries();
    let bar = bar(kinds.len() * (entries.len() + 1));
    let time = Duration::from_millis(u64::from(asked.milliseconds));
    let lines = policies::deep(|| {
        let mut lines = Vec::new();
        for (inputs, sample) in &kinds {
            let least = times(&plain, "data.plain.allow", sample, time);
            bar.inc(1);
            for entry in &entries {
                lines.push(line(entry, inputs, &times(&policy, entry, sample, time), &least));
                bar.inc(1);
            }
        }
        lines
    })?;
    bar.finish_and_clear();
    Ok(lines)
}

fn bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left");
    ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What was measured, shortest first.
struct Times {
    took: Vec<Duration>,
    errors: usize,
}

impl Times {
    /// In microseconds: what so many of a hundred took at most.
    fn percentile(&self, percent: usize) -> f64 {
        let place = (self.took.len() * percent / 100).min(self.took.len().saturating_sub(1));
        self.took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e6)
    }
}

/// One evaluation after another, the inputs in turn, until the time is over.
fn times(policy: &Policy, entry: &str, sample: &[Input], time: Duration) -> Times {
    let mut times = Times { took: Vec::new(), errors: 0 };
    for input in sample.iter().cycle().take(WARM) {
        let _ = policy.evaluate_entry(entry, input, PATIENCE);
    }
    let whole = Stopwatch::start();
    for input in sample.iter().cycle().take(MOST) {
        let one = Stopwatch::start();
        let given = policy.evaluate_entry(entry, input, PATIENCE);
        times.took.push(one.elapsed());
        times.errors += usize::from(given.is_err());
        if whole.elapsed() > time {
            break;
        }
    }
    times.took.sort_unstable();
    times
}

fn line(entry: &str, inputs: &'static str, times: &Times, least: &Times) -> Line {
    let (p50_us, plain) = (times.percentile(50), least.percentile(50));
    Line {
        entry: entry.to_owned(),
        inputs,
        evaluations: times.took.len(),
        errors: times.errors,
        p50_us,
        p99_us: times.percentile(99),
        times_plain: if plain > 0.0 { p50_us / plain } else { 0.0 },
    }
}

fn words(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.entry.len()).max().unwrap_or(0).max("entry point".len()) + 2;
    let mut text =
        format!("{:<width$}{:<11}{:>11}{:>12}{:>12}{:>11}{:>9}\n", "entry point", "inputs", "p50", "p99", "× plain", "asked", "failed");
    for line in lines {
        let Line { entry, inputs, evaluations, errors, p50_us, p99_us, times_plain } = line;
        let _ =
            writeln!(text, "{entry:<width$}{inputs:<11}{p50_us:>8.1} µs{p99_us:>9.1} µs{times_plain:>12.1}{evaluations:>11}{errors:>9}");
    }
    text + "plain: a policy that is `default allow := false`, asked about the same inputs in the same run"
}
