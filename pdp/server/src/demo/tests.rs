//! The story against the real decision point: it holds with the starter policy, and falls where a policy lets everybody in or nobody.

use countersign_pdp_demo::story::Played;
use countersign_pdp_engine::policy::Policy;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::Revision;

use super::Setting;
use crate::policies::{deep, source, starter};

fn policy(text: &str) -> Snapshot {
    let source = source("authz", vec![("access.rego".to_owned(), text.as_bytes().to_vec())]).unwrap();
    Snapshot::new(Revision::new("of-this-test").unwrap(), deep(|| Policy::compile(&source)).unwrap().unwrap())
}

/// Plays one after the other in one folder. Policies are evaluated on the runtime's threads, so their stacks are as large as the server's.
fn played(settings: impl IntoIterator<Item = (&'static str, Snapshot)>) -> Vec<Played> {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_stack_size(16 << 20).build().unwrap();
    let play = |(iss, policy): (&str, Snapshot)| super::play(Setting { port: 0, iss: iss.to_owned(), policy }, folder.path());
    settings.into_iter().map(|setting| runtime.block_on(play(setting)).unwrap()).collect()
}

/// The steps that did not come out as told.
fn fallen(played: &Played) -> Vec<&str> {
    played.steps.iter().filter(|step| !step.held).map(|step| step.told.as_str()).collect()
}

const ABROAD: &str = "alice herself opens the payroll, in Singapore";

#[test]
fn the_story_holds_for_every_new_alice_in_the_same_folder() {
    for (run, played) in played(["a", "b", "c"].map(|iss| (iss, starter().unwrap()))).iter().enumerate() {
        assert!(played.holds(), "run {run}: {:?}", fallen(played));
        assert_eq!(played.steps.len(), 12, "{:?}", played.steps);
    }
}

/// She has proved herself in Singapore by then, but each run has a new browser, and it is 03:40: that is asked about everywhere.
#[test]
fn the_same_alice_goes_on_a_day_later() {
    let all = played(["a"; 4].map(|iss| (iss, starter().unwrap())));
    for (run, played) in all.iter().enumerate() {
        assert!(played.holds(), "run {run}: {:?}", fallen(played));
    }
    let days: Vec<_> = all.iter().map(|played| &played.steps[0].at).collect();
    assert_eq!(days, ["Tue 10:00", "Thu 10:00", "Mon 10:00", "Wed 10:00"]);
}

#[test]
fn a_policy_that_lets_everybody_in_is_found_out() {
    let played = played([("a", policy("package authz\nimport rego.v1\ndefault allow := true\n"))]).remove(0);
    assert!(!played.holds());
    let wanted = [
        "the attacker opens the payroll with the stolen token",
        "the attacker tries the payroll once more",
        ABROAD,
        "the attacker goes on with the same token",
    ];
    assert_eq!(fallen(&played), wanted);
}

#[test]
fn a_policy_that_lets_nobody_in_is_found_out() {
    let played = played([("a", policy("package authz\nimport rego.v1\ndefault allow := false\n"))]).remove(0);
    assert!(!played.holds());
    assert_eq!(fallen(&played), ["alice opens the payroll", ABROAD, "alice goes on"]);
}
