//! `policy test`: the tests of a policy, in Rego and as cases, run in the jail as before activation. Output and exit codes are those of `opa test`: 0 all passed,
//! 2 something did not, 1 nothing could be run.

mod json;
mod junit;
mod pretty;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use countersign_pdp_engine::policy::{DEFAULT_PACKAGE, Outcome, PolicySource, TestOptions, TestReport};

use super::super::control::clean;
use super::super::{fail, say};
use super::under_way;
use crate::clock::Stopwatch;
use crate::{jail, policies};

/// As `opa test` ends when nothing could be run.
const NOT_RUN: u8 = 1;
/// As it ends when something did not pass.
const NOT_PASSED: u8 = 2;

/// What `policy test` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The folder of the policy.
    folder: PathBuf,
    /// The package that cases ask.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// Only tests whose name this regular expression finds.
    #[arg(long, short)]
    run: Option<String>,
    /// Show every test, and every line that no test reached.
    #[arg(long, short)]
    verbose: bool,
    /// How the report is written.
    #[arg(long, short, default_value = "pretty")]
    format: Format,
    /// Write the report as JSON, as `--format json` does.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Say which lines of the policy the tests reached.
    #[arg(long, short)]
    coverage: bool,
    /// The least percentage of lines that the tests must reach.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: Option<u8>,
    /// The seconds that one test may take. At activation it is one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    timeout: u8,
    /// No test at all is a failure.
    #[arg(long)]
    fail_on_empty: bool,
    /// Skipped tests (`todo_test_…`) are no failure.
    #[arg(long, short = 'z')]
    exit_zero_on_skipped: bool,
    /// Run again whenever the folder changes, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// As `opa test` writes it.
    Json,
    /// For build servers.
    Junit,
}

/// Runs the command.
pub(in crate::cli) fn run(asked: &Test) -> ExitCode {
    if asked.watch { watch::run(asked) } else { run_once(asked) }
}

fn run_once(asked: &Test) -> ExitCode {
    let watch = Stopwatch::start();
    let source = match policies::read(&asked.folder).and_then(|files| policies::source(&asked.package, files)) {
        Ok(source) => source,
        Err(error) => return fail(NOT_RUN, &clean(&error)),
    };
    let bar = under_way("testing");
    let tested = jail::test(&source, &asked.options());
    bar.finish_and_clear();
    let report = match tested {
        Ok(report) => report,
        Err(ended) => return fail(NOT_RUN, &clean(&ended.to_string())),
    };
    if !report.problems.is_empty() {
        return fail(NOT_RUN, &clean(&pretty::problems(&source, &report.problems)));
    }
    let _ = say(&asked.written(&source, &report, watch.elapsed()));
    match asked.shortfall(&report) {
        Some(shortfall) => fail(NOT_PASSED, &shortfall),
        None if report.tests.iter().any(|test| asked.is_failure(test.outcome)) => ExitCode::from(NOT_PASSED),
        None => ExitCode::SUCCESS,
    }
}

impl Test {
    fn options(&self) -> TestOptions {
        TestOptions {
            only: self.run.clone(),
            budget_ms: u64::from(self.timeout) * 1_000,
            for_people: true,
            coverage: self.coverage || self.threshold.is_some(),
        }
    }

    const fn is_failure(&self, outcome: Outcome) -> bool {
        outcome.is_against() || (matches!(outcome, Outcome::Skipped) && !self.exit_zero_on_skipped)
    }

    /// What is missing although no test failed.
    fn shortfall(&self, report: &TestReport) -> Option<String> {
        if self.fail_on_empty && report.tests.is_empty() {
            return Some("no test was run".to_owned());
        }
        let (reached, wanted) = (percent(report.coverage.as_ref()?.lines()), f64::from(self.threshold?));
        (reached < wanted).then(|| format!("code coverage threshold not met: got {reached:.2} instead of {wanted:.2}"))
    }

    fn written(&self, source: &PolicySource, report: &TestReport, took: Duration) -> String {
        match if self.json { Format::Json } else { self.format } {
            Format::Json => json::written(report),
            Format::Junit => junit::written(source, report, took),
            Format::Pretty => clean(&pretty::written(source, report, self.verbose)),
        }
    }
}

/// Covered of all, in percent: a policy without lines is not covered.
fn percent((covered, all): (usize, usize)) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * covered as f64 / all as f64 }
}
