//! AuthZEN on the real binary: other people's cases by our own command, and what hostile or careless callers send.

mod callers;
mod hostile;
mod obligations;
mod search;

use std::path::Path;
use std::process::{Command, Output};

use countersign_tests::authzen::{BEARER, Pdp, SUITES_BEARER, cases, policy};
use countersign_tests::issuer::{AUDIENCE, ISS, Issuer};
use countersign_tests::process::countersign;
use serde_json::{Value, json};

fn conformance(url: &str, file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(countersign());
    command.args(["conformance", "authzen", "--json", "--url", url, "--cases"]).arg(file).args(more);
    command.output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report ({error}): {output:?}"))
}

#[test]
fn every_case_of_the_three_suites_passes() {
    let pdp = Pdp::start("");
    for (name, count) in [("oidf-scenario-modules", 127), ("todo", 43), ("gateway", 25)] {
        let output = conformance(&pdp.url, &cases().join(format!("{name}.json")), &["--bearer", SUITES_BEARER]);
        let report = report(&output);
        assert_eq!((&report["cases"], &report["passed"]), (&json!(count), &json!(count)), "{name}: {report}");
        assert_eq!((&report["failed"], &report["skipped"]), (&json!(0), &json!(0)), "{name}: {report}");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn the_command_tells_what_does_not_hold_and_what_it_did_not_run() {
    let pdp = Pdp::start("");
    let question =
        json!({"subject": {"type": "user", "id": "bob"}, "action": {"name": "write"}, "resource": {"type": "record", "id": "record-1"}});
    let search = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}});
    let modules = json!([
        {"test": "wrong-decision", "endpoint": "/access/v1/evaluation", "payload": question, "expect": {"decision": true}},
        {"test": "wrong-status", "endpoint": "/access/v1/evaluation", "payload": question, "status": 400},
        {"test": "not-found", "endpoint": "/access/v1/search/subject", "payload": search, "expect": {"results": [{"type": "user", "id": "carol"}]}},
        {"test": "right", "endpoint": "/access/v1/evaluation", "payload": question, "expect": {"decision": false}},
        {"test": "needs-a-caller", "endpoint": "/access/v1/evaluation", "payload": question, "auth": "bearer", "expect": {"decision": false}},
        {"test": "needs-magic", "endpoint": "/access/v1/evaluation", "payload": question, "auth": "magic"},
    ]);
    let (file, known) = (pdp.folder.path().join("cases.json"), pdp.folder.path().join("known"));
    std::fs::write(&file, modules.to_string()).unwrap();
    let output = conformance(&pdp.url, &file, &["--bearer", BEARER]);
    let told = report(&output);
    assert_eq!((&told["passed"], &told["failed"], &told["skipped"]), (&json!(2), &json!(3), &json!(1)), "{told}");
    assert_eq!(output.status.code(), Some(1));
    std::fs::write(&known, "wrong-decision\nwrong-status\nnot-found\n").unwrap();
    let output = conformance(&pdp.url, &file, &["--bearer", BEARER, "--known", known.to_str().unwrap()]);
    assert_eq!((output.status.code(), &report(&output)["failed"]), (Some(0), &json!(3)));
    let told = report(&conformance(&pdp.url, &file, &[]));
    assert_eq!((&told["failed"], &told["skipped"]), (&json!(4), &json!(2)), "nobody is let in without a token: {told}");
}

#[test]
fn a_batch_is_answered_in_order_and_as_far_as_its_semantic_goes() {
    let pdp = Pdp::start("[authzen]\nmost_evaluations = 4\n");
    let decisions = |body: Value| -> Vec<bool> {
        let answer = pdp.ask("/access/v1/evaluations", &body).json();
        assert!(answer.get("decision").is_none(), "{answer}");
        answer["evaluations"].as_array().unwrap().iter().map(|item| item["decision"].as_bool().unwrap()).collect()
    };
    let batch = |semantic: &str, actions: &[&str]| {
        let items: Vec<Value> = actions.iter().map(|name| json!({"action": {"name": name}})).collect();
        json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-1"}, "evaluations": items,
            "options": {"evaluations_semantic": semantic, "other": [1]}})
    };
    assert_eq!(decisions(batch("execute_all", &["read", "write", "read"])), [true, false, true]);
    assert_eq!(decisions(batch("deny_on_first_deny", &["read", "write", "read"])), [true, false]);
    assert_eq!(decisions(batch("permit_on_first_permit", &["write", "read", "write"])), [false, true]);
    let many = pdp.ask("/access/v1/evaluations", &batch("execute_all", &["read"; 5]));
    assert!(many.status == 400 && many.body.contains("more than 4"), "{many:?}");

    // A fault of one item is told in its place; the defaults are whole objects.
    let faulty = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record"}, "evaluations": [
        {"resource": {"type": "record", "id": "record-1"}}, {}, {"subject": "alice"}, {"resource": {"id": "record-1"}}]});
    let answer = pdp.ask("/access/v1/evaluations", &faulty);
    assert_eq!(answer.status, 200);
    let items = answer.json()["evaluations"].clone();
    assert_eq!(items[0]["decision"], true, "{items}");
    for (at, message) in [(1, "`resource.id` is missing"), (2, "`subject` is no object"), (3, "`resource.type` is missing")] {
        assert_eq!(items[at]["decision"], false);
        assert_eq!(items[at]["context"]["error"], json!({"status": 400, "message": message}));
    }
    // A default of another type is a fault of the whole.
    assert_eq!(pdp.ask("/access/v1/evaluations", &json!({"subject": "alice", "evaluations": [{}]})).status, 400);
    // Nothing to evaluate is one evaluation.
    let one = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}, "evaluations": []});
    let answer = pdp.ask("/access/v1/evaluations", &one).json();
    assert!(answer["decision"] == true && answer.get("evaluations").is_none(), "{answer}");
}

#[test]
fn the_denials_of_one_batch_change_none_of_its_answers() {
    let pdp = Pdp::start("");
    let item = |action: &str, id: &str| json!({"action": {"name": action}, "resource": {"type": "record", "id": id}});
    let mut items = vec![item("write", "record-2"); 200];
    items.push(item("read", "record-1"));
    let batch = json!({"subject": {"type": "user", "id": "alice"}, "evaluations": items});
    let answer = pdp.ask("/access/v1/evaluations", &batch).json();
    let answers = answer["evaluations"].as_array().unwrap();
    assert_eq!((answers.len(), &answers[200]["decision"]), (201, &json!(true)), "{}", answers[200]);
    let ids: std::collections::BTreeSet<&str> = answers.iter().map(|answer| answer["context"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 201, "each decision has a record of its own");
}

#[test]
fn metadata_is_at_its_one_address_and_may_be_kept() {
    let pdp = Pdp::start("[authzen]\nidentifier = \"https://pdp.example/acme\"\n");
    let at = |path: &str| countersign_tests::http::send("GET", &format!("{}{path}", pdp.url), &[], None);
    let answer = at("/.well-known/authzen-configuration/acme");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let metadata = answer.json();
    assert_eq!(metadata["policy_decision_point"], "https://pdp.example/acme");
    assert_eq!(metadata["search_subject_endpoint"], "https://pdp.example/acme/access/v1/search/subject");
    assert!(metadata.get("signed_metadata").is_none() && metadata.as_object().unwrap().values().all(|value| !value.is_null()));
    for elsewhere in ["", "/", "/other", "/acme/", "/acme/more"] {
        assert_eq!(at(&format!("/.well-known/authzen-configuration{elsewhere}")).status, 404, "{elsewhere}");
    }
    assert_eq!(Pdp::start("").ask("/.well-known/authzen-configuration", &json!({})).status, 405);
}

#[test]
fn a_batch_has_one_deadline_and_what_comes_after_it_is_no() {
    let pdp = Pdp::start("[authzen]\ndeadline_ms = 10\n");
    let items = vec![json!({"resource": {"type": "record", "id": "record-1"}}); 1000];
    let batch = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "evaluations": items});
    let answer = pdp.ask("/access/v1/evaluations", &batch);
    let items = answer.json()["evaluations"].clone();
    assert_eq!((answer.status, items.as_array().unwrap().len()), (200, 1000));
    assert_eq!(items[999]["decision"], false);
    assert_eq!(items[999]["context"]["error"], json!({"status": 503, "message": "deadline"}));
}

#[test]
fn each_question_of_a_batch_is_about_whom_it_presents() {
    let issuer = Issuer::named("k");
    let more = format!(
        "[[host]]\norigin = \"https://payroll.example\"\n[[issuer]]\niss = \"{ISS}\"\njwks_file = \"jwks.json\"\nalgorithms = [\"ES256\"]\naudiences = [\"{AUDIENCE}\"]\n"
    );
    let jwks = issuer.jwks().to_string();
    let pdp = Pdp::with_policy(&policy(), &more, |folder| std::fs::write(folder.join("jwks.json"), jwks).unwrap());
    let presenting = |token: &str| {
        let headers = [["authorization".to_owned(), format!("Bearer {token}")]];
        json!({"http": {"method": "GET", "scheme": "https", "host": "payroll.example", "target": "/", "headers": headers}})
    };
    let token = |sub: &str| issuer.token_of("k", sub, &json!({}));
    let (alice, bob, forged) = (presenting(&token("alice")), presenting(&token("bob")), presenting(&format!("{}x", token("alice"))));
    let item = |action: &str, id: &str, context: Option<&Value>| {
        let mut item = json!({"action": {"name": action}, "resource": {"type": "record", "id": id}});
        context.into_iter().for_each(|context| item["context"] = context.clone());
        item
    };
    let batch = json!({"subject": {"type": "token", "id": "presented"}, "context": alice, "evaluations": [
        item("write", "record-1", None), item("write", "record-2", None), item("write", "record-2", Some(&bob)), item("write", "record-1", Some(&bob)),
        item("read", "record-1", Some(&forged)), item("read", "record-1", Some(&json!({}))), item("read", "record-1", None)]});
    let answer = pdp.ask("/access/v1/evaluations", &batch).json();
    let decisions: Vec<&Value> = answer["evaluations"].as_array().unwrap().iter().map(|item| &item["decision"]).collect();
    assert_eq!(decisions, [true, false, true, false, false, false, true], "{answer}");
    assert_eq!(answer["evaluations"][4]["context"]["reason"], "invalid_token");
}
