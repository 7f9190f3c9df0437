//! What a policy compares is found wherever it stands, and every input is one of contract 1.

use std::time::Duration;

use serde_json::json;

use super::super::nearest::{Nearest, Who, nearest};
use super::super::outcome::Outcome;
use super::super::{Policy, PolicySource};
use super::*;

fn source(text: &str, data: &str) -> PolicySource {
    let files = [
        ("a.rego".to_owned(), format!("package authz\nimport rego.v1\n{text}").into_bytes()),
        ("data.json".to_owned(), data.as_bytes().to_vec()),
    ];
    PolicySource::from_files("authz", files).unwrap()
}

fn starter() -> PolicySource {
    let files = [
        ("access.rego".to_owned(), include_bytes!("../../../../../policies/starter/access.rego").to_vec()),
        ("data.json".to_owned(), include_bytes!("../../../../../policies/starter/data.json").to_vec()),
    ];
    PolicySource::from_files("authz", files).unwrap()
}

fn golden() -> Input {
    serde_json::from_str(crate::input::GOLDEN).unwrap()
}

#[track_caller]
fn values(text: &str, data: &str, path: &str) -> Vec<Option<Value>> {
    let source = source(text, data);
    let settings = Edges::of(&[&source]).settings(&golden());
    settings.into_iter().flatten().filter(|setting| setting.name() == path).map(|setting| setting.value).collect()
}

#[track_caller]
fn holds(text: &str, data: &str, path: &str, expected: &[Value]) {
    let found = values(text, data, path);
    for value in expected {
        assert!(found.contains(&Some(value.clone())), "{path} = {value} of {found:?}");
    }
}

#[test]
fn numbers_come_with_their_neighbours() {
    holds("allow if input.context.risk_score < 30", "{}", "context.risk_score", &[json!(29), json!(30), json!(31)]);
    holds(
        "allow if input.context.risk_score < data.limits.low",
        "{\"limits\": {\"low\": 42}}",
        "context.risk_score",
        &[json!(41), json!(42), json!(43)],
    );
    let apart = "allow if risk < limit\nrisk := input.context.risk_score\nlimit := data.limits[name]\nname := \"low\"";
    holds(apart, "{\"limits\": {\"low\": 42}}", "context.risk_score", &[json!(41), json!(42), json!(43)]);
    assert_eq!(
        values("allow if input.context.risk_score < 100", "{}", "context.risk_score"),
        [Some(json!(100)), Some(json!(99))],
        "no score beyond"
    );
}

#[test]
fn sets_come_with_each_member_and_one_that_is_none() {
    let text = "allow if input.action.name in {\"GET\", \"HEAD\"}";
    holds(text, "{}", "action.name", &[json!("HEAD"), json!("none-of-these")]);
    holds("allow if input.action.name in data.safe", "{\"safe\": [\"read\", \"list\"]}", "action.name", &[json!("read"), json!("list")]);
    holds("allow if data.blocked[input.user.id]", "{\"blocked\": {\"mallory\": true}}", "user.id", &[json!("mallory")]);
    holds("allow if \"admin\" in input.user.roles", "{}", "user.roles", &[json!([]), json!(["staff"])]);
}

#[test]
fn what_is_optional_is_taken_away_and_what_is_not_never() {
    assert!(values("allow if input.token.claims.department == \"it\"", "{}", "token.claims.department").contains(&None));
    holds("allow if input.token.claims.level == 3", "{}", "token.claims.level", &[json!(2), json!(3), json!(4)]);
    assert!(
        !values("allow if input.context.risk_score < 30", "{}", "context.risk_score").contains(&None),
        "an absent score is never there"
    );
    assert!(values("allow if input.context.place.known.country == \"SG\"", "{}", "context.place.known.country").contains(&None));
}

#[test]
fn hours_come_as_the_minutes_at_their_borders() {
    let text = "allow if time.clock([input.context.time * 1000000, \"Asia/Singapore\"])[0] < 18";
    // 2026-03-03 in Singapore: 17:59 and 18:00 are 09:59 and 10:00 UTC.
    let at = |hour: i64, minute: i64| json!(1_772_496_000_000_i64 + (hour * 60 + minute) * 60_000);
    holds(text, "{}", "context.time", &[at(9, 59), at(10, 0), at(17, 59), at(18, 0)]);
}

#[test]
fn networks_come_with_who_is_just_outside() {
    let text = "allow if net.cidr_contains(\"10.1.0.0/16\", input.context.ip)";
    holds(text, "{}", "context.ip", &[json!("10.1.0.0"), json!("10.1.255.255"), json!("10.2.0.0"), json!("10.0.255.255")]);
}

#[test]
fn what_follows_from_a_setting_follows() {
    let at = |path: &str, value: Value| Setting { path: path.split('.').map(str::to_owned).collect(), value: Some(value) };
    let risky = made(&golden(), &[at("context.risk_score", json!(80))]).unwrap();
    assert_eq!((risky.context.risk.inherent.value(), risky.context.risk.level), (80, risky.context.risk_score.level()));
    let high = made(&golden(), &[at("context.risk.level", json!("high"))]).unwrap();
    assert_eq!(high.context.risk_score.level(), high.context.risk.level);
    assert_eq!(made(&golden(), &[at("context.risk.level", json!("high")), at("context.risk_score", json!(3))]), None);
    assert_eq!(made(&golden(), &[at("action.name", json!("DELETE"))]).unwrap().request.method, "DELETE");
    assert_eq!(made(&golden(), &[at("context.risk_score", json!("low"))]), None, "no such input is there");
    let elsewhere = made(&golden(), &[at("request.path", json!("/admin"))]).unwrap();
    assert_eq!(elsewhere.resource.id, "payroll.example/admin");
}

#[test]
fn the_same_policies_give_the_same_inputs_and_pairs_of_one_rule() {
    let policy = starter();
    let edges = Edges::of(&[&policy, &policy]);
    let combinations: Vec<Vec<Setting>> = edges.combinations(&golden()).collect();
    assert_eq!(combinations, Edges::of(&[&policy, &policy]).combinations(&golden()).collect::<Vec<_>>());
    let pair = |settings: &Vec<Setting>| settings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let pairs: Vec<Vec<String>> = combinations.iter().map(pair).collect();
    assert!(pairs.contains(&vec!["action.name = \"POST\"".to_owned(), "context.risk_score = 19".to_owned()]), "{pairs:?}");
    let distinct: BTreeSet<&Vec<String>> = pairs.iter().collect();
    assert_eq!(distinct.len(), pairs.len(), "nothing is tried twice");
}

#[test]
fn diagonals_reach_every_pair_once() {
    let settings =
        |count: i64| (0..count).map(|value| Setting { path: vec!["x".to_owned()], value: Some(json!(value)) }).collect::<Vec<_>>();
    for (first, second) in [(1, 1), (3, 5), (5, 3), (1, 4), (4, 1), (0, 3)] {
        let pair = (settings(first), settings(second));
        let all: BTreeSet<String> = (0..32).filter_map(|turn| nth(&pair, turn)).map(|pair| format!("{pair:?}")).collect();
        assert_eq!(all.len(), usize::try_from(first * second).unwrap(), "{first} × {second}");
    }
}

fn near(source: &PolicySource, input: &Input) -> Nearest {
    nearest(&Policy::compile(source).unwrap(), input, Duration::from_secs(10))
}

fn told(nearest: &Nearest) -> Vec<Vec<String>> {
    nearest.found.iter().map(|steps| steps.iter().map(|step| step.to.to_string()).collect()).collect()
}

#[test]
fn the_smallest_change_is_found() {
    let mut input = golden();
    input = made(&input, &[Setting { path: vec!["context".to_owned(), "risk_score".to_owned()], value: Some(json!(41)) }]).unwrap();
    let found = near(&starter(), &input);
    assert_eq!(told(&found).first(), Some(&vec!["context.risk_score = 29".to_owned()]), "the nearest number that works: {found:?}");
    assert!(found.found.iter().all(|steps| steps.len() == 1 && steps[0].by == Who::Subject));
    input.device.compliant = false;
    input.action.name = "PUT".to_owned();
    input.request.method = "PUT".to_owned();
    let found = near(&starter(), &input);
    assert_eq!(told(&found).first(), Some(&vec!["device.compliant = true".to_owned(), "context.risk_score = 19".to_owned()]));
}

#[test]
fn none_is_said_to_be_none() {
    let found = near(
        &source("default allow := false\nallow if {\n\tinput.user.id == \"root\"\n\tinput.context.risk_score < 30\n}", "{}"),
        &golden(),
    );
    assert!(found.found.is_empty() && found.tried > 0, "who asks is no change of theirs: {found:?}");
}

#[test]
fn a_proof_is_a_step_up_where_it_helps() {
    let of = |settings: &[(&str, Value)]| {
        let settings: Vec<Setting> = settings
            .iter()
            .map(|(path, value)| Setting { path: path.split('.').map(str::to_owned).collect(), value: Some(value.clone()) })
            .collect();
        Outcome::of(&Policy::compile(&starter()).unwrap(), &made(&golden(), &settings).unwrap(), Duration::from_secs(10)).effect
    };
    assert_eq!(of(&[]), Effect::Allow);
    assert_eq!(of(&[("context.risk_score", json!(30))]), Effect::StepUp);
    assert_eq!(of(&[("user.role", json!(""))]), Effect::Deny, "its no is final");
}

#[test]
fn rules_are_told_with_what_they_came_to() {
    let policy = Policy::compile(&starter()).unwrap();
    let held = policy.held(&golden(), Duration::from_secs(10)).unwrap();
    let of = |name: &str| held.iter().find(|held| held.rule == format!("data.authz.{name}")).unwrap();
    assert_eq!((of("allow").value.clone(), of("limit").value.clone()), (Some(json!(true)), Some(json!(30))));
    assert_eq!((of("risk_too_high").value.clone(), of("risk_too_high").holds()), (None, false));
    assert_eq!(of("risk_too_high").reads, BTreeMap::from([("context.risk_score".to_owned(), Some(json!(5)))]));
    assert!(!of("refusals").holds() && of("passkey_proved").holds(), "an empty set is nothing: {held:?}");
    assert_eq!(held.iter().filter(|held| held.rule.ends_with(".limit")).count(), 1, "the ways of a rule are one rule");
}

#[test]
fn bases_are_allowed_by_somebody() {
    let strict = source("default allow := false\nallow if {\n\tinput.user.role == \"root\"\n\tinput.context.risk_score < 30\n}", "{}");
    let policies = [&starter(), &strict].map(|source| Policy::compile(source).unwrap());
    let bases = bases([&policies[0], &policies[1]], Duration::from_secs(10));
    assert_eq!(bases.len(), 3, "{bases:?}");
    assert_eq!(bases[2].input.user.role, "root");
}
