//! What a session leaves behind in the running server: its trail, which only raises, and what a login teaches.

use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Stage, now};
use serde_json::{Value, json};

/// One request of alice's by token, and what the server says of it.
fn ask(stage: &Stage, token: &str, from: &str, cookies: &str) -> (u16, Value) {
    let cookies = format!("access_token={token}{cookies}");
    let headers = [("cookie", cookies.as_str()), ("user-agent", OWNERS_AGENT), (FROM, from)];
    let status = stage.send("GET", "payroll", "/payroll", &headers, None).status;
    let log = stage.log();
    let last = log.lines().rev().find(|line| line.contains("\"decided\"")).unwrap();
    let line: Value = serde_json::from_str(last).unwrap();
    (status, stage.operated(&["why", line["fields"]["id"].as_str().unwrap()])["record"].clone())
}

fn nats(record: &Value, signal: &str) -> f64 {
    let items = record["trace"]["assessment"]["evidence"].as_array().unwrap();
    items.iter().filter(|item| item["signal"] == signal).map(|item| item["nats"].as_f64().unwrap()).sum()
}

fn waiting(record: &Value) -> usize {
    record["basis"]["facts"]["baseline"]["waiting"].as_array().unwrap().len()
}

#[test]
fn a_copied_session_is_known_by_where_it_was() {
    let stage = Stage::set();
    for claims in [json!({"sid": "one"}), json!({"jti": "nameless"})] {
        let token = stage.issuer.token("alice", &claims);
        let (at_home, began) = ask(&stage, &token, PARIS, "");
        assert_eq!((at_home, nats(&began, "session")), (200, 0.0));
        let (_, goes_on) = ask(&stage, &token, PARIS, "");
        assert!(
            goes_on["basis"]["facts"]["trail"]["origin"]["asn"] == 64496 && nats(&goes_on, "session") == 0.0,
            "{claims} {}",
            goes_on["basis"]["facts"]["trail"]
        );
        // Whatever cookie he makes up beside the copied token, it is the token that was in Paris a moment ago.
        for cookies in ["", "; __Host-countersign-device=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "; sid=made-up"] {
            let (stopped, thief) = ask(&stage, &token, SINGAPORE, cookies);
            assert_ne!(stopped, 200);
            assert!(nats(&thief, "session") > 3.0 && nats(&thief, "travel") > 0.0, "{claims} {cookies}: {thief}");
        }
        // And being refused, he did not become the origin.
        let (back, owner) = ask(&stage, &token, PARIS, "");
        assert_eq!((back, nats(&owner, "session")), (200, 0.0));
    }
}

#[test]
fn a_login_that_was_verified_elsewhere_teaches_once_and_a_revocation_takes_it_back() {
    let stage = Stage::set();
    let login =
        |sid: &str, ago: i64| stage.issuer.token("alice", &json!({"sid": sid, "amr": ["pwd", "mfa"], "auth_time": now().secs() - ago}));
    let fresh = login("fresh", 5);
    assert_eq!(waiting(&ask(&stage, &fresh, PARIS, "").1), 0, "nothing waits before the first request");
    let (_, second) = ask(&stage, &fresh, PARIS, "");
    assert_eq!(waiting(&second), 1, "the first request of a fresh login waits for its day");
    assert_eq!(waiting(&ask(&stage, &fresh, PARIS, "").1), 1, "later ones teach nothing");
    let old = login("old", 600);
    ask(&stage, &old, PARIS, "");
    let nameless = stage.issuer.token("alice", &json!({"amr": ["mfa"], "auth_time": now().secs() - 5}));
    ask(&stage, &nameless, PARIS, "");
    let thief = login("stolen", 5);
    ask(&stage, &thief, SINGAPORE, "");
    let password = stage.issuer.token("alice", &json!({"sid": "password", "amr": ["pwd"], "auth_time": now().secs() - 5}));
    ask(&stage, &password, PARIS, "");
    let (_, after) = ask(&stage, &fresh, PARIS, "");
    assert_eq!(waiting(&after), 1, "old, nameless, far away or by a password alone: none teaches");
    let session = after["basis"]["identified"]["session"].as_str().unwrap().to_owned();
    assert!(stage.operate(&["revoke", "session", &session, "--reason", "stolen"]).status.success());
    assert_eq!(waiting(&ask(&stage, &login("another", 600), PARIS, "").1), 0, "what waited is taken back");
}
