//! How cases are read, run and compared.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn ran(lines: &str) -> Report {
    run(lines.as_bytes(), &BTreeSet::new()).expect("report")
}

#[track_caller]
fn passes(case: &str) {
    let report = ran(case);
    assert_eq!((report.passed, report.failures), (1, Vec::new()), "{case}");
}

#[track_caller]
fn fails(case: &str, because: &str) {
    let report = ran(case);
    assert!(report.failures.iter().any(|failure| failure.why.contains(because)), "`{because}` is not in {report:?}");
}

#[test]
fn results_are_sets_of_bindings() {
    passes(
        r#"{"note": "a", "modules": ["package a\np contains x if some x in [2, 1]"], "query": "data.a.p = x", "want_result": [{"x": [1, 2]}]}"#,
    );
    passes(r#"{"note": "a", "query": "some x in [1, 1, 2]", "want_result": [{"x": 2}, {"x": 1.0}]}"#);
    passes(r#"{"note": "a", "query": "x = [2, 1]", "want_result": [{"x": [1, 2]}], "sort_bindings": true}"#);
    passes(r#"{"note": "a", "query": "false; x = 1", "want_result": []}"#);
    passes(r#"{"note": "a", "query": "x = input", "input": null, "want_result": [{"x": null}]}"#);
    passes(r#"{"note": "a", "query": "x = input", "want_result": []}"#);
    passes(r#"{"note": "a", "query": "x = input", "input_term": "{1}", "want_result": [{"x": [1]}], "plan": {}}"#);
    fails(r#"{"note": "a", "query": "x = [2, 1]", "want_result": [{"x": [1, 2]}]}"#, "expected");
    fails(r#"{"note": "a", "query": "x = 1", "want_result": []}"#, "expected");
}

#[test]
fn an_error_must_be_the_expected_one() {
    passes(
        r#"{"note": "a", "modules": ["package a\np := 1 / 0"], "query": "data.a.p = x", "want_error_code": "eval_builtin_error", "strict_error": true}"#,
    );
    passes(r#"{"note": "a", "modules": ["package a\np := 1\np := 2"], "query": "data.a.p = x", "want_error_code": "eval_conflict_error"}"#);
    fails(r#"{"note": "a", "query": "x = 1", "want_error": "any"}"#, "an error is expected");
    fails(r#"{"note": "a", "modules": ["package a\np := no.such(1)"], "query": "data.a.p = x", "want_error": "any"}"#, "not defined");
    fails(
        r#"{"note": "a", "modules": ["package a\np := ]"], "query": "data.a.p = x", "want_error_code": "eval_type_error"}"#,
        "rego_parse_error",
    );
}

#[test]
fn every_line_is_counted() {
    let case = r#"{"note": "a", "query": "x = 1", "want_result": [{"x": 1}]}"#;
    let passed_over = r#"{"note": "b", "query": "x = 1", "ignore": true}"#;
    let nothing = r#"{"note": "c", "query": "x = 1"}"#;
    let report = ran(&format!("{case}\n\n{passed_over}\n{nothing}\n{case}\n"));
    assert_eq!((report.cases, report.passed, report.skipped), (4, 2, 2));
    assert_eq!(report.passing, ["a", "a#2"]);
    assert!(run(b"", &BTreeSet::new()).is_err());
    assert!(run(b"{\"note\": 1}", &BTreeSet::new()).is_err());
    assert!(run(b"[1, 2]", &BTreeSet::new()).is_err());
}

#[test]
fn gzip_is_known_by_its_bytes() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(br#"{"note": "a", "query": "x = 1", "want_result": [{"x": 1}]}"#).expect("packed");
    let report = run(&packed.finish().expect("packed"), &BTreeSet::new()).expect("report");
    assert_eq!((report.cases, report.passed), (1, 1));
    assert!(run(&[0x1f, 0x8b, 0, 0], &BTreeSet::new()).is_err());
}

#[test]
fn a_hostile_case_only_fails() {
    for module in ["f(x) := f(x)\\np := f(1)", "p := count(numbers.range(1, 100000000))", "p := [[[[[[[[[[[[[[[[[[[[1", "p := \\\"x"] {
        let case = format!(r#"{{"note": "a", "modules": ["package a\n{module}"], "query": "data.a.p = x", "want_result": []}}"#);
        assert_eq!(ran(&case).failed, 1, "{case}");
    }
}
