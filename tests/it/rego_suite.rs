//! OPA's own compliance cases, in OPA's own semantics: every case is counted, and what passes once passes for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_pdp_server::conformance::{Report, rego};
use countersign_tests::process::countersign;

/// How many cases the committed file holds.
const CASES: usize = 1_057;

fn conformance(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(name)
}

fn report() -> Report {
    let file = std::fs::read(conformance("opa-v1-cases.jsonl.gz")).unwrap();
    rego::run(&file, &BTreeSet::new()).unwrap()
}

/// `UPDATE=1` adds what passes now; nothing ever takes a name out.
#[test]
fn what_passes_only_grows() {
    let report = report();
    assert_eq!((report.cases, report.skipped), (CASES, 0));
    let list = conformance("rego.passing");
    let listed: BTreeSet<String> = std::fs::read_to_string(&list).unwrap_or_default().lines().map(ToOwned::to_owned).collect();
    let passing: BTreeSet<String> = report.passing.iter().cloned().collect();
    let lost: Vec<_> = report.failures.iter().filter(|failure| listed.contains(&failure.case)).collect();
    assert!(lost.is_empty(), "cases that passed fail now: {lost:#?}");
    let all: Vec<&str> = listed.union(&passing).map(String::as_str).collect();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&list, all.join("\n") + "\n").unwrap();
    } else {
        let new: Vec<_> = passing.difference(&listed).collect();
        assert!(new.is_empty(), "more cases pass: run again with UPDATE=1 to write them down: {new:#?}");
    }
    let unknown: Vec<_> = listed.iter().filter(|name| !passing.contains(*name)).collect();
    assert!(unknown.is_empty(), "the list names cases that are not there: {unknown:#?}");
}

fn command(cases: &Path, known: Option<&Path>) -> (Option<i32>, String) {
    let mut command = Command::new(countersign());
    command.args(["conformance", "rego", "--json", "--cases"]).arg(cases);
    if let Some(known) = known {
        command.arg("--known").arg(known);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn anyone_can_run_a_file_of_cases() {
    let folder = tempfile::tempdir().unwrap();
    let (cases, known) = (folder.path().join("cases"), folder.path().join("known"));
    let good = r#"{"note": "good", "modules": ["package a\np := 1"], "query": "data.a.p = x", "want_result": [{"x": 1}], "more": {}}"#;
    let bad = r#"{"note": "bad", "modules": ["package a\np := 1"], "query": "data.a.p = x", "want_result": [{"x": 2}]}"#;
    std::fs::write(&cases, format!("{good}\n{good}\n")).unwrap();
    let (code, text) = command(&cases, None);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["passing"]), (Some(0), &serde_json::json!(["good", "good#2"])));
    std::fs::write(&cases, format!("{good}\n{bad}\n")).unwrap();
    assert_eq!(command(&cases, None).0, Some(1));
    std::fs::write(&known, "# known\nbad\n").unwrap();
    assert_eq!(command(&cases, Some(&known)).0, Some(0));
    std::fs::write(&cases, "no cases\n").unwrap();
    assert_eq!(command(&cases, None).0, Some(2));
}
