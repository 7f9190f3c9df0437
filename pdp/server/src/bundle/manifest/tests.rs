//! Roots: what they are, and what keeps to them.

use super::*;

fn roots(written: &[&str]) -> Roots {
    Roots::new(&written.iter().map(|root| (*root).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn source(files: &[(&str, &str)]) -> PolicySource {
    PolicySource::from_files("", files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))).unwrap()
}

#[track_caller]
fn refused(manifest: &str, expected: &str) {
    let said = Manifest::parse(manifest.as_bytes()).unwrap_err().to_string();
    assert!(said.contains(expected), "{manifest}: {said}");
}

#[test]
fn a_manifest_says_revision_and_roots() {
    let manifest = Manifest::parse(br#"{"revision": "r1", "roots": ["/a/b/", "c"], "metadata": {"any": "thing"}}"#).unwrap();
    assert_eq!(manifest.revision, "r1");
    assert_eq!(manifest.roots, roots(&["a/b", "c"]));
    assert_eq!(Manifest::parse(b"{}").unwrap().roots, Roots::default());
}

#[test]
fn what_no_manifest_says() {
    refused(r#"{"roots": ["a", "a/b"]}"#, "`a` and `a/b` overlap");
    refused(r#"{"roots": ["", "b"]}"#, "overlap");
    refused(r#"{"roots": ["a", "a"]}"#, "overlap");
    refused(r#"{"wasm": [{"entrypoint": "a/b"}]}"#, "target `rego`");
    refused(r#"{"file_rego_versions": {"/a/*.rego": 0}}"#, "pattern");
    refused(r#"{"revision": 1}"#, "`.manifest`");
    refused(r#"{"revision": "a", "revision": "b"}"#, "repeated");
}

#[test]
fn a_name_that_begins_alike_is_not_within() {
    assert_eq!(roots(&["a/b", "a/bc"]).overlap(&roots(&["a/bd"])), None);
    assert_eq!(roots(&["a/b"]).overlap(&roots(&["a/b/c"])), Some(("a/b".to_owned(), "a/b/c".to_owned())));
    assert!(roots(&["a"]).overlap(&Roots::default()).is_some());
}

#[test]
fn modules_and_data_keep_to_the_roots() {
    let mine = roots(&["a/b", "c"]);
    assert!(
        mine.check(&source(&[("x.rego", "package a.b.deeper"), ("a/b/data.json", r#"{"k": 1}"#), ("data.json", r#"{"c": 1}"#)])).is_ok()
    );
    let outside = |files: &[(&str, &str)]| mine.check(&source(files)).unwrap_err().to_string();
    assert!(outside(&[("x.rego", "package system.log")]).contains("`system.log`"));
    assert!(outside(&[("x.rego", "package a")]).contains("package `a`"));
    assert!(outside(&[("data.json", r#"{"a": {"x": 1}}"#)]).contains("`a/x`"));
    assert!(outside(&[("data.json", r#"{"a": 1}"#)]).contains("`a`"));
    assert!(outside(&[("x.rego", "allow := true")]).contains("does not begin with a package"));
}
