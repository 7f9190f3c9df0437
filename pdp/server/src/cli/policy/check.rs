//! `policy check`: everything that stands against a policy, and what its author may not have meant, each with its line.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_pdp_engine::policy::lint::{Lint, lint};
use countersign_pdp_engine::policy::{CandidateReport, DEFAULT_PACKAGE, Outcome, PolicySource};
use serde::Serialize;

use super::super::control::clean;
use super::super::{COULD_NOT, fail, say};
use crate::{jail, policies};

/// What `policy check` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The folder of the policy.
    folder: PathBuf,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// Warnings count as problems.
    #[arg(long)]
    strict: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    accepted: bool,
    #[serde(flatten)]
    candidate: &'a CandidateReport,
    warnings: &'a Lint,
}

/// Runs the command: 0 when the policy may be activated, 1 when something stands against it, 2 when there is nothing to check.
pub(in crate::cli) fn run(asked: &Check) -> ExitCode {
    let source = match policies::read(&asked.folder).and_then(|files| policies::source(&asked.package, files)) {
        Ok(source) => source,
        Err(error) => return fail(COULD_NOT, &clean(&error)),
    };
    let candidate = jail::check(&source);
    // Only what the jail accepted is looked at here.
    let warnings = if candidate.problems.is_empty() { policies::deep(|| lint(&source)) } else { Ok(Ok(Lint::default())) };
    let warnings = match warnings.and_then(|linted| linted.map_err(|error| error.to_string())) {
        Ok(warnings) => warnings,
        Err(error) => return fail(COULD_NOT, &clean(&error)),
    };
    let is_clean = warnings == Lint::default() || !asked.strict;
    let accepted = candidate.is_accepted() && is_clean;
    let report = Report { accepted, candidate: &candidate, warnings: &warnings };
    let _ = say(&if asked.json { serde_json::to_string_pretty(&report).unwrap_or_default() } else { clean(&words(&report, &source)) });
    if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn words(report: &Report<'_>, source: &PolicySource) -> String {
    let mut text = String::new();
    for problem in &report.candidate.problems {
        let _ = writeln!(text, "error: {problem}{}", shown(source, problem.file.as_deref(), problem.line));
    }
    for problem in &report.warnings.unknown {
        let _ = writeln!(text, "warning: {problem}{}", shown(source, problem.file.as_deref(), problem.line));
    }
    for finding in &report.warnings.fails_open {
        let _ = writeln!(text, "warning: {finding}{}", shown(source, Some(&finding.file), Some(finding.line)));
    }
    let (passed, all) =
        (report.candidate.tests.iter().filter(|test| test.outcome == Outcome::Passed).count(), report.candidate.tests.len());
    let warnings = report.warnings.unknown.len() + report.warnings.fails_open.len();
    let verdict = if report.accepted { "may be activated" } else { "is refused" };
    let _ = write!(
        text,
        "the policy {verdict}: {} errors, {warnings} warnings, {passed} of {all} tests passed",
        report.candidate.problems.len()
    );
    text
}

/// The line itself, below what is said of it.
pub(super) fn shown(source: &PolicySource, file: Option<&str>, line: Option<usize>) -> String {
    let place = file.zip(line).and_then(|(path, line)| {
        let file = source.files.iter().chain(&source.cases).find(|file| file.path == path)?;
        Some((line, file.text.lines().nth(line.checked_sub(1)?)?.replace('\t', "    ")))
    });
    place.map(|(line, text)| format!("\n  {line:>4} | {text}")).unwrap_or_default()
}
