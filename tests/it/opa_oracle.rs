//! A differential test: every policy of ours, asked of our engine and of OPA itself, with thousands of generated inputs. There is no difference.

mod package;
mod pair;
mod search;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_pdp_engine::policy::{DEFAULT_PACKAGE, PolicySource};
use countersign_pdp_server::policies;
use countersign_tests::inputs;

use package::Package;
use pair::{Outcome, Pair};
use proptest::strategy::Strategy as _;

/// How many inputs each policy is asked about.
const INPUTS: usize = 3_000;

/// Policies that are not compared with free input: numbers of any size and texts of any kind reach built-ins that are listed as different.
/// The list only shrinks; it holds none of our own policies.
const CONTRACT_ONLY: [&str; 3] = ["networks", "realistic", "shapes"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(folder: &Path) -> PolicySource {
    let files = policies::read(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    PolicySource::from_files(DEFAULT_PACKAGE, files).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// Every folder below this one that holds Rego, by its name.
fn folders(below: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut open = vec![below.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rego") {
                found.insert(folder.file_name().unwrap().to_str().unwrap().to_owned(), folder.clone());
            } else if path.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// A policy and what OPA is given for it: the policy itself, or its twin where it is written in the older Rego.
fn with_twin(name: &str, folder: &Path) -> (PolicySource, PolicySource) {
    let ours = source(folder);
    let twin = top().join("tests/oracle/twins").join(name);
    let theirs = if twin.is_dir() { source(&twin) } else { ours.clone() };
    (ours, theirs)
}

/// Compares all policies below a folder, each in its own thread.
fn compare(below: &Path, one: impl Fn(&str, &PolicySource, &PolicySource) -> usize + Sync) -> BTreeMap<String, usize> {
    let policies = folders(below);
    let of = |name: &str, folder: &Path| {
        let (ours, theirs) = with_twin(name, folder);
        one(name, &ours, &theirs)
    };
    let compared = std::thread::scope(|scope| {
        let threads: Vec<_> = policies.iter().map(|(name, folder)| scope.spawn(|| of(name, folder))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|text| std::panic::resume_unwind(text))).collect::<Vec<_>>()
    });
    policies.into_keys().zip(compared).collect()
}

/// How often a policy allows; both engines agree.
fn allowed(name: &str, ours: &PolicySource, theirs: &PolicySource) -> usize {
    let outcomes =
        Pair::load(name, ours, theirs).compare(&inputs::contract_of(ours), INPUTS).unwrap_or_else(|difference| panic!("{difference}"));
    assert_eq!(outcomes.len(), INPUTS, "{name}");
    outcomes.iter().filter(|outcome| outcome.allows()).count()
}

/// How often a package has a value, for inputs of the contract and for free ones; both engines agree.
fn valued(name: &str, ours: &PolicySource, theirs: &PolicySource) -> usize {
    let mut package = Package::load(name, ours, theirs);
    let contract = inputs::contract_of(ours).prop_map(|input| serde_json::to_value(input).unwrap());
    let mut valued = package.compare(&contract, INPUTS / 2).unwrap_or_else(|difference| panic!("{difference}"));
    if !CONTRACT_ONLY.contains(&name) {
        valued += package.compare(&inputs::free(), INPUTS / 2).unwrap_or_else(|difference| panic!("{difference}"));
    }
    valued
}

#[test]
fn every_policy_of_ours_answers_as_opa_does() {
    let allowed = compare(&top().join("policies"), allowed);
    assert!(allowed.contains_key("starter") && allowed.contains_key("seed"), "{allowed:?}");
    for (name, allowed) in allowed {
        assert!((INPUTS / 100..INPUTS).contains(&allowed), "the inputs say little about `{name}`: {allowed} of {INPUTS} are allowed");
    }
}

#[test]
fn policies_that_use_more_of_the_language_answer_as_opa_does() {
    let allowed = compare(&top().join("tests/oracle/policies"), allowed);
    assert_eq!(allowed.keys().collect::<Vec<_>>(), ["networks", "realistic", "shapes"]);
}

/// OPA's clients may ask for any document, with any input.
#[test]
fn every_rule_of_every_policy_is_as_in_opa_for_free_input() {
    for below in ["policies", "tests/oracle/policies"] {
        for (name, valued) in compare(&top().join(below), valued) {
            assert!(valued > INPUTS / 4, "the inputs say little about `{name}`: its package has a value for {valued} of {INPUTS}");
        }
    }
}

/// A comparison that cannot fail is none: one character in one of the two policies must be found, and shown by what matters.
#[test]
fn a_policy_that_differs_in_one_character_is_found() {
    let seed = source(&top().join("policies/examples/seed"));
    let mut other = source(&top().join("tests/oracle/twins/seed"));
    other.files[0].text = other.files[0].text.replace("risk_score < 30", "risk_score <= 30");
    let difference = Pair::load("seed", &seed, &other).compare(&inputs::contract(), INPUTS).unwrap_err();
    let shown = difference.to_string();
    assert_eq!((&difference.ours, &difference.opa), (&Outcome::plain(false), &Outcome::plain(true)), "{shown}");
    assert!(shown.contains("/context/risk_score: 30\n") && shown.lines().count() < 12, "{shown}");
}

#[test]
fn another_threshold_in_the_data_is_found() {
    let starter = source(&top().join("policies/starter"));
    let mut other = starter.clone();
    other.data["thresholds"]["risk"]["writing"] = 21.into();
    let difference = Pair::load("starter", &starter, &other).compare(&inputs::contract(), INPUTS).unwrap_err().to_string();
    assert!(difference.contains("/context/risk_score: 20\n"), "{difference}");
}
