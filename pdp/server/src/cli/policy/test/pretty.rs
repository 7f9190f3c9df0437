//! The report for people: what failed with its line, what it printed, and how much of the policy was reached.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use countersign_pdp_engine::policy::{Coverage, Outcome, PolicySource, Problem, TestReport, TestResult};

use super::super::check::shown;
use super::percent;

/// What keeps the tests from being run.
pub(super) fn problems(source: &PolicySource, problems: &[Problem]) -> String {
    let told = problems.iter().map(|problem| format!("{problem}{}", shown(source, problem.file.as_deref(), problem.line)));
    told.collect::<Vec<_>>().join("\n")
}

pub(super) fn written(source: &PolicySource, report: &TestReport, verbose: bool) -> String {
    let mut text = String::new();
    let mut file = "";
    for test in report.tests.iter().filter(|test| verbose || test.outcome != Outcome::Passed) {
        if test.file != file {
            file = &test.file;
            let _ = writeln!(text, "{file}:");
        }
        let took = match test.outcome {
            Outcome::Skipped => String::new(),
            _ => format!(" ({:?})", Duration::from_nanos(test.nanoseconds)),
        };
        let _ = writeln!(text, "{}: {}{took}", test.name, word(test.outcome));
        text.push_str(&details(source, test));
    }
    if !text.is_empty() {
        let _ = writeln!(text, "{}", "-".repeat(80));
    }
    text.push_str(&counts(&report.tests));
    if let Some(coverage) = &report.coverage {
        text.push_str(&covered(source, coverage, verbose));
    }
    text.trim_end().to_owned()
}

/// Why a test failed, the line that it got to, and what it printed.
fn details(source: &PolicySource, test: &TestResult) -> String {
    let mut text = String::new();
    for why in &test.why {
        let _ = writeln!(text, "  {why}");
    }
    if test.outcome.is_against() {
        let line = test.reached.unwrap_or(test.line) as usize;
        let shown = shown(source, Some(&test.file), Some(line));
        if !shown.is_empty() {
            let _ = writeln!(text, "{}", shown.trim_start_matches('\n'));
        }
    }
    if !test.output.is_empty() {
        let _ = writeln!(text, "\n  {}\n", test.output.join("\n  "));
    }
    text
}

pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "PASS",
        Outcome::Failed => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::Skipped => "SKIPPED",
    }
}

fn counts(tests: &[TestResult]) -> String {
    let count = |outcome| tests.iter().filter(|test| test.outcome == outcome).count();
    let told = [Outcome::Passed, Outcome::Failed, Outcome::Error, Outcome::Skipped];
    let told = told.into_iter().filter(|outcome| *outcome == Outcome::Passed || count(*outcome) > 0);
    told.map(|outcome| format!("{}: {}/{}\n", word(outcome), count(outcome), tests.len())).collect()
}

fn covered(source: &PolicySource, coverage: &Coverage, verbose: bool) -> String {
    let (reached, all) = coverage.lines();
    let mut text = format!("COVERAGE: {:.1} %, {reached} of {all} lines\n", percent((reached, all)));
    for (path, file) in coverage.files.iter().filter(|(_, file)| !file.not_covered.is_empty()) {
        let (reached, missing) = (file.covered.len(), file.not_covered.len());
        let _ = writeln!(text, "  {path}: {:.1} %, not reached: {}", percent((reached, reached + missing)), ranges(&file.not_covered));
        for line in file.not_covered.iter().filter(|_| verbose) {
            let _ = writeln!(text, "{}", shown(source, Some(path), Some(*line as usize)).trim_start_matches('\n'));
        }
    }
    text
}

fn ranges(lines: &BTreeSet<u32>) -> String {
    let told = spans(lines).into_iter().map(|(start, end)| if start == end { start.to_string() } else { format!("{start}-{end}") });
    told.collect::<Vec<_>>().join(", ")
}

/// Lines that follow each other, as first and last.
pub(super) fn spans(lines: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match spans.last_mut() {
            Some((_, end)) if end.saturating_add(1) == *line => *end = *line,
            _ => spans.push((*line, *line)),
        }
    }
    spans
}
