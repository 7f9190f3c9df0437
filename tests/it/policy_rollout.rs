//! From accepted to active and back, by the real server and its commands: shadow, canary, what trips them, holds, restarts, and leases in between.

use std::process::{Command, Output};

use countersign_tests::http;
use countersign_tests::process::{countersign, wait_for};
use countersign_tests::watched::{PEP, POLICY, Server, Watch};
use serde_json::{Value, json};

/// Nobody may read.
fn closed() -> String {
    POLICY.replace("\"read\"", "\"nothing\"")
}

/// Whoever reads has no answer.
fn broken() -> String {
    format!("{POLICY}allow := false if input.action.name == \"read\"\n")
}

fn harmless() -> String {
    format!("{POLICY}# nothing else\n")
}

fn offer(server: &Server, text: &str) {
    std::fs::write(server.folder.path().join("policy/read.rego"), text).unwrap();
}

fn command(server: &Server, arguments: &[&str]) -> Output {
    let config = server.folder.path().join("countersign.toml");
    Command::new(countersign()).arg("policy").args(arguments).arg("--config").arg(config).output().unwrap()
}

fn told(server: &Server, arguments: &[&str]) -> Value {
    let output = command(server, &[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

#[track_caller]
fn wait_for_status(server: &Server, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = wait_for(|| holds(&told(server, &["status"])));
    let status = told(server, &["status"]);
    assert!(found, "not {what}: {status:#}");
    status
}

#[track_caller]
fn wait_for_trial(server: &Server) -> String {
    let status = wait_for_status(server, "on trial", |status| status["trial"].is_object());
    status["trial"]["revision"].as_str().unwrap().to_owned()
}

fn ask(server: &Server, subject: &str, watch: Option<&str>) -> Value {
    let question = Server::question(subject, "read", watch);
    http::send("POST", &server.evaluation(), &[("x-countersign-pep", PEP)], Some(&question)).json()
}

fn may(server: &Server, subject: &str) -> bool {
    ask(server, subject, None)["decision"].as_bool().unwrap()
}

/// The revision that the record of an answer names.
fn revision_of(server: &Server, answer: &Value) -> String {
    let config = server.folder.path().join("countersign.toml");
    let id = answer["context"]["id"].as_str().unwrap();
    let output = Command::new(countersign()).args(["why", id, "--json", "--config"]).arg(config).output().unwrap();
    let why: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{id}: {error}: {output:?}"));
    why["record"]["revision"].as_str().unwrap().to_owned()
}

fn history(server: &Server) -> Vec<String> {
    let history = told(server, &["history"]);
    let step = |change: &Value| match &change["step"] {
        Value::String(step) => step.clone(),
        canary => format!("canary {}", canary["canary"]),
    };
    history["changes"].as_array().unwrap().iter().rev().map(step).collect()
}

#[test]
fn a_shadow_reports_what_would_change_and_answers_with_the_old() {
    let server = Server::start("[policy.rollout]\nshadow_s = 3600\nmax_new_denies = \"\"\n");
    offer(&server, &closed());
    let candidate = wait_for_trial(&server);
    assert!((0..20).all(|n| may(&server, &format!("person-{n}"))), "the old one answers");
    let status = wait_for_status(&server, "compared", |status| status["trial"]["counted"]["decisions"] == 20);
    let trial = &status["trial"];
    assert_eq!((&trial["counted"]["new_denies"], &trial["counted"]["answered"]), (&json!(20), &json!(0)), "{trial:#}");
    assert_eq!((&trial["stage"], &trial["changes"]["new_denies"]), (&json!("shadowed"), &json!(20)));
    assert!(trial["changes"]["examples"][0]["subject"].as_str().unwrap().contains("person-"), "{trial:#}");
    for (series, value) in [
        ("countersign_policy_trial_decisions_total{change=\"new_deny\"} ", 20.0),
        ("countersign_policy_trial_percent ", 0.0),
        (&format!("countersign_policy_info{{revision=\"{candidate}\",state=\"trial\"}} "), 1.0),
    ] {
        assert!((server.counted(series) - value).abs() < 0.1, "{series}");
    }
    // For people the same is a text.
    let said = String::from_utf8(command(&server, &["status"]).stdout).unwrap();
    assert!(said.contains("shadowed since") && said.contains("20 new denies") && said.contains("allow → deny"), "{said}");
}

#[test]
fn a_canary_answers_a_tenth_of_the_subjects_and_every_record_says_by_what() {
    let rollout = "[policy.rollout]\ncanary = [10, 100]\nstage_s = 3600\nmax_new_denies = \"\"\n";
    let server = Server::start(rollout);
    let old = told(&server, &["status"])["revision"].as_str().unwrap().to_owned();
    offer(&server, &closed());
    let candidate = wait_for_trial(&server);
    let refused = || -> Vec<u32> { (0..300).filter(|n| !may(&server, &format!("person-{n}"))).collect() };
    let first = refused();
    // Four standard deviations of 300 draws.
    assert!((9..=51).contains(&first.len()), "{}", first.len());
    assert_eq!(refused(), first, "the same subjects, always");
    let by_the_candidate = ask(&server, &format!("person-{}", first[0]), Some("pep-1"));
    let unlucky = (0..300).find(|n| !first.contains(n)).unwrap();
    let by_the_old = ask(&server, &format!("person-{unlucky}"), Some("pep-1"));
    assert_eq!((revision_of(&server, &by_the_candidate), revision_of(&server, &by_the_old)), (candidate.clone(), old.clone()));
    // A batch is answered by one revision for each subject as well.
    let evaluations: Vec<Value> = (0..10).map(|_| json!({})).collect();
    let mut batch = Server::question(&format!("person-{}", first[0]), "read", None);
    batch["evaluations"] = json!(evaluations);
    let answers = http::send("POST", &format!("{}s", server.evaluation()), &[("x-countersign-pep", PEP)], Some(&batch)).json();
    assert!(answers["evaluations"].as_array().unwrap().iter().all(|answer| answer["decision"] == false), "{answers}");
    let status = told(&server, &["status"]);
    assert!(status["trial"]["counted"]["answered"].as_u64().unwrap() >= 2 * first.len() as u64, "{status:#}");
}

#[test]
fn denies_end_a_canary_and_the_hold_outlives_the_process() {
    let mut server = Server::start("[policy.rollout]\ncanary = [50, 100]\nstage_s = 3600\n");
    let old = told(&server, &["status"])["revision"].clone();
    offer(&server, &closed());
    let candidate = wait_for_trial(&server);
    // People come until it is noticed.
    let mut people = 0..10_000;
    let ended = wait_for(|| {
        may(&server, &format!("person-{}", people.next().unwrap()));
        server.counted("countersign_policy_held ") > 0.5
    });
    assert!(ended, "{:#}", told(&server, &["status"]));
    assert!((0..40).all(|n| may(&server, &format!("person-{n}"))), "everybody is answered by the old one again");
    let status = told(&server, &["status"]);
    let why = status["ended"]["why"].as_str().unwrap();
    assert!(why.contains("new denies") && why.contains("budget is 0.5 %") && why.contains("main."), "{why}");
    assert_eq!((&status["revision"], &status["held"][0]["digest"]), (&old, &json!(candidate)));
    assert_eq!(history(&server), ["active", "canary 50", "rolled_back"]);
    assert_eq!(command(&server, &["status"]).status.code(), Some(1), "something is held");
    // The source goes on offering it, also to the next process.
    assert!(server.process().terminate().success());
    server.begin();
    let status = wait_for_status(&server, "refused as held", |status| status["candidate"].is_object());
    assert!(status["candidate"]["problems"][0].as_str().unwrap().contains("is held"), "{status:#}");
    assert_eq!((&status["revision"], &status["trial"]), (&old, &Value::Null));
    assert!(may(&server, "alice"));
    // An operator takes it all the same, regrets it, and goes back.
    assert!(command(&server, &["promote"]).status.success());
    assert!(!may(&server, "alice"));
    let back = told(&server, &["rollback", "--reason", "it hurts"]);
    assert_eq!((&back["revision"], &back["instead_of"]), (&old, &json!(candidate)));
    assert!(may(&server, "alice"));
    let history = told(&server, &["history"]);
    let last = &history["changes"][0];
    assert!(last["by"].as_str().unwrap().starts_with("uid:") && last["why"].as_str().unwrap().contains("it hurts"), "{last}");
    // There is nothing before it.
    let nowhere = command(&server, &["rollback"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--to"), "{nowhere:?}");
}

#[test]
fn an_error_of_the_candidate_ends_its_trial_at_once() {
    let server = Server::start("[policy.rollout]\nshadow_s = 3600\n");
    offer(&server, &broken());
    wait_for_trial(&server);
    assert!(may(&server, "alice"), "nobody notices");
    let status = wait_for_status(&server, "rolled back", |status| status["ended"]["outcome"] == "rolled_back");
    assert!(status["ended"]["why"].as_str().unwrap().contains("1 errors in 1 decisions"), "{status:#}");
    assert!(may(&server, "alice"));
}

#[test]
fn leases_end_when_a_canary_widens_and_when_it_is_over() {
    let server = Server::start("[policy.rollout]\ncanary = [50, 100]\nstage_s = 0\nmin_decisions = 1\n");
    let (mut watch, hello) = Watch::hello(server.decision, "?watch=pep-1", None);
    let old = hello.data["revision"].clone();
    assert_eq!(ask(&server, "alice", Some("pep-1"))["context"]["lease"]["revision"], old);
    offer(&server, &harmless());
    // Some are answered otherwise now, and nobody outside knows who.
    assert_eq!(watch.event().name, "reset");
    // Whoever is answered by the candidate is given no leave to repeat it.
    let answers: Vec<Value> = (0..30).map(|n| ask(&server, &format!("person-{n}"), Some("pep-1"))).collect();
    let told = watch.event();
    assert_eq!(told.name, "policy", "everybody is answered by it");
    assert_ne!(told.data["revision"], old);
    for answer in &answers {
        let (lease, by) = (&answer["context"]["lease"], revision_of(&server, answer));
        let is_early = lease["revision"] == old && old == *by;
        let is_late = lease["revision"] == told.data["revision"] && told.data["revision"] == *by;
        assert!(lease.is_null() || is_early || is_late, "{answer} by {by}");
    }
    let status = wait_for_status(&server, "active", |status| {
        // The last stage sees somebody too.
        may(&server, "carol") && status["revision"] == told.data["revision"]
    });
    assert_eq!(status["trial"], Value::Null);
    assert_eq!(history(&server), ["active", "canary 50", "canary 100", "active"]);
    // Back: what was leased meanwhile ends.
    assert_eq!(ask(&server, "bob", Some("pep-1"))["context"]["lease"]["revision"], told.data["revision"]);
    assert!(command(&server, &["rollback"]).status.success());
    let back = watch.event();
    assert_eq!((back.name.as_str(), &back.data["revision"]), ("policy", &old));
}

#[test]
fn a_trial_goes_on_after_a_restart() {
    let mut server = Server::start("[policy.rollout]\nshadow_s = 3600\n");
    offer(&server, &harmless());
    let candidate = wait_for_trial(&server);
    server.process().terminate();
    server.begin();
    let status = told(&server, &["status"]);
    assert_eq!((&status["trial"]["revision"], &status["trial"]["stage"]), (&json!(candidate), &json!("shadowed")), "{status:#}");
    assert!(command(&server, &["promote"]).status.success());
    assert_eq!(told(&server, &["status"])["revision"], json!(candidate));
    assert_eq!(history(&server), ["active", "shadowed", "active"]);
}
