//! Bundles that come together, and bundles that do not.

use std::time::Duration;

use countersign_pdp_engine::rego::BuiltinErrors;
use countersign_sdk_types::Timestamp;
use serde_json::json;

use super::*;

/// What the jail does, in this process.
pub(crate) fn here(source: &PolicySource) -> Result<CandidateReport, Ended> {
    Ok(crate::jail::library_report(source))
}

pub(crate) fn bundle(revision: &str, roots: &[&str], files: &[(&str, &str)]) -> Bundle {
    let manifest = json!({"revision": revision, "roots": roots}).to_string();
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Bundle::of_files(files.chain([(".manifest".to_owned(), manifest.into_bytes())]).collect()).unwrap()
}

pub(crate) fn question() -> Question {
    Question { input: None, now: Timestamp(0), seed: [0; 32], budget: Duration::from_secs(10), builtin_errors: BuiltinErrors::Undefined }
}

fn document(activation: &Activation, path: &[&str]) -> Option<Value> {
    let path: Vec<_> = path.iter().map(|step| (*step).to_owned()).collect();
    activation.now().document(&path, &question()).unwrap()
}

#[tokio::test]
async fn bundles_with_roots_of_their_own_are_one_tree() {
    let activation = Activation::new(here).unwrap();
    assert_eq!(document(&activation, &["a"]), None);
    activation.activate("one", bundle("r1", &["a"], &[("x.rego", "package a\n\nx := data.b.y + 1\n")])).await.unwrap();
    assert_eq!(document(&activation, &["a", "x"]), None);
    activation.activate("two", bundle("r2", &["b"], &[("data.json", r#"{"b": {"y": 1}}"#)])).await.unwrap();
    assert_eq!(document(&activation, &["a", "x"]), Some(json!(2)));
    let now = activation.now();
    assert_eq!(now.revisions.values().collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(now.modules[0].path, "one/x.rego");
    activation.activate("two", bundle("r3", &["b"], &[("data.json", r#"{"b": {"y": 4}}"#)])).await.unwrap();
    assert_eq!(document(&activation, &["a", "x"]), Some(json!(5)));
}

#[tokio::test]
async fn overlapping_roots_are_refused_and_the_first_stays() {
    let activation = Activation::new(here).unwrap();
    activation.activate("one", bundle("r1", &["a/b"], &[("data.json", r#"{"a": {"b": {"k": 1}}}"#)])).await.unwrap();
    for roots in [&["a"][..], &["a/b/c"], &[""]] {
        let error = activation.activate("two", bundle("r2", roots, &[])).await.unwrap_err();
        assert!(error.to_string().contains("of bundle `one`"), "{error}");
    }
    activation.activate("two", bundle("r2", &["a/c"], &[("data.json", r#"{"a": {"c": 2}}"#)])).await.unwrap();
    assert_eq!(document(&activation, &["a"]), Some(json!({"b": {"k": 1}, "c": 2})));
}

#[tokio::test]
async fn what_does_not_compile_changes_nothing() {
    let activation = Activation::new(here).unwrap();
    activation.activate("one", bundle("r1", &["a"], &[("x.rego", "package a\n\nx := 1\n")])).await.unwrap();
    let broken = bundle("r2", &["a"], &[("x.rego", "package a\n\nx := nothing_like_this(1)\n")]);
    let error = activation.activate("one", broken).await.unwrap_err();
    assert!(matches!(error, NotActivated::Refused(_)), "{error}");
    assert_eq!(document(&activation, &["a", "x"]), Some(json!(1)));
    assert_eq!(activation.now().revisions["one"], "r1");
}

#[tokio::test]
async fn each_bundle_keeps_its_own_dialect() {
    let activation = Activation::new(here).unwrap();
    let old = [(".manifest", r#"{"roots": ["old"], "rego_version": 0}"#), ("x.rego", "package old\n\nx { true }\n")];
    let old = old.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    activation.activate("old", Bundle::of_files(old.to_vec()).unwrap()).await.unwrap();
    activation.activate("new", bundle("r", &["new"], &[("x.rego", "package new\n\nx if true\n")])).await.unwrap();
    assert_eq!(document(&activation, &["old", "x"]), Some(json!(true)));
    assert_eq!(document(&activation, &["new", "x"]), Some(json!(true)));
}
