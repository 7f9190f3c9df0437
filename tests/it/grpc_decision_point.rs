//! `countersign.v1.DecisionPoint` as others call it: the contract goes through a real protobuf compiler, and a client in Python asks the real binary.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use countersign_tests::authzen::{BEARER, Pdp, SECRET};
use countersign_tests::process::part_of;
use serde_json::{Value, json};

/// A client. Dropping it ends it.
struct Client {
    child: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    _generated: tempfile::TempDir,
}

impl Client {
    fn start(pdp: &Pdp) -> Self {
        let (top, generated, python) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), tempfile::tempdir().unwrap(), part_of("grpc", "python"));
        let mut compiler = Command::new(&python);
        compiler.args(["-m", "grpc_tools.protoc", "--proto_path"]).arg(top.join("sdk/proto"));
        for out in ["--python_out", "--grpc_python_out"] {
            compiler.arg(format!("{out}={}", generated.path().display()));
        }
        let compiled = compiler.arg("countersign/v1/decision_point.proto").output().unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
        let mut program = Command::new(&python);
        program.arg(top.join("tests/clients/decision_point.py")).arg(generated.path()).arg(pdp.grpc.to_string());
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (asked, told) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asked, told, _generated: generated }
    }

    fn ask(&mut self, call: &Value) {
        writeln!(self.asked, "{call}").unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("no line of JSON ({error}): `{line}`"))
    }

    /// A call with one answer, as `app`.
    #[track_caller]
    fn call(&mut self, name: &str, request: &Value) -> Value {
        let bearer = format!("Bearer {BEARER}");
        self.call_as(&[("authorization", &bearer)], name, request)
    }

    #[track_caller]
    fn call_as(&mut self, metadata: &[(&str, &str)], name: &str, request: &Value) -> Value {
        self.ask(&json!({"call": name, "metadata": metadata, "request": request}));
        let first = self.line();
        let Some(message) = first.get("message") else { return first };
        assert_eq!(self.line()["code"], "OK");
        message.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn question(who: &str, action: &str) -> Value {
    json!({"subject": {"type": "user", "id": who}, "action": {"name": action}, "resource": {"type": "record", "id": "record-1"}})
}

#[test]
fn both_wires_give_one_answer() {
    let pdp = Pdp::start("");
    let mut client = Client::start(&pdp);
    for (who, action) in [("alice", "read"), ("alice", "write"), ("bob", "read"), ("bob", "write"), ("nobody", "read")] {
        let mut asked = question(who, action);
        asked["context"] =
            json!({"countersign": {"lease": {"ttl_ms": 5000}}, "note": {"of": [1, 2.5, -3, null, true, "x", 9007199254740992_i64]}});
        let http = pdp.ask("/access/v1/evaluation", &asked).json();
        let grpc = client.call("Evaluate", &asked);
        // What is false is not on the wire.
        assert_eq!(grpc.get("decision").unwrap_or(&json!(false)), &http["decision"], "{grpc} {http}");
        for member in ["reason", "consistency"] {
            assert_eq!(grpc["context"].get(member), http["context"].get(member), "{grpc} {http}");
        }
        let leases = [&grpc, &http].map(|answer| answer["context"]["lease"]["depends_on"].clone());
        assert_eq!(leases[0], leases[1]);
        assert_eq!(leases[0].is_array(), http["decision"] == true, "{grpc}");
        assert!(grpc["context"]["id"].as_str().unwrap().starts_with("main."), "{grpc}");
    }
}

#[test]
fn a_batch_has_defaults_a_semantic_and_an_answer_in_each_place() {
    let pdp = Pdp::start("");
    let mut client = Client::start(&pdp);
    let batch = |semantic: &str, actions: &[&str]| {
        let items: Vec<Value> = actions.iter().map(|name| json!({"action": {"name": name}})).collect();
        json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-1"}, "evaluations": items, "semantic": semantic})
    };
    let mut decisions = |semantic: &str, actions: &[&str]| -> Vec<bool> {
        let answer = client.call("Evaluations", &batch(semantic, actions));
        answer["evaluations"].as_array().unwrap().iter().map(|item| item.get("decision") == Some(&json!(true))).collect()
    };
    assert_eq!(decisions("SEMANTIC_UNSPECIFIED", &["read", "write", "read"]), [true, false, true]);
    assert_eq!(decisions("SEMANTIC_DENY_ON_FIRST_DENY", &["read", "write", "read"]), [true, false]);
    assert_eq!(decisions("SEMANTIC_PERMIT_ON_FIRST_PERMIT", &["write", "read", "write"]), [false, true]);
    let faulty = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "evaluations": [
        {"resource": {"type": "record", "id": "record-1"}}, {}, {"resource": {"id": "record-1"}}]});
    let items = client.call("Evaluations", &faulty)["evaluations"].clone();
    assert_eq!(items[0]["decision"], true, "{items}");
    for (at, message) in [(1, "`resource` is missing"), (2, "`resource.type` is missing")] {
        assert_eq!(items[at]["context"]["error"], json!({"status": 400.0, "message": message}), "{items}");
    }
}

#[test]
fn strangers_are_refused_and_so_is_what_is_malformed() {
    let pdp = Pdp::start("");
    let mut client = Client::start(&pdp);
    let secret = format!("app:{SECRET}");
    assert_eq!(client.call_as(&[("x-countersign-pep", &secret)], "Evaluate", &question("alice", "read"))["decision"], true);
    for metadata in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("x-countersign-pep", "app:wrong")],
        &[("x-countersign-pep", &secret), ("authorization", "Bearer wrong")],
    ] {
        for (call, request) in [
            ("Evaluate", question("alice", "read")),
            ("Evaluations", json!({"evaluations": [question("alice", "read")]})),
            ("Watch", json!({})),
        ] {
            client.ask(&json!({"call": call, "metadata": metadata, "request": request, "events": 1}));
            let refused = client.line();
            assert_eq!(refused["code"], "UNAUTHENTICATED", "{call} {metadata:?}: {refused}");
        }
    }
    let malformed = [
        json!({}),
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": ""}, "resource": {"type": "record", "id": "record-1"}}),
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
            "context": {"risk_score": 1}}),
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
            "context": {"countersign": {"lease": {"ttl_ms": 1, "more": 2}}}}),
        json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
            "context": {"n": 9007199254740994_i64}}),
    ];
    for request in malformed {
        let refused = client.call("Evaluate", &request);
        assert_eq!(refused["code"], "INVALID_ARGUMENT", "{request}: {refused}");
    }
    assert_eq!(client.call("Evaluations", &json!({}))["code"], "INVALID_ARGUMENT");
    // Something of our own is missing: no decision, and never an allow.
    let mut ahead = question("alice", "read");
    ahead["context"] = json!({"countersign": {"at_least": "0000000000000000-1"}});
    let refused = client.call("Evaluate", &ahead);
    assert_eq!((&refused["code"], &refused["details"]), (&json!("UNAVAILABLE"), &json!("facts_unavailable")), "{refused}");
    assert!(refused["metadata"]["x-countersign-decision"].as_str().unwrap().starts_with("main."), "{refused}");
}

#[test]
fn a_watch_says_hello_and_hears_of_a_revocation() {
    let pdp = Pdp::start("");
    let mut client = Client::start(&pdp);
    let mut asked = question("alice", "read");
    asked["context"] = json!({"countersign": {"lease": {"ttl_ms": 30000, "watch": "python-1"}}});
    let bearer = format!("Bearer {BEARER}");
    client.ask(&json!({"call": "Watch", "metadata": [["authorization", bearer]], "request": {"watch": "python-1", "heartbeat_ms": 60000}, "events": 2}));
    let hello = client.line()["message"].clone();
    assert_eq!(hello["hello"]["heartbeat_ms"], "60000", "{hello}");
    let lease = pdp.ask("/access/v1/evaluation", &asked).json()["context"]["lease"].clone();
    assert_eq!(lease["epoch"], hello["id"], "{lease}");
    assert_eq!(lease["revision"], hello["hello"]["revision"]);
    let revoked = pdp.operate(&["revoke", "subject", "--iss", "pep:app", "--sub", "alice", "--reason", "stolen"]);
    let ended = client.line()["message"].clone();
    assert_eq!(ended["ended"]["reason"], "revoked", "{ended}");
    let tags = ended["ended"]["depends_on"].as_array().unwrap();
    assert!(tags.iter().any(|tag| lease["depends_on"].as_array().unwrap().contains(tag)), "{ended} {lease}");
    assert_eq!(client.line()["code"], "OK", "the client left");

    // Whoever comes back hears what it missed, and whoever names another life that it missed everything.
    let mut resumed = |last: &Value, events: u32| {
        client
            .ask(&json!({"call": "Watch", "metadata": [["authorization", bearer]], "request": {"last_event_id": last}, "events": events}));
        let told: Vec<Value> = (0..events).map(|_| client.line()["message"].clone()).collect();
        assert_eq!(client.line()["code"], "OK");
        told
    };
    assert_eq!(resumed(&hello["id"], 2)[1], ended);
    assert!(resumed(&json!("1-1"), 2)[1].get("reset").is_some());

    // A question that names the change is decided with it.
    asked["context"]["countersign"] = json!({"at_least": revoked["consistency"]});
    let answer = client.call("Evaluate", &asked);
    assert_eq!((answer.get("decision"), &answer["context"]["reason"]), (None, &json!("revoked")), "{answer}");
}
