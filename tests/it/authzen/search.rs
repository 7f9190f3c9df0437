//! Searches find exactly what evaluations allow, page by page, and leave no trace but their record.

use std::collections::{BTreeMap, BTreeSet};

use countersign_tests::authzen::{Pdp, policy};
use countersign_tests::http;
use serde_json::{Value, json};

const ACTIONS: [&str; 3] = ["view", "edit", "delete"];

/// The names of the directory, as its file has them.
fn directory() -> (Vec<String>, Vec<String>) {
    let file = std::fs::read(policy().join("entities/data.json")).unwrap();
    let entities: Value = serde_json::from_slice(&file).unwrap();
    let names = |of: &Value| of.as_object().unwrap().keys().cloned().collect();
    (names(&entities["subjects"]["user"]), names(&entities["resources"]["record"]))
}

fn found(answer: &Value, name: &str) -> BTreeSet<String> {
    answer["results"].as_array().unwrap().iter().map(|result| result[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_found_is_what_is_allowed_and_nothing_is_left_out() {
    let pdp = Pdp::start("[authzen]\ndeadline_ms = 9000\n");
    let (users, records) = directory();
    assert_eq!((users.len(), records.len()), (6, 22));
    let (user, record) = (|id: &str| json!({"type": "user", "id": id}), |id: &str| json!({"type": "record", "id": id}));
    let mut allowed: BTreeMap<(String, String, &str), bool> = BTreeMap::new();
    for subject in &users {
        for action in ACTIONS {
            let items: Vec<Value> = records.iter().map(|id| json!({"resource": record(id)})).collect();
            let batch = json!({"subject": user(subject), "action": {"name": action}, "evaluations": items});
            let answer = pdp.ask("/access/v1/evaluations", &batch).json();
            for (id, item) in records.iter().zip(answer["evaluations"].as_array().unwrap()) {
                allowed.insert((subject.clone(), id.clone(), action), item["decision"].as_bool().unwrap());
            }
        }
    }
    assert_eq!(allowed.len(), 6 * 22 * 3);
    let search = |kind: &str, body: Value| pdp.ask(&format!("/access/v1/search/{kind}"), &body).json();
    let is = |subject: &str, id: &str, action: &'static str| allowed[&(subject.to_owned(), id.to_owned(), action)];
    for subject in &users {
        for action in ACTIONS {
            let answer = search("resource", json!({"subject": user(subject), "action": {"name": action}, "resource": {"type": "record"}}));
            let expected = records.iter().filter(|id| is(subject, id, action)).cloned().collect();
            assert_eq!(found(&answer, "id"), expected, "{subject} {action}");
        }
        for id in &records {
            let answer = search("action", json!({"subject": user(subject), "resource": record(id)}));
            let told = found(&answer, "name");
            assert!(ACTIONS.into_iter().all(|action| told.contains(action) == is(subject, id, action)), "{subject} {id}: {told:?}");
        }
    }
    for id in &records {
        for action in ACTIONS {
            let answer = search("subject", json!({"subject": {"type": "user"}, "action": {"name": action}, "resource": record(id)}));
            let expected = users.iter().filter(|subject| is(subject, id, action)).cloned().collect();
            assert_eq!(found(&answer, "id"), expected, "{id} {action}");
        }
    }
}

fn managers() -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "view"}, "resource": {"type": "record"}})
}

#[test]
fn pages_follow_each_other_to_the_end_and_a_token_is_good_for_its_query_only() {
    let pdp = Pdp::start("");
    let whole = found(&pdp.ask("/access/v1/search/resource", &managers()).json(), "id");
    assert_eq!(whole.len(), 20);
    let (mut token, mut gathered, mut pages) = (String::new(), BTreeSet::new(), 0);
    loop {
        let mut query = managers();
        query["page"] = json!({"limit": 3, "token": token, "other": 1});
        let answer = pdp.ask("/access/v1/search/resource", &query);
        assert!(answer.body.starts_with("{\"page\":"), "{answer:?}");
        let answer = answer.json();
        let names = found(&answer, "id");
        assert!(names.len() <= 3 && gathered.is_disjoint(&names), "{answer}");
        assert_eq!(answer["page"]["count"], names.len());
        gathered.extend(names);
        pages += 1;
        token = answer["page"]["next_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
        let mut other = query.clone();
        (other["page"]["token"], other["action"]["name"]) = (json!(token), json!("edit"));
        assert_eq!(pdp.ask("/access/v1/search/resource", &other).status, 400, "another query");
        (other["page"]["token"], other["action"]["name"]) = (json!(format!("{token}A")), json!("view"));
        assert_eq!(pdp.ask("/access/v1/search/resource", &other).status, 400, "another token");
    }
    assert_eq!((gathered, pages), (whole, 7), "the last page is known to be the last");
    let mut none = managers();
    none["page"] = json!({"limit": 0});
    let answer = pdp.ask("/access/v1/search/resource", &none).json();
    assert!(answer["results"] == json!([]) && answer["page"]["next_token"] != "", "{answer}");
}

#[test]
fn a_search_that_ends_early_says_so_and_goes_on() {
    let pdp = Pdp::start("[authzen]\nmost_candidates = 4\n");
    let (mut token, mut gathered) = (Value::Null, BTreeSet::new());
    for _ in 0..6 {
        let mut query = managers();
        if token.is_string() {
            query["page"] = json!({"token": token});
        }
        let answer = pdp.ask("/access/v1/search/resource", &query).json();
        gathered.extend(found(&answer, "id"));
        token = answer["page"]["next_token"].clone();
        if token == "" {
            break;
        }
        assert_eq!(answer["page"]["properties"]["ended_by"], "candidates", "{answer}");
    }
    assert_eq!((token, gathered.len()), (json!(""), 20));
}

#[test]
fn a_search_that_runs_into_its_deadline_says_so_and_goes_on_from_there() {
    let policy = tempfile::tempdir().unwrap();
    std::fs::write(policy.path().join("authz.rego"), "package authz\nimport rego.v1\ndefault allow := true\n").unwrap();
    let users: serde_json::Map<String, Value> = (0..5000).map(|id| (format!("user-{id:04}"), json!({}))).collect();
    std::fs::write(policy.path().join("data.json"), json!({"entities": {"subjects": {"user": users}}}).to_string()).unwrap();
    let pdp = Pdp::with_policy(policy.path(), "[authzen]\ndeadline_ms = 10\nmost_candidates = 100000\n", |_| {});
    let mut query = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "1"}});
    let first = pdp.ask("/access/v1/search/subject", &query).json();
    assert_eq!(first["page"]["properties"]["ended_by"], "deadline", "{first}");
    query["page"] = json!({"token": first["page"]["next_token"]});
    let second = pdp.ask("/access/v1/search/subject", &query).json();
    let (first, second) = (found(&first, "id"), found(&second, "id"));
    assert!(!first.is_empty() && first.last() < second.first(), "{first:?} {second:?}");
    assert_eq!(second.first().unwrap(), &format!("user-{:04}", first.len()), "nobody is left out in between");
}

#[test]
fn what_the_directory_does_not_know_is_not_found() {
    let pdp = Pdp::start("");
    let record = json!({"type": "record", "id": "record-1"});
    for (kind, query) in [
        ("subject", json!({"subject": {"type": "spaceship"}, "action": {"name": "read"}, "resource": record})),
        ("subject", json!({"subject": {"type": "token"}, "action": {"name": "read"}, "resource": record})),
        ("resource", json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "spaceship"}})),
        ("resource", json!({"subject": {"type": "user", "id": "nobody"}, "action": {"name": "read"}, "resource": {"type": "record"}})),
        ("action", json!({"subject": {"type": "user", "id": "alice"}, "resource": {"type": "spaceship", "id": "1"}})),
        ("action", json!({"subject": {"type": "user", "id": "alice"}, "resource": record, "action": 5})),
    ] {
        let answer = pdp.ask(&format!("/access/v1/search/{kind}"), &query);
        let results = answer.json()["results"].as_array().unwrap().len();
        assert_eq!((answer.status, results > 0), (200, query["action"] == 5), "{query}: {answer:?}");
    }
}

/// A number of the operations listener.
fn metric(pdp: &Pdp, name: &str) -> usize {
    let metrics = http::send("GET", &format!("http://127.0.0.1:{}/metrics", pdp.operations), &[], None).body;
    metrics.lines().filter(|line| line.starts_with(name)).count()
}

#[test]
fn a_search_leaves_no_trace_but_its_record() {
    let pdp = Pdp::start("");
    let data = pdp.folder.path().join("data");
    let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
    let state = || {
        let files = std::fs::read_dir(data.join("state")).unwrap().flatten();
        files.map(|file| (file.file_name(), file.metadata().unwrap().len())).collect::<Vec<_>>()
    };
    let ask = |path: &str, action: &str| {
        let question =
            json!({"subject": {"type": "user", "id": "erin"}, "action": {"name": action}, "resource": {"type": "record", "id": "101"}});
        pdp.ask(path, &question)
    };
    // From the first answer on, the policy's activation is in the journal.
    assert_eq!(ask("/access/v1/search/resource", "view").status, 200);
    let before = (size("keyring"), state());
    for _ in 0..20 {
        // All of them are refused by the policy: a hundred and twenty attempts, if a search made any.
        let refused = json!({"subject": {"type": "user"}, "action": {"name": "write"}, "resource": {"type": "record", "id": "101"}});
        assert_eq!(pdp.ask("/access/v1/search/subject", &refused).json()["results"], json!([]));
    }
    assert_eq!((size("keyring"), state()), before, "nobody got a salt, and the journal of states has nothing new");
    assert_eq!(metric(&pdp, "countersign_decisions_total"), 0, "no decision was made");
    assert_eq!(metric(&pdp, "countersign_searches_total{outcome=\"complete\"} 21"), 1);
    assert_eq!(ask("/access/v1/evaluation", "view").status, 200);
    assert!(size("keyring") > before.0, "an evaluation does give a salt");
    let answer = pdp.ask(
        "/access/v1/search/subject",
        &json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}}),
    );
    let id = answer.json()["context"]["id"].as_str().unwrap().to_owned();
    let why = std::process::Command::new(countersign_tests::process::countersign())
        .args(["why", &id, "--json", "--socket"])
        .arg(data.join("control.sock"))
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&why.stdout).unwrap_or_else(|error| panic!("{error}: {why:?}"));
    let record = &record["record"];
    assert_eq!(
        (&record["search"], &record["looked_at"], &record["names"]),
        (&json!("subject"), &json!(6), &json!(["alice", "bob"])),
        "{record}"
    );
}
