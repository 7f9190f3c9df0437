//! Bundles from files: activated, replaced, refused, and there again after a start.

use std::path::Path;

use super::*;
use crate::bundle::tests::Packed;
use crate::opa::active::tests::{here, question};

const DELAY: Delay = Delay { min: Duration::from_secs(60), max: Duration::from_secs(120) };

fn configured(name: &str, origin: Origin) -> Configured {
    Configured { name: name.to_owned(), origin, trust: Trust::default(), delay: DELAY }
}

fn bundles(folder: &Path, configured: Vec<Configured>) -> Bundles {
    let activation = Arc::new(Activation::new(here).unwrap());
    Bundles::new(configured, activation, Kept::under(folder))
}

fn packed(revision: &str, roots: &str, value: &str) -> Vec<u8> {
    let manifest = format!(r#"{{"revision": "{revision}", "roots": [{roots}]}}"#);
    Packed::new().file("/data.json", &format!(r#"{{"k": {value}}}"#)).file("/.manifest", &manifest).gz()
}

fn at(folder: &Path, name: &str) -> Vec<Configured> {
    vec![configured(name, Origin::File(folder.join("b.tar.gz")))]
}

impl Bundles {
    fn value(&self) -> Option<serde_json::Value> {
        self.activation.now().document(&["k".to_owned()], &question()).unwrap()
    }

    async fn look_again(&self) -> BundleStatus {
        self.look(&self.watched[0]).await;
        self.watched[0].state().status.clone()
    }
}

#[tokio::test]
async fn a_bundle_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar.gz");
    std::fs::write(&file, packed("r1", r#""k""#, "1")).unwrap();
    let bundles = bundles(folder.path(), at(folder.path(), "b"));
    assert!(!bundles.are_active());
    bundles.start().await;
    assert!(bundles.are_active());
    assert_eq!(bundles.value(), Some(1.into()));
    assert_eq!(bundles.status()[0].active_revision.as_deref(), Some("r1"));

    let broken: [(&[u8], &str); 3] = [
        (b"no archive", "cannot be read"),
        (&packed("r2", r#""elsewhere""#, "2"), "outside the bundle's roots"),
        (&Packed::new().file("../x.rego", "").gz(), "not a path within"),
    ];
    for (bytes, expected) in broken {
        std::fs::write(&file, bytes).unwrap();
        let status = bundles.look_again().await;
        assert_eq!(status.code, Some("bundle_error"));
        assert!(status.message.as_ref().unwrap().contains(expected), "{status:?}");
        assert_eq!(status.active_revision.as_deref(), Some("r1"), "the last good one stays");
        assert_eq!(bundles.value(), Some(1.into()));
    }
    std::fs::write(&file, packed("r3", r#""k""#, "3")).unwrap();
    let status = bundles.look_again().await;
    assert_eq!((status.code, status.active_revision.as_deref()), (None, Some("r3")));
    assert_eq!(bundles.value(), Some(3.into()));
}

#[tokio::test]
async fn what_was_good_is_there_after_a_start_without_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar.gz");
    std::fs::write(&file, packed("r1", r#""k""#, "1")).unwrap();
    bundles(folder.path(), at(folder.path(), "b")).start().await;
    std::fs::remove_file(&file).unwrap();
    let again = bundles(folder.path(), at(folder.path(), "b"));
    again.start().await;
    assert_eq!(again.value(), Some(1.into()));
    assert!(again.status()[0].message.as_ref().unwrap().contains("cannot read"), "and its source is missed");
    // What is kept is checked like anything else.
    std::fs::write(folder.path().join("opa-bundles/b.tar.gz"), b"tampered").unwrap();
    let tampered = bundles(folder.path(), at(folder.path(), "b"));
    tampered.start().await;
    assert_eq!(tampered.value(), None);
    assert!(!tampered.are_active());
}

#[tokio::test]
async fn a_folder_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("data.json"), r#"{"k": [1]}"#).unwrap();
    let bundles = bundles(folder.path(), vec![configured("", Origin::Folder(policies.clone()))]);
    bundles.start().await;
    assert_eq!(bundles.value(), Some(serde_json::json!([1])));
    assert!(bundles.status().is_empty(), "a folder is no bundle");
    std::fs::write(policies.join("x.rego"), "package k\n\nnot rego").unwrap();
    bundles.look_again().await;
    assert_eq!(bundles.value(), Some(serde_json::json!([1])));
}

#[test]
fn delays_are_spread() {
    for _ in 0..100 {
        let delay = between(DELAY);
        assert!(delay >= DELAY.min && delay < DELAY.max, "{delay:?}");
    }
}
