//! `policy diff`: what a change of policy would have done to logged decisions, through the real command, and against asking each one by one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::policy::{Policy, PolicySource};
use countersign_pdp_engine::record::{Record, reconsider};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::policies::{deep, starter};
use countersign_sdk_types::Revision;
use countersign_tests::decisions::records;
use countersign_tests::direct::Direct;
use countersign_tests::process::countersign;
use serde_json::{Value, json};
use tempfile::TempDir;

const COUNT: u64 = 3_000;

/// A folder with a log and two policies: the starter's, and one with other limits that also shuts admins out of deleting.
struct Scene(TempDir);

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { budget: Duration::from_secs(10), ..starter().unwrap() };
        let log =
            deep(|| records(&snapshot, COUNT, 7).map(|record| serde_json::to_string(&record).unwrap() + "\n").collect::<String>()).unwrap();
        fs::write(folder.path().join("log.jsonl"), log).unwrap();
        for (name, change) in [("old", [("", ""); 2]), ("new", CHANGE)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            for file in ["access.rego", "data.json"] {
                let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/starter").join(file)).unwrap();
                let text = change.iter().fold(text, |text, (from, to)| if from.is_empty() { text } else { text.replace(from, to) });
                fs::write(folder.path().join(name).join(file), text).unwrap();
            }
        }
        Self(folder)
    }

    fn diff(&self, arguments: &[&str]) -> Output {
        Command::new(countersign()).args(["policy", "diff"]).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=author", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").arg("-C").arg(self.0.path()).args(identity).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

const CHANGE: [(&str, &str); 2] = [
    ("\"reading\": 30", "\"reading\": 15"),
    (
        "refusals contains text if text := unknown_role\n",
        "refusals contains text if text := unknown_role\n\nrefusals contains \"admins delete nothing\" if {\n\tdestroying\n\tinput.user.role == \"admin\"\n}\n",
    ),
];

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn snapshot(folder: &Path) -> Snapshot {
    let files = ["access.rego", "data.json"].map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap()));
    let policy = Policy::compile(&PolicySource::from_files("authz", files).unwrap()).unwrap();
    // A busy machine must not turn an answer into a budget that is used up.
    Snapshot { budget: Duration::from_secs(10), ..Snapshot::new(Revision::new("test").unwrap(), policy) }
}

const fn name(summary: &Summary) -> &'static str {
    match summary {
        Summary::Allow(_) => "allow",
        Summary::StepUp(_) => "step_up",
        Summary::Deny(_) => "deny",
    }
}

#[test]
fn every_change_is_counted_as_one_by_one() {
    let scene = Scene::set();
    let output = scene.diff(&["old", "new", "--log", "log.jsonl", "--json", "--html", "report.html"]);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "no budget was given");
    let (old, new) = (snapshot(&scene.0.path().join("old")), snapshot(&scene.0.path().join("new")));
    let log = fs::read_to_string(scene.0.path().join("log.jsonl")).unwrap();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    deep(|| {
        for line in log.lines() {
            let record: Record = serde_json::from_str(line).unwrap();
            let (before, after) = (reconsider(&record, &old).unwrap().summary, reconsider(&record, &new).unwrap().summary);
            assert_eq!(before, record.summary, "the risk is as it was");
            if name(&before) != name(&after) {
                *expected.entry(format!("{} → {}", name(&before), name(&after))).or_default() += 1;
            }
        }
    })
    .unwrap();
    let changes = report["changes"].as_array().unwrap().iter();
    let seen: BTreeMap<String, u64> =
        changes.map(|group| (group["name"].as_str().unwrap().to_owned(), group["decisions"].as_u64().unwrap())).collect();
    assert_eq!(seen, expected);
    assert!(expected.len() >= 2, "the change does more than one thing: {expected:?}");
    assert_eq!((&report["decisions"], &report["not_as_recorded"], &report["unreadable"]), (&COUNT.into(), &0.into(), &0.into()));
    let rules: Vec<&str> = report["rules"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert!(rules.contains(&"admins delete nothing") && rules.contains(&"risk # is not below #"), "{rules:?}");
    let page = fs::read_to_string(scene.0.path().join("report.html")).unwrap();
    assert!(page.contains("admins delete nothing") && !page.contains("<script"), "{page}");
}

#[test]
fn a_budget_decides_the_exit_code() {
    let scene = Scene::set();
    let diff = |more: &[&str]| scene.diff(&[&["old", "new", "--log", "log.jsonl"][..], more].concat());
    assert_eq!(diff(&["--max-new-allows", "0", "--max-new-denies", "50%"]).status.code(), Some(0));
    let over = diff(&["--max-new-denies", "0.1%"]);
    assert_eq!(over.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&over.stdout).contains("over budget"), "{over:?}");
    let back = scene.diff(&["new", "old", "--log", "log.jsonl", "--max-new-allows", "0"]);
    assert_eq!(back.status.code(), Some(1), "the way back allows more");
    for wrong in ["-1", "101%", "few", "1e3", "%"] {
        assert_eq!(diff(&[&format!("--max-new-denies={wrong}")]).status.code(), Some(64), "{wrong}");
    }
}

#[test]
fn revisions_of_a_repository_are_read_as_committed() {
    let scene = Scene::set();
    scene.git(&["init", "-q", "-b", "main"]);
    scene.git(&["add", "old"]);
    scene.git(&["commit", "-qm", "as it is"]);
    scene.git(&["tag", "before"]);
    for file in ["access.rego", "data.json"] {
        fs::copy(scene.0.path().join("new").join(file), scene.0.path().join("old").join(file)).unwrap();
    }
    // An attribute that would hide a file from an archive hides nothing from here.
    fs::write(scene.0.path().join("old/.gitattributes"), "data.json export-ignore\n").unwrap();
    scene.git(&["add", "old"]);
    scene.git(&["commit", "-qm", "a change"]);
    let named = json(&scene.diff(&["before", "main", "--within", "old", "--log", "log.jsonl", "--json"]));
    fs::remove_dir_all(scene.0.path().join("old")).unwrap();
    let again = json(&scene.diff(&["before", "main", "--within", "old/", "--log", "log.jsonl", "--json"]));
    assert_eq!(named["changes"], again["changes"], "the work tree has no say");
    fs::create_dir(scene.0.path().join("main")).unwrap();
    let refused = scene.diff(&["before", "main", "--within", "old", "--log", "log.jsonl"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("write `./main` for the folder"), "{said}");
    fs::remove_dir(scene.0.path().join("main")).unwrap();
    assert!(named["new_denies"].as_u64().unwrap() > 0);
    for (wrong, says) in [("nowhere", "git knows no such revision"), ("--output=/tmp/x", "git knows no such revision")] {
        let refused = scene.diff(&["--log", "log.jsonl", "--within", "old", "--", "before", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(says), "{wrong}: {refused:?}");
    }
}

#[test]
fn a_link_in_a_commit_is_refused() {
    let scene = Scene::set();
    scene.git(&["init", "-q", "-b", "main"]);
    fs::remove_file(scene.0.path().join("new/data.json")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", scene.0.path().join("new/data.json")).unwrap();
    scene.git(&["add", "new"]);
    scene.git(&["commit", "-qm", "a link"]);
    let refused = scene.diff(&["./old", "main", "--within", "new", "--log", "log.jsonl"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is no regular file"), "{refused:?}");
}

#[test]
fn what_is_no_record_is_said_and_what_is_no_log_is_an_error() {
    let scene = Scene::set();
    let log = scene.0.path().join("log.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{text}not a record\n{{\"id\":\"x\"}}\n\n")).unwrap();
    let report = json(&scene.diff(&["old", "new", "--log", "log.jsonl", "--json"]));
    assert_eq!((&report["unreadable"], &report["decisions"]), (&2.into(), &COUNT.into()));
    let budgeted = scene.diff(&["old", "new", "--log", "log.jsonl", "--max-new-denies", "100%"]);
    assert_eq!(budgeted.status.code(), Some(1), "a budget holds for a log that was read whole: {budgeted:?}");
    fs::write(&log, "{}\n").unwrap();
    assert_eq!(scene.diff(&["old", "new", "--log", "log.jsonl"]).status.code(), Some(2), "nothing was compared, so nothing is proved");
    assert_eq!(scene.diff(&["old", "new", "--log", "nowhere"]).status.code(), Some(2));
}

#[test]
fn the_journal_of_a_running_server_is_a_log() {
    let direct = Direct::start("", |_| {});
    let question = |id: u32| json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": id.to_string()}});
    let answers: Vec<Value> = (0..5).map(|id| direct.asked(&question(id))).collect();
    let scene = Scene::set();
    let folder = direct.folder.path().join("data/decisions");
    // The server goes on writing: what is read is what was whole.
    let report = json(&scene.diff(&["old", "new", "--log", folder.to_str().unwrap(), "--json"]));
    assert_eq!((&report["decisions"], &report["unreadable"]), (&5.into(), &0.into()), "{answers:?}");
    assert_eq!(report["changes"], json!([]), "both refuse whom the directory does not know");
}

#[test]
fn the_edges_of_both_policies_are_asked_apart_from_traffic() {
    let scene = Scene::set();
    let output = scene.diff(&["old", "new", "--boundary=3000", "--json", "--html", "edges.html"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["decisions"]), (Some(0), &0.into()), "{report}");
    let edges = &report["boundary"];
    assert!(edges["inputs"].as_u64().unwrap() > 500 && edges["changed"].as_u64().unwrap() > 0, "{edges}");
    let example = |settings: Value, from: &str, to: &str| {
        let fits = |one: &&Value| one["settings"] == settings && one["from"] == from && one["to"] == to;
        assert!(edges["examples"].as_array().unwrap().iter().any(|one| fits(&one)), "{settings} of {edges:#}");
    };
    example(json!([{"path": "context.risk_score", "value": 29}]), "allow", "step_up");
    example(json!([{"path": "context.risk_score", "value": 15}]), "allow", "step_up");
    example(json!([{"path": "action.name", "value": "DELETE"}]), "allow", "deny");
    let none =
        |settings: Value| assert!(!edges["examples"].as_array().unwrap().iter().any(|one| one["settings"] == settings), "{settings}");
    none(json!([{"path": "context.risk_score", "value": 14}]));
    none(json!([{"path": "context.risk_score", "value": 30}]));
    let page = fs::read_to_string(scene.0.path().join("edges.html")).unwrap();
    assert!(page.contains("At the edges") && page.contains("context.risk_score = 15") && !page.contains("logged decisions"), "{page}");
    let again = json(&scene.diff(&["old", "new", "--boundary=3000", "--json"]));
    assert_eq!(&again["boundary"], edges, "the same policies give the same inputs");
    let both = json(&scene.diff(&["old", "new", "--log", "log.jsonl", "--boundary=100", "--json"]));
    assert_eq!((&both["decisions"], &both["boundary"]["is_cut"]), (&COUNT.into(), &true.into()));
    let same = scene.diff(&["old", "./old", "--boundary=300"]);
    assert!(String::from_utf8_lossy(&same.stdout).starts_with("at the edges: 0 of 3"), "{same:?}");
    assert_eq!(scene.diff(&["old", "new"]).status.code(), Some(64), "there is nothing to ask about");
    assert_eq!(scene.diff(&["old", "new", "--boundary", "--max-new-denies", "0"]).status.code(), Some(64), "a budget is one of decisions");
}

/// Policies that read their input in ways of their own: one path, parts of a part, names that are computed, all of it, and a step-up of their own.
const READERS: [&str; 6] = [
    "allow if input.context.risk_score < 25",
    "allow if {\n\ttime.clock(input.context.time * 1000000)[0] < 17\n\tinput.context.place.known.country in {\"FR\", \"DE\"}\n}",
    "section := \"user\"\n\nallow if input[section].role == \"admin\"\n\nallow if \"phr\" in input.session.acr_satisfied",
    "allow if {\n\tsome name, flag in input.context.known\n\tname == \"device.compliant\"\n\tflag\n\tinput.device.compliant\n\tinput.context.risk.level == \"low\"\n}",
    "effect := \"allow\" if input.session.auth_time > 0\n\nelse := \"step_up\"\n\ndecision := {\"effect\": effect, \"reasons\": [r | r := input.context.risk.reasons[_].signal]}",
    "allow if {\n\tnot startswith(input.request.path, \"/admin\")\n\tinput.user.id != \"person-3\"\n\tcount(input.context.risk.reasons) < 6\n}",
];

#[test]
fn the_fast_way_is_the_plain_way() {
    let scene = Scene::set();
    let starter = snapshot(&scene.0.path().join("old"));
    let log = scene.0.path().join("short.jsonl");
    let records: Vec<Record> = deep(|| records(&starter, 400, 11).collect()).unwrap();
    fs::write(&log, records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect::<String>()).unwrap();
    let compile = |text: &str| {
        let default = if text.contains("decision") { "" } else { "default allow := false\n\n" };
        let file = ("access.rego".to_owned(), format!("package authz\n\nimport rego.v1\n\n{default}{text}\n").into_bytes());
        let policy = Policy::compile(&PolicySource::from_files("authz", [file]).unwrap()).unwrap();
        Snapshot { budget: Duration::from_secs(10), ..Snapshot::new(Revision::new("test").unwrap(), policy) }
    };
    for text in READERS {
        let other = compile(text);
        let report = countersign_pdp_server::diff::run(&starter, &other, &log, 0, |_| {}).unwrap();
        let fast: BTreeMap<String, u64> = report.changes.iter().map(|group| (group.name.clone(), group.decisions)).collect();
        let mut plain: BTreeMap<String, u64> = BTreeMap::new();
        deep(|| {
            for record in &records {
                let [before, after] = [&starter, &other].map(|side| reconsider(record, side).unwrap().summary);
                if name(&before) != name(&after) {
                    *plain.entry(format!("{} → {}", name(&before), name(&after))).or_default() += 1;
                }
            }
        })
        .unwrap();
        assert_eq!((report.decisions, fast), (400, plain.clone()), "{text}");
        assert!(!plain.is_empty(), "it does change something: {text}");
    }
}

/// Two policies of one rule each.
fn of_one_rule(scene: &Scene, [old, new]: [&str; 2]) {
    for (name, rule) in [("one", old), ("other", new)] {
        fs::create_dir(scene.0.path().join(name)).unwrap();
        fs::write(scene.0.path().join(name).join("a.rego"), format!("package authz\nimport rego.v1\n{rule}\n")).unwrap();
    }
}

#[test]
fn a_door_that_a_passkey_opens_is_a_new_allow() {
    let scene = Scene::set();
    let closed = r#"decision := {"effect": "deny", "final": true, "reasons": ["closed"]}"#;
    of_one_rule(&scene, [closed, "default allow := false\nallow if \"phr\" in input.session.acr_satisfied"]);
    let output = scene.diff(&["one", "other", "--log", "log.jsonl", "--max-new-allows", "0", "--json"]);
    let report = json(&output);
    let step_ups = report["answers"][1]["step_up"].as_u64().unwrap();
    assert!(step_ups > 0, "{report:#}");
    assert_eq!(report["new_allows"].as_u64().unwrap(), step_ups + report["answers"][1]["allow"].as_u64().unwrap());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn other_terms_of_the_same_answer_are_counted() {
    let scene = Scene::set();
    let redacted = r#"decision := {"effect": "allow", "obligations": [{"id": "one", "type": "redact", "properties": {}}]}"#;
    of_one_rule(&scene, [redacted, "allow := true"]);
    let report = json(&scene.diff(&["one", "other", "--log", "log.jsonl", "--json"]));
    assert_eq!((&report["other_terms"], report["changes"].as_array().unwrap().len()), (&report["decisions"], 0), "{report:#}");
    assert!(report["decisions"].as_u64().unwrap() > 0);
}

#[test]
fn in_a_repository_a_folder_is_written_as_one() {
    let scene = Scene::set();
    scene.git(&["init", "-q"]);
    let output = scene.diff(&["old", "new", "--log", "log.jsonl"]);
    assert_eq!(output.status.code(), Some(2), "git knows no revision `old`, and still a planted folder must not stand in for one");
    assert!(String::from_utf8_lossy(&output.stderr).contains("write `./old`"));
    assert_eq!(scene.diff(&["./old", "./new", "--log", "log.jsonl"]).status.code(), Some(0));
}
