//! What operators do, by the real commands on a running server: see why, revoke, break the glass, and verify the journal.

use std::os::unix::fs::PermissionsExt as _;

use countersign_tests::http;
use countersign_tests::issuer::ISS;
use countersign_tests::stage::{FROM, PARIS, Stage};
use serde_json::{Value, json};

/// A request of alice's to the payroll, and the decision that was made of it.
fn visit(stage: &Stage, method: &str) -> (u16, Value) {
    let token = format!("Bearer {}", stage.issuer.token("alice", &json!({"sid": "login", "jti": "token-1"})));
    let answer = stage.send(method, "payroll", "/payroll", &[("authorization", &token), (FROM, PARIS)], None);
    let last = stage.log().lines().rev().find(|line| line.contains("\"decided\"")).map(|line| serde_json::from_str(line).unwrap());
    (answer.status, last.unwrap())
}

fn id_of(line: &Value) -> String {
    line["fields"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn operators_see_why_and_can_stop_anybody() {
    let stage = Stage::set();
    let socket = stage.folder.path().join("data/control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let status = stage.operated(&["status"]);
    assert_eq!((&status["tenant"], &status["policy"]["candidate"]), (&json!("main"), &Value::Null), "{status}");

    let (allowed, line) = visit(&stage, "GET");
    assert_eq!(allowed, 200, "{line}");
    let why = stage.operate(&["why", &id_of(&line)]);
    let why = String::from_utf8(why.stdout).unwrap();
    for told in ["allow", "alice", "payroll", "risk", "network"] {
        assert!(why.contains(told), "`{told}` is not in:\n{why}");
    }

    // One session was let through so far: no percentile can be made of that, and nobody is told that one was.
    let few = stage.operate(&["calibrate"]);
    let said = String::from_utf8(few.stdout).unwrap();
    assert!(few.status.code() == Some(1) && said.starts_with("1 sessions") && said.contains("1000 are needed"), "{said}");

    // Changing things needs a compliant device; a broken glass stands in for it, and is loud.
    assert_eq!(visit(&stage, "POST").0, 403);
    let broken = stage.operated(&["break-glass", "--iss", ISS, "--sub", "alice", "--minutes", "5", "--reason", "the inventory is down"]);
    assert!(broken["expires"].is_number(), "{broken}");
    let (broken_in, line) = visit(&stage, "POST");
    assert_eq!(broken_in, 200, "{line} {}", String::from_utf8_lossy(&stage.operate(&["why", &id_of(&line)]).stdout));
    assert!(stage.log().lines().any(|line| line.contains("\"ERROR\"") && line.contains("the inventory is down")));

    // Whatever of hers is revoked, she is out; taken back, she is in again.
    let session = visit(&stage, "GET").1["fields"]["id"].as_str().map(|id| stage.operated(&["why", id])).unwrap();
    let session = session["record"]["basis"]["identified"]["session"].as_str().unwrap().to_owned();
    let revocations: [&[&str]; 3] =
        [&["subject", "--iss", ISS, "--sub", "alice"], &["session", &session], &["token", "--iss", ISS, "--jti", "token-1"]];
    for target in revocations {
        let command: Vec<_> = ["revoke"].iter().chain(target).copied().collect();
        assert!(stage.operate(&[&command[..], &["--reason", "stolen"]].concat()).status.success());
        let (refused, line) = visit(&stage, "GET");
        assert_eq!((refused, &line["fields"]["code"]), (401, &json!("revoked")), "{target:?}");
        let undo: Vec<_> = ["revoke", "undo"].iter().chain(target).copied().collect();
        assert!(stage.operate(&undo).status.success(), "{undo:?}");
        assert_eq!(visit(&stage, "GET").0, 200, "{target:?}");
    }

    // A role of the operator's wins over the file.
    assert!(stage.operate(&["users", "set", "alice", "--roles", "guest"]).status.success());
    assert_eq!(visit(&stage, "GET").0, 403, "no one role is known any more");

    let verified = stage.operated(&["verify"]);
    assert_eq!(verified["sound"], true, "{verified}");
    let metrics = http::send("GET", &format!("http://127.0.0.1:{}/metrics", stage.operations), &[], None);
    for series in ["countersign_decisions_total{effect=\"allow\"", "code=\"revoked\"", "countersign_decision_seconds_bucket", "build_info"]
    {
        assert!(metrics.body.contains(series), "`{series}` is not in:\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("alice") && !metrics.body.contains(PARIS), "{}", metrics.body);
}

#[test]
fn a_decision_is_explained_as_a_table_and_as_a_picture() {
    let stage = Stage::set();
    let (_, line) = visit(&stage, "GET");
    let picture = stage.folder.path().join("why.svg");
    let explain = ["risk", "explain", "--decision", &id_of(&line), "--svg", picture.to_str().unwrap()];
    let explained = stage.operate(&explain);
    let table = String::from_utf8(explained.stdout).unwrap();
    for told in ["allow", "alice", "network", "sum", "after a passkey", "last verified:"] {
        assert!(table.contains(told), "`{told}` is not in:\n{table}\n{}", String::from_utf8_lossy(&explained.stderr));
    }
    assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg "));
    assert_eq!(stage.operate(&explain).status.code(), Some(2), "a picture is never written over");
    let data = stage.operated(&["risk", "explain", "--decision", &id_of(&line)]);
    let points: i64 = data["contributions"].as_array().unwrap().iter().map(|one| one["points"].as_i64().unwrap()).sum();
    assert_eq!(Some(points), data["score"].as_i64(), "{data}");
}

#[test]
fn without_a_server_the_commands_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let output =
        std::process::Command::new(countersign_tests::process::countersign()).args(["status", "--socket"]).arg(&socket).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("countersign serve") && said.contains("control.sock"), "{said}");
}
