//! The report as `opa test --format json` writes it: a list of tests; with coverage, the object of `opa test --coverage`, and the tests in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_pdp_engine::policy::{Coverage, FileCoverage, Outcome, TestReport, TestResult};
use serde_json::{Map, Value, json};

use super::percent;
use super::pretty::spans;

pub(super) fn written(report: &TestReport) -> String {
    let tests: Vec<Value> = report.tests.iter().map(test).collect();
    let written = match &report.coverage {
        Some(coverage) => serde_json::to_string_pretty(&covered(coverage, &tests)),
        None => serde_json::to_string_pretty(&tests),
    };
    written.unwrap_or_default()
}

fn test(test: &TestResult) -> Value {
    let (package, name) =
        if test.name.starts_with("data.") { test.name.rsplit_once('.').unwrap_or_default() } else { ("", test.name.as_str()) };
    let mut told = json!({
        "location": {"file": test.file, "row": test.line, "col": 1},
        "package": package,
        "name": name,
        "duration": test.nanoseconds,
    });
    let mut tell = |name: &str, value: Value| told.as_object_mut().map(|told| told.insert(name.to_owned(), value));
    match test.outcome {
        Outcome::Passed => None,
        Outcome::Failed => tell("fail", json!(true)),
        Outcome::Error => tell("error", json!({"message": test.why.join("; ")})),
        Outcome::Skipped => tell("skip", json!(true)),
    };
    if !test.output.is_empty() {
        tell("output", json!(STANDARD.encode(test.output.join("\n") + "\n")));
    }
    if !test.why.is_empty() {
        tell("why", json!(test.why));
    }
    if let Some(line) = test.reached {
        tell("reached", json!({"file": test.file, "row": line}));
    }
    told
}

fn covered(coverage: &Coverage, tests: &[Value]) -> Value {
    let files: Map<String, Value> = coverage.files.iter().map(|(path, file)| (path.clone(), covered_file(file))).collect();
    let (covered, all) = coverage.lines();
    json!({
        "files": files,
        "covered_lines": covered,
        "not_covered_lines": all - covered,
        "coverage": rounded(percent((covered, all))),
        "tests": tests,
    })
}

fn covered_file(file: &FileCoverage) -> Value {
    let lines =
        |lines| spans(lines).into_iter().map(|(start, end)| json!({"start": {"row": start}, "end": {"row": end}})).collect::<Vec<_>>();
    let (covered, missing) = (file.covered.len(), file.not_covered.len());
    json!({
        "covered": lines(&file.covered),
        "not_covered": lines(&file.not_covered),
        "covered_lines": covered,
        "not_covered_lines": missing,
        "coverage": rounded(percent((covered, covered + missing))),
    })
}

/// To two decimals, as OPA has it.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}
