//! The report as JUnit's XML, which build servers show: a suite for each file.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_pdp_engine::policy::{Outcome, PolicySource, TestReport, TestResult};

use super::super::super::control::clean;
use super::super::check::shown;

pub(super) fn written(source: &PolicySource, report: &TestReport, took: Duration) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites {} time=\"{}\">", counts(&report.tests), took.as_secs_f64());
    for tests in report.tests.chunk_by(|a, b| a.file == b.file) {
        let file = tests.first().map(|test| test.file.as_str()).unwrap_or_default();
        let took: u64 = tests.iter().map(|test| test.nanoseconds).sum();
        let _ = writeln!(text, "  <testsuite name=\"{}\" {} time=\"{}\">", escaped(file), counts(tests), seconds(took));
        tests.iter().for_each(|test| text.push_str(&case(source, test)));
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>"
}

fn counts(tests: &[TestResult]) -> String {
    let count = |outcome| tests.iter().filter(|test| test.outcome == outcome).count();
    let [failed, errors, skipped] = [Outcome::Failed, Outcome::Error, Outcome::Skipped].map(count);
    format!("tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" skipped=\"{skipped}\"", tests.len())
}

fn case(source: &PolicySource, test: &TestResult) -> String {
    let mut text = format!(
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\">",
        escaped(&test.name),
        escaped(&test.file),
        escaped(&test.file),
        test.line,
        seconds(test.nanoseconds)
    );
    let line = test.reached.unwrap_or(test.line);
    let place = format!("{}:{line}{}", test.file, shown(source, Some(&test.file), Some(line as usize)));
    let said = test.why.join("; ");
    let _ = match test.outcome {
        Outcome::Passed => Ok(()),
        Outcome::Failed => write!(text, "\n      <failure message=\"{}\">{}</failure>", escaped(&said), escaped(&place)),
        Outcome::Error => write!(text, "\n      <error message=\"{}\">{}</error>", escaped(&said), escaped(&place)),
        Outcome::Skipped => write!(text, "\n      <skipped/>"),
    };
    if !test.output.is_empty() {
        let _ = write!(text, "\n      <system-out>{}</system-out>", escaped(&test.output.join("\n")));
    }
    text + "\n    </testcase>\n"
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// What stands in XML as text. Control characters, which XML has no place for, are written out.
fn escaped(text: &str) -> String {
    let symbol = |symbol: char| match symbol {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\u{FFFE}' | '\u{FFFF}' => symbol.escape_unicode().to_string(),
        other => other.to_string(),
    };
    clean(text).chars().map(symbol).collect()
}
