//! An identity provider's log teaches a real server, by the real command: said first, learned then, once, and felt at the next request.

use countersign_tests::issuer::ISS;
use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Scenery, Stage, now};
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

/// Five weeks of log-ins with a passkey in Paris until yesterday, three a day at hours that are not this one, and what else a log has.
fn log(user: &str) -> Value {
    let event = |kind: &str, at: i64, credential: &str, from: &str| {
        json!({"time": at, "type": kind, "realmId": "staff", "userId": user, "sessionId": format!("s{at}"), "ipAddress": from,
            "details": {"username": "alice", "credential_type": credential, "user_agent": OWNERS_AGENT}})
    };
    let past = (2..=36).flat_map(|day| [-1, 0, 1].map(|hour| now().0 - day * 24 * HOUR + (12 + hour) * HOUR));
    let passkeys = past.map(|at| event("LOGIN", at, "webauthn", PARIS));
    let others = [
        event("LOGIN", now().0 - HOUR, "password", SINGAPORE),
        event("LOGIN_ERROR", now().0 - HOUR, "password", SINGAPORE),
        event("LOGOUT", now().0 - HOUR, "password", PARIS),
        event("LOGIN", now().0 + 24 * HOUR, "webauthn", SINGAPORE),
        event("LOGIN", now().0 - 200 * 24 * HOUR, "webauthn", SINGAPORE),
    ];
    Value::Array(passkeys.chain(others).collect())
}

/// What a request of a subject's from a place is answered, and the risk as its decision has it.
fn visit(stage: &Stage, sub: &str, from: &str) -> (u16, u64) {
    let token = format!("Bearer {}", stage.issuer.token(sub, &json!({"sid": "today", "jti": "t"})));
    let answer = stage.send("GET", "payroll", "/payroll", &[("authorization", &token), (FROM, from), ("user-agent", OWNERS_AGENT)], None);
    let log = stage.log();
    let line = log.lines().rev().find(|line| line.contains("\"decided\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let why = stage.operated(&["why", line["fields"]["id"].as_str().unwrap()]);
    (answer.status, why["explanation"]["inherent"].as_u64().unwrap_or_else(|| panic!("{why}")))
}

#[test]
fn a_log_is_said_then_learned_once_and_makes_home_familiar() {
    let mut stage = Stage::with(&Scenery { past: &["bob"], ..Scenery::default() });
    let path = |name: &str| stage.folder.path().join(name).to_str().unwrap().to_owned();
    let (file, map) = (path("events.json"), path("map.csv"));
    std::fs::write(&file, log("0815f7c5").to_string()).unwrap();
    std::fs::write(&map, "id,sub\n0815f7c5,alice\n").unwrap();
    let command = ["learn", "import", &file, "--format", "keycloak", "--issuer", ISS, "--subjects", &map];
    let run = |more: &[&str]| {
        let output = stage.operate(&[&command[..], more, &["--json"]].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), report)
    };
    let before = (visit(&stage, "alice", PARIS), visit(&stage, "alice", SINGAPORE));

    let (code, said) = run(&["--dry-run"]);
    assert_eq!(code, Some(1), "one record has a problem: it lies in the future");
    assert_eq!(said["problems"], json!([{"record": 109, "problem": "it lies in the future"}]));
    let log = json!({"records": 110, "not_log_ins": 1, "not_successful": 1, "not_verified": 1, "unknown_subject": 0, "too_old": 1,
        "beyond_bounds": 0, "problems": 1, "gathered": 105});
    assert_eq!(said["log"], log, "{said}");
    assert_eq!((&said["learned"]["phishing_resistant"], &said["learned"]["countries"]), (&json!(105), &json!({"FR": 105})), "{said}");
    assert_eq!(before.0, visit(&stage, "alice", PARIS), "a dry run teaches nothing");

    let (_, learned) = run(&[]);
    assert_eq!((&learned["learned"], &learned["dry_run"]), (&said["learned"], &json!(false)));
    let (home, abroad) = (visit(&stage, "alice", PARIS), visit(&stage, "alice", SINGAPORE));
    assert!(home.0 == 200 && home.1 < 15, "home is familiar: {home:?}, before {:?}", before.0);
    assert!(abroad.0 != 200 && abroad.1 >= 30, "and abroad is not: {abroad:?}, before {:?}", before.1);
    assert!(abroad.1 > before.1.1, "before, nobody could tell");

    let (_, again) = run(&[]);
    assert_eq!((&again["learned"]["phishing_resistant"], &again["learned"]["already_known"]), (&json!(0), &json!(105)), "{again}");
    assert_eq!(home, visit(&stage, "alice", PARIS));

    let table = stage.operate(&[&command[..], &["--dry-run"]].concat());
    let table = String::from_utf8(table.stdout).unwrap();
    for told in ["not later than what is known", "105", "webauthn", "record 109: it lies in the future"] {
        assert!(table.contains(told), "`{told}` is not in:\n{table}");
    }
    let server = stage.log();
    assert!(server.contains("import past"), "the log says who taught");
    assert!(!server.contains(PARIS) && !server.contains(OWNERS_AGENT), "and nothing of what the log said");
    let data = stage.end();
    for segment in std::fs::read_dir(data.join("state")).unwrap() {
        let bytes = std::fs::read(segment.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(PARIS) && !text.contains("Mozilla"), "neither has the journal");
    }
}

#[test]
fn an_issuer_that_nobody_has_and_a_log_that_is_none_are_refused() {
    let stage = Stage::set();
    let file = stage.folder.path().join("events.json");
    let import = |issuer: &str, log: &str, more: &[&str]| {
        std::fs::write(&file, log).unwrap();
        let command = ["learn", "import", file.to_str().unwrap(), "--issuer", issuer];
        let output = stage.operate(&[&command[..], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let line = json!({"at": now().0 - HOUR, "sub": "alice", "address": PARIS, "methods": ["passkey"]}).to_string();
    let (code, said) = import(&format!("{ISS}/"), &line, &["--format", "jsonl"]);
    assert!(code == Some(64) && said.contains("as in the configuration"), "{said}");
    let (code, said) = import(ISS, &line[1..], &["--format", "jsonl"]);
    assert!(code == Some(2) && said.contains("JSON"), "{said}");
    let (code, said) = import(ISS, "[]", &["--format", "entra"]);
    assert!(code == Some(64) && said.contains("--subjects"), "{said}");
}

#[test]
fn without_a_server_the_command_says_so_before_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let mut command = std::process::Command::new(countersign_tests::process::countersign());
    command.args(["learn", "import", "nowhere.json", "--format", "jsonl", "--socket"]).arg(&socket);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("countersign serve") && said.contains("control.sock"), "{said}");
}
