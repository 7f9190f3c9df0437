//! A bundle as a source: what it offers, what it refuses, and that the same is offered once.

use std::fs;
use std::path::Path;

use super::*;
use crate::bundle::tests::Packed;
use crate::bundle::{Origin as From, Trust};

const REGO: &str = "package authz\n\ndefault allow := false\n";

fn opened(file: &Path) -> Bundle {
    let bundled = Bundled { origin: From::File(file.to_owned()), trust: Trust::default(), shown: file.display().to_string() };
    Bundle::new(bundled, Arc::new(Pace::new(Duration::from_secs(30))))
}

fn packed(revision: &str) -> Vec<u8> {
    Packed::new().file("/.manifest", &format!("{{\"revision\": \"{revision}\"}}")).file("/authz.rego", REGO).gz()
}

#[track_caller]
fn offer(bundle: &mut Bundle) -> Offer {
    match bundle.look() {
        Look::Offer(offer) => offer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bundle_is_offered_once_and_by_the_name_of_its_maker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.tar.gz");
    fs::write(&file, packed("r1")).unwrap();
    let mut bundle = opened(&file);
    let first = offer(&mut bundle);
    assert_eq!((first.origin.name.as_deref(), first.origin.signer), (Some("r1"), None));
    assert_eq!(first.files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [".manifest", "authz.rego"]);
    assert!(matches!(bundle.look(), Look::Nothing));
    fs::write(&file, packed("r2")).unwrap();
    assert_eq!(offer(&mut bundle).origin.name.as_deref(), Some("r2"));
}

#[test]
fn what_is_no_bundle_is_refused_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.tar.gz");
    fs::write(&file, "no archive").unwrap();
    let mut bundle = opened(&file);
    assert!(matches!(bundle.look(), Look::Refused { .. }));
    assert!(matches!(bundle.look(), Look::Nothing));
    fs::write(&file, Packed::new().file("/.manifest", "{\"roots\": [\"other\"]}").file("/authz.rego", REGO).gz()).unwrap();
    assert!(matches!(bundle.look(), Look::Refused { why, .. } if why.contains("outside the bundle's roots")));
    fs::remove_file(&file).unwrap();
    assert!(matches!(bundle.look(), Look::Failed(why) if why.contains("cannot read")));
    fs::write(&file, packed("r1")).unwrap();
    offer(&mut bundle);
}

#[test]
fn nobody_waits_for_a_server_that_stops() {
    let pace = Pace::new(Duration::from_secs(30));
    pace.end();
    assert_eq!(wait(std::future::pending::<()>(), &pace), Err("the server stops".to_owned()));
}
