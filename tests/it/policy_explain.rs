//! `policy explain`: why, and the smallest change that is allowed, of an input and of a logged decision, through the real command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::policies::{deep, starter};
use countersign_tests::decisions::records;
use countersign_tests::process::countersign;
use serde_json::{Value, json};
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn explain(folder: &TempDir, arguments: &[&str]) -> Output {
    let policy = repository().join("policies/starter");
    Command::new(countersign()).args(["policy", "explain"]).arg(policy).args(arguments).current_dir(folder.path()).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// The golden example with changes.
fn input(folder: &TempDir, changes: &[(&str, Value)]) {
    let mut input: Value =
        serde_json::from_str(&fs::read_to_string(repository().join("policies/schema/input.golden.json")).unwrap()).unwrap();
    for (pointer, value) in changes {
        *input.pointer_mut(pointer).unwrap() = value.clone();
    }
    fs::write(folder.path().join("input.json"), input.to_string()).unwrap();
}

#[test]
fn an_input_is_explained_with_the_nearest_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    input(&folder, &[("/context/risk_score", json!(41)), ("/context/risk/level", json!("medium"))]);
    let output = explain(&folder, &["--input", "input.json", "--json"]);
    let explained = json_of(&output);
    assert_eq!((output.status.code(), &explained["effect"], &explained["proof"]), (Some(1), &json!("step_up"), &json!("phr")));
    assert_eq!(explained["reasons"], json!(["risk 41 is not below 30"]));
    let nearest = json!([{"path": "context.risk_score", "value": 29, "from": 41, "by": "subject"}]);
    assert_eq!(explained["nearest"]["found"][0], nearest, "{explained:#}");
    let rule = |name: &str| {
        explained["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == format!("data.authz.{name}")).unwrap().clone()
    };
    assert_eq!((&rule("risk_too_high")["value"], &rule("proof_missing")["value"]), (&json!("risk 41 is not below 30"), &Value::Null));
    assert_eq!(rule("risk_too_high")["reads"], json!({"context.risk_score": 41}));
    let words = explain(&folder, &["--input", "input.json"]);
    let said = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(said.contains("context.risk_score: 41 → 29 (the subject)") && said.contains("rules that do not"), "{said}");
    input(&folder, &[]);
    let allowed = explain(&folder, &["--input", "input.json", "--json"]);
    assert_eq!((allowed.status.code(), json_of(&allowed)["nearest"].clone()), (Some(0), Value::Null));
}

#[test]
fn a_final_no_says_that_no_proof_helps_and_who_could_change_it() {
    let folder = tempfile::tempdir().unwrap();
    input(&folder, &[("/user/role", json!("")), ("/user/roles", json!([]))]);
    let explained = json_of(&explain(&folder, &["--input", "input.json", "--json"]));
    assert_eq!((&explained["effect"], &explained["is_final"], &explained["proof"]), (&json!("deny"), &json!(true), &Value::Null));
    let found = explained["nearest"]["found"].as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|steps| steps[0]["by"] == "organization"), "{explained:#}");
}

#[test]
fn a_logged_decision_is_explained_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot { budget: Duration::from_secs(10), ..starter().unwrap() };
    let log: Vec<Record> = deep(|| records(&snapshot, 300, 7).collect()).unwrap();
    let lines: String = log.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
    fs::write(folder.path().join("log.jsonl"), lines).unwrap();
    let (mut step_ups, mut denies) = (0, 0);
    for record in &log {
        let (effect, count) = match &record.summary {
            Summary::Allow(_) => continue,
            Summary::StepUp(_) => ("step_up", &mut step_ups),
            Summary::Deny(_) => ("deny", &mut denies),
        };
        *count += 1;
        if *count > 2 {
            continue;
        }
        let output = explain(&folder, &["--log", "log.jsonl", "--id", &record.id.to_string(), "--json"]);
        let explained = json_of(&output);
        assert_eq!((output.status.code(), &explained["effect"]), (Some(1), &json!(effect)), "{explained:#}");
        assert_eq!(explained["recorded"]["id"], record.id.to_string());
    }
    assert!(step_ups > 0 && denies > 0);
    let unknown = explain(&folder, &["--log", "log.jsonl", "--id", "default.1.999999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no decision `default.1.999999`"), "{unknown:?}");
    assert_eq!(explain(&folder, &[]).status.code(), Some(64), "there is nothing to explain");
}
