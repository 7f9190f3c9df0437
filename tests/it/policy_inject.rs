//! `policy diff --inject`: attackers planted into a made-up log, through the real command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::policies::{deep, starter};
use countersign_risk::Weights;
use countersign_sdk_types::Signal;
use countersign_tests::decisions::records;
use countersign_tests::process::countersign;
use serde_json::Value;
use tempfile::TempDir;

const COUNT: u64 = 250;
const ALL: &str = "stolen-token,token-near,odd-hour,vpn,slow-walk";

/// A folder with a log, the starter policy, and one that lets everybody through.
struct Scene {
    folder: TempDir,
    records: Vec<Record>,
}

impl Scene {
    fn set(weights: &Weights) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { budget: Duration::from_secs(10), weights: weights.clone(), ..starter().unwrap() };
        let records: Vec<Record> = deep(|| records(&snapshot, COUNT, 3).collect()).unwrap();
        let scene = Self { folder, records };
        scene.write("log.jsonl", scene.records.iter());
        for file in ["access.rego", "data.json"] {
            let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/starter").join(file)).unwrap();
            fs::create_dir_all(scene.folder.path().join("starter")).unwrap();
            fs::write(scene.folder.path().join("starter").join(file), text).unwrap();
        }
        fs::create_dir(scene.folder.path().join("open")).unwrap();
        fs::write(scene.folder.path().join("open/a.rego"), "package authz\n\nimport rego.v1\n\nallow := true\n").unwrap();
        scene
    }

    fn write<'a>(&self, name: &str, records: impl Iterator<Item = &'a Record>) {
        let lines: String = records.map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        fs::write(self.folder.path().join(name), lines).unwrap();
    }

    fn diff(&self, arguments: &[&str]) -> Output {
        let command = ["policy", "diff", "starter", "open"];
        Command::new(countersign()).args(command).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn injected(&self, arguments: &[&str]) -> Value {
        let output = self.diff(&[&["--log", "log.jsonl", "--json"], arguments].concat());
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        report["injected"].clone()
    }

    /// Subjects of whom nothing is known and who cannot be asked: there is nothing by which a thief could be told from them.
    fn strangers(&self) -> u64 {
        let is_let_through = |record: &&Record| matches!(record.summary, Summary::Allow(_));
        let facts = |record: &Record| record.circumstances().map(|circumstances| circumstances.facts).unwrap();
        let is_stranger = |record: &&Record| facts(record).baseline.weight() <= 0.0 && facts(record).reachable.is_empty();
        let strangers = self.records.iter().filter(is_let_through).filter(is_stranger);
        strangers.map(|record| record.whose().unwrap().0.sub.clone()).collect::<std::collections::BTreeSet<_>>().len() as u64
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn the_starter_policy_stops_whom_an_open_one_lets_through() {
    let scene = Scene::set(&Weights::default());
    let output = scene.diff(&["--log", "log.jsonl", "--json", "--inject", ALL, "--html", "report.html"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (injected, strangers) = (&report["injected"], scene.strangers());
    let sessions = number(&injected["sessions"]);
    assert!(sessions > 60, "{injected}");
    assert_eq!((&injected["not_as_scored"], &injected["subjects"]), (&0.into(), &sessions.into()));
    let kinds = injected["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 5);
    for kind in kinds {
        let attempts = number(&kind["attempts"]);
        assert_eq!(attempts + number(&kind["without_place"]), sessions, "{kind}");
        assert!(attempts * 10 > sessions * 9, "the log has places enough: {kind}");
        let (old, new) = (&kind["old"], &kind["new"]);
        assert_eq!(number(&old["stopped"]), number(&old["asked"]) + number(&old["denied"]), "{kind}");
        assert_eq!(number(&old["stopped"]) + number(&old["let_through"]), attempts, "{kind}");
        assert!(number(&old["let_through"]) <= strangers, "{strangers} strangers: {kind}");
        assert_eq!((number(&new["stopped"]), number(&new["let_through"])), (0, attempts), "{kind}");
    }
    for side in report["answers"].as_array().unwrap() {
        assert_eq!(["allow", "step_up", "deny"].iter().map(|answer| number(&side[answer])).sum::<u64>(), COUNT);
    }
    let page = fs::read_to_string(scene.folder.path().join("report.html")).unwrap();
    assert!(page.contains("slow-walk") && page.contains("the genuine, asked"), "{page}");
    let words = String::from_utf8(scene.diff(&["--log", "log.jsonl", "--inject", "vpn"]).stdout).unwrap();
    assert!(words.contains("attackers in") && words.contains("the genuine") && !words.contains("slow-walk"), "{words}");
}

#[test]
fn the_same_seed_plants_the_same_attackers_whatever_the_order_of_the_log() {
    let scene = Scene::set(&Weights::default());
    let first = scene.injected(&["--inject", ALL]);
    assert_eq!(first, scene.injected(&["--inject", "slow-walk,vpn,odd-hour,token-near,stolen-token,vpn", "--seed", "1"]));
    scene.write("log.jsonl", scene.records.iter().rev());
    assert_eq!(first, scene.injected(&["--inject", ALL]));
    assert_ne!(first, scene.injected(&["--inject", ALL, "--seed", "2"]));
}

#[test]
fn weights_that_did_not_decide_are_told() {
    let weights = Weights { factors: [(Signal::Device, 0.5)].into(), ..Weights::default() };
    let scene = Scene::set(&weights);
    let by_default = scene.injected(&["--inject", "token-near"]);
    assert!(number(&by_default["not_as_scored"]) > 0, "{by_default}");
    fs::write(scene.folder.path().join("risk.toml"), "[factors]\ndevice = 0.5\n").unwrap();
    let by_theirs = scene.injected(&["--inject", "token-near", "--weights", "risk.toml"]);
    assert_eq!(number(&by_theirs["not_as_scored"]), 0, "{by_theirs}");
    fs::write(scene.folder.path().join("risk.toml"), "[factors]\nnetwork = 0.0\nsession = 0.0\nhour = 0.0\n").unwrap();
    let blind = scene.injected(&["--inject", "token-near", "--weights", "risk.toml"]);
    let through = |injected: &Value| number(&injected["kinds"][0]["old"]["let_through"]);
    assert!(through(&blind) > through(&by_theirs), "who looks at nothing stops fewer: {blind} {by_theirs}");
}

#[test]
fn what_is_no_kind_is_refused_and_a_log_without_places_is_told() {
    let scene = Scene::set(&Weights::default());
    for wrong in [&["--inject", "ghost"][..], &["--seed", "2"], &["--weights", "risk.toml"]] {
        assert_eq!(scene.diff(&[&["--log", "log.jsonl"], wrong].concat()).status.code(), Some(64), "{wrong:?}");
    }
    let home = scene.records.iter().find(|record| matches!(record.summary, Summary::Allow(_))).unwrap();
    scene.write("log.jsonl", std::iter::once(home));
    let alone = scene.injected(&["--inject", ALL]);
    for kind in alone["kinds"].as_array().unwrap() {
        let is_from_next_door = matches!(kind["kind"].as_str(), Some("token-near" | "odd-hour"));
        let expected = if is_from_next_door { (1, 0) } else { (0, 1) };
        assert_eq!((number(&kind["attempts"]), number(&kind["without_place"])), expected, "{kind}");
    }
}
