//! `risk forecast`: what weights and thresholds would ask of the subjects of a made-up log, against counting one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use countersign_pdp_engine::record::{Record, rescored, scored};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::diff::Budget;
use countersign_pdp_server::diff::inject::{self, Kind};
use countersign_pdp_server::forecast::{self, Plan};
use countersign_pdp_server::policies::{deep, starter};
use countersign_risk::Weights;
use countersign_sdk_types::{RiskScore, Signal};
use countersign_tests::decisions::records;
use countersign_tests::process::countersign;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

const COUNT: u64 = 1_000;

fn made(count: u64, seed: u64, weights: &Weights) -> Vec<Record> {
    let snapshot = Snapshot { budget: Duration::from_secs(10), weights: weights.clone(), ..starter().unwrap() };
    deep(|| records(&snapshot, count, seed).collect()).unwrap()
}

struct Scene {
    folder: TempDir,
    records: Vec<Record>,
}

impl Scene {
    fn set() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap(), records: made(COUNT, 5, &Weights::default()) };
        let lines: String = scene.records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        fs::write(scene.folder.path().join("log.jsonl"), lines).unwrap();
        fs::write(scene.folder.path().join("risk.toml"), "cold_start = 20\n[factors]\nhour = 2.0\nnetwork = 0.7\n").unwrap();
        scene
    }

    fn forecast(&self, arguments: &[&str]) -> Output {
        let command = ["risk", "forecast", "--log", "log.jsonl"];
        Command::new(countersign()).args(command).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.forecast(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn score(value: u8) -> RiskScore {
    RiskScore::new(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_scores_the_same_again_by_the_weights_that_decided(seed in 0_u64..1000, factor in 0.0..3.0_f64, cold in 0_u8..=100) {
        let factors = [(Signal::Network, factor), (Signal::Session, 3.0 - factor), (Signal::Hour, factor / 7.0)].into();
        let weights = Weights { factors, cold_start: score(cold), ..Weights::default() };
        for record in made(60, seed, &weights) {
            let read: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
            let trace = record.trace.as_ref().unwrap();
            let again = rescored(&read, &weights).unwrap();
            prop_assert_eq!((&again.assessment, again.remaining), (&trace.assessment, trace.remaining));
            prop_assert_eq!(scored(&read), Some(again));
        }
    }
}

#[test]
fn the_threshold_of_a_budget_is_the_lowest_that_keeps_to_it() {
    let scene = Scene::set();
    let weights: Weights = toml::from_str(&fs::read_to_string(scene.folder.path().join("risk.toml")).unwrap()).unwrap();
    let by = |record: &Record| (scored(record).unwrap().remaining, rescored(record, &weights).unwrap().remaining);
    let scores: Vec<(RiskScore, RiskScore)> = scene.records.iter().map(by).collect();
    let mut thresholds = BTreeSet::new();
    for (budget, most) in [("0.5%", 5), ("2%", 20), ("7", 7), ("12.5%", 125), ("0", 0), ("100%", 1000)] {
        for other in [false, true] {
            let more = if other { &["--weights", "risk.toml"][..] } else { &[] };
            let report = scene.report(&[&["--budget", budget], more].concat());
            let threshold = u8::try_from(number(&report["found"]["threshold"])).unwrap();
            let stopped = |threshold: u8| {
                let of = |(then, now): &(RiskScore, RiskScore)| if other { *now } else { *then };
                scores.iter().filter(|scores| of(scores) >= score(threshold)).count()
            };
            assert!(stopped(threshold) <= most, "{budget}: {threshold} stops {}", stopped(threshold));
            assert!(threshold == 1 || stopped(threshold - 1) > most, "{budget}: {} would do", threshold - 1);
            let last = report["outlooks"].as_array().unwrap().last().unwrap();
            assert_eq!(number(&last["asked"]) + number(&last["denied"]), stopped(threshold) as u64);
            thresholds.insert(threshold);
        }
    }
    assert!(thresholds.len() > 5, "budgets make a difference: {thresholds:?}");
}

#[test]
fn the_figures_add_up_and_are_those_of_counting_one_by_one() {
    let scene = Scene::set();
    let report =
        scene.report(&["--weights", "risk.toml", "--threshold", "25", "--budget", "1%", "--asked-more-than", "2", "--html", "page.html"]);
    let outlooks = report["outlooks"].as_array().unwrap();
    assert_eq!(outlooks.len(), 3, "as recorded, by the weights, and what the budget leads to");
    for (outlook, side) in outlooks.iter().zip([0, 1, 1]) {
        let [passed, asked, denied] = ["passed", "asked", "denied"].map(|what| number(&outlook[what]));
        assert_eq!(passed + asked + denied, COUNT);
        let hours = outlook["hours"].as_array().unwrap();
        let sum = |what: &str| hours.iter().map(|hour| number(&hour[what])).sum::<u64>();
        assert_eq!((sum("decisions"), sum("asked"), sum("denied")), (COUNT, asked, denied));
        let threshold = usize::try_from(number(&outlook["threshold"])).unwrap();
        assert_eq!(report["thresholds"][side][threshold - 1], serde_json::json!([asked, denied, outlook["sessions"]]));
        let points: u64 = outlook["signals"].as_array().unwrap().iter().map(|signal| number(&signal["points"])).sum();
        assert!(points >= (asked + denied) * 25, "every stopped decision has its points");
    }
    let recorded = &outlooks[0];
    let stopped: Vec<_> = scene.records.iter().filter(|record| scored(record).unwrap().remaining >= score(25)).collect();
    let is_denied = |record: &&&Record| !scored(record).unwrap().can_prove || scored(record).unwrap().proved >= score(25);
    assert_eq!(number(&recorded["denied"]), stopped.iter().filter(is_denied).count() as u64);
    let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
    for record in stopped.iter().filter(|record| !is_denied(record)) {
        *asked.entry(&record.whose().unwrap().0.sub).or_default() += 1;
    }
    assert_eq!(number(&recorded["asked_often"]), asked.values().filter(|count| **count > 2).count() as u64);
    assert!(number(&recorded["asked_often"]) > 0 && number(&recorded["locked_out"]) > 0, "{recorded}");
    let out: BTreeSet<&str> = stopped.iter().filter(is_denied).map(|record| record.whose().unwrap().0.sub.as_str()).collect();
    assert_eq!(number(&recorded["locked_out"]), out.len() as u64);
    let named = recorded["locked_out_most"].as_array().unwrap();
    assert!(named.iter().all(|person| out.contains(person["subject"].as_str().unwrap())), "{named:?}");
    let sessions: BTreeSet<_> = stopped.iter().map(|record| record.whose().unwrap()).map(|(who, session)| (&who.sub, session)).collect();
    assert_eq!(number(&recorded["sessions"]), sessions.len() as u64);
    let without = |signal: Signal| stopped.iter().filter(|record| scored(record).unwrap().without(signal) < score(25)).count() as u64;
    for signal in recorded["signals"].as_array().unwrap() {
        let kind = Signal::ALL.into_iter().find(|kind| Some(kind.name()) == signal["signal"].as_str()).unwrap();
        assert_eq!(number(&signal["alone"]), without(kind), "{signal}");
    }
    // Leaving the network out is the same as weighing it with nothing.
    let blind = Weights { factors: [(Signal::Network, 0.0)].into(), ..Weights::default() };
    let still = stopped.iter().filter(|record| rescored(record, &blind).unwrap().remaining < score(25)).count() as u64;
    assert_eq!(without(Signal::Network), still);
    let page = fs::read_to_string(scene.folder.path().join("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("subjects locked out") && !page.contains("<script"), "{page}");
    let words = String::from_utf8(scene.forecast(&["--budget", "1%"]).stdout).unwrap();
    assert!(words.contains("is the lowest threshold that asks or denies at most 1 %") && words.contains("locked out"), "{words}");
}

#[test]
fn what_cannot_be_kept_to_or_read_is_told() {
    let scene = Scene::set();
    for wrong in [&["--threshold", "0"][..], &["--threshold", "101"], &["--budget", "few"]] {
        assert_eq!(scene.forecast(wrong).status.code(), Some(64), "{wrong:?}");
    }
    fs::write(scene.folder.path().join("risk.toml"), "[factors]\nhour = -1.0\n").unwrap();
    assert_eq!(scene.forecast(&["--weights", "risk.toml"]).status.code(), Some(2));
    let log = scene.folder.path().join("log.jsonl");
    let mut cloned: Value = serde_json::to_value(&scene.records[0]).unwrap();
    cloned["trace"]["assessment"]["inherent"] = 100.into();
    cloned["trace"]["assessment"]["evidence"][0]["floor"] = 100.into();
    cloned["trace"]["assessment"]["evidence"][0]["signal"] = "counter".into();
    let mut revoked: Value = serde_json::to_value(&scene.records[1]).unwrap();
    revoked["basis"]["facts"]["revoked"] = "session".into();
    fs::write(&log, format!("{cloned}\n{revoked}\nnot a record\n")).unwrap();
    let output = scene.forecast(&["--budget", "0", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "a hard rule stops it at any threshold: {report}");
    assert_eq!((&report["found"]["threshold"], &report["decisions"]), (&Value::Null, &1.into()));
    assert_eq!((&report["undecided"], &report["unreadable"]), (&1.into(), &1.into()));
    fs::write(&log, format!("{revoked}\n")).unwrap();
    assert_eq!(scene.forecast(&[]).status.code(), Some(2), "nothing depended on a score");
}

/// What could stand in the place of a number.
const STRANGE: [&str; 9] =
    ["-1", "0", "1e308", "-1e308", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "null", "1e-320"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hostile_log_is_counted_or_refused_and_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), 0..STRANGE.len()), 1..6)) {
        let records = made(6, 9, &Weights::default());
        let text: String = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        let text = changes.iter().fold(text, |text, (at, with)| replaced(&text, at, STRANGE[*with]));
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        fs::write(&log, text).unwrap();
        let weights = Weights::default();
        let plan = Plan { weights: Some(&weights), threshold: score(30), budget: Some(Budget::Percent(0.5)), asked_more_than: 1 };
        let forecast = forecast::run(&log, &plan, |_| {}).unwrap();
        prop_assert_eq!(forecast.decisions + forecast.undecided + forecast.unreadable, 6);
        prop_assert!(!forecast.in_words().contains("NaN") && forecast::page(&forecast).is_ok());
        let snapshot = Snapshot { budget: Duration::from_secs(10), ..starter().unwrap() };
        let kinds = [Kind::StolenToken, Kind::TokenNear, Kind::OddHour, Kind::Vpn, Kind::SlowWalk];
        let planted = inject::run([&snapshot, &snapshot], &log, &inject::Plan { kinds: &kinds, seed: 1, weights: &weights }, |_| {}).unwrap();
        prop_assert!(planted.kinds.iter().all(|kind| kind.old == kind.new && kind.attempts + kind.without_place == planted.sessions));
    }
}

/// The text with one of its numbers replaced.
fn replaced(text: &str, at: &prop::sample::Index, with: &str) -> String {
    let bytes = text.as_bytes();
    let is_part = |at: usize| matches!(bytes[at], b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    let starts: Vec<usize> =
        (1..bytes.len()).filter(|at| is_part(*at) && matches!(bytes[at - 1], b':' | b',' | b'[') && bytes[*at] != b'e').collect();
    let start = starts[at.index(starts.len())];
    let end = (start..bytes.len()).find(|at| !is_part(*at)).unwrap();
    format!("{}{with}{}", &text[..start], &text[end..])
}
