//! What is kept of policies: whole, for a number of revisions, and not believed where it is something else.

use super::*;

fn policy(text: &str) -> (Digest, Files) {
    let files = vec![(".manifest".to_owned(), b"{}".to_vec()), ("a.rego".to_owned(), format!("package authz\n# {text}\n").into_bytes())];
    (source("authz", files.clone()).unwrap().digest(), files)
}

fn origin() -> Origin {
    Origin {
        name: Some("c0ffee".to_owned()),
        signer: Some("ann@example.com".to_owned()),
        author: None,
        title: Some("no \n line".to_owned()),
    }
}

fn only_file(kept: &Kept) -> PathBuf {
    kept.entries().unwrap().remove(0).path
}

#[test]
fn a_revision_comes_back_as_it_was() {
    let store = tempfile::tempdir().unwrap();
    let kept = Kept::under(store.path(), "authz");
    assert!(kept.list().is_empty());
    let (digest, files) = policy("one");
    assert!(kept.read(&digest).unwrap_err().contains("nothing is kept"));
    kept.keep(&digest, &files, &origin()).unwrap();
    assert_eq!(kept.read(&digest).unwrap(), KeptPolicy { files, origin: origin() });
    let asked_otherwise = Kept::under(store.path(), "other").read(&digest);
    assert!(asked_otherwise.unwrap_err().contains("another package"));
}

#[test]
fn the_last_ones_are_kept_and_each_once() {
    let store = tempfile::tempdir().unwrap();
    let kept = Kept::under(store.path(), "authz");
    let all: Vec<_> = (0..MOST + 3).map(|number| policy(&number.to_string())).collect();
    for (digest, files) in &all {
        kept.keep(digest, files, &Origin::default()).unwrap();
    }
    let mut last: Vec<_> = all.iter().rev().take(MOST).map(|(digest, _)| *digest).collect();
    assert_eq!(kept.list(), last);
    let oldest = last.pop().unwrap();
    let (_, files) = all.iter().find(|(digest, _)| *digest == oldest).unwrap();
    kept.keep(&oldest, files, &Origin::default()).unwrap();
    last.insert(0, oldest);
    assert_eq!(kept.list(), last, "what is active again is the latest");
}

#[test]
fn damage_is_seen_wherever_it_is() {
    let store = tempfile::tempdir().unwrap();
    let kept = Kept::under(store.path(), "authz");
    let (digest, files) = policy("one");
    kept.keep(&digest, &files, &origin()).unwrap();
    let path = only_file(&kept);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(kept.read(&digest).is_err(), "byte {at}");
    }
    for length in [0, 10, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(kept.read(&digest).is_err(), "{length} bytes");
    }
}

#[test]
fn a_file_that_was_put_in_the_place_of_another_is_not_believed() {
    let store = tempfile::tempdir().unwrap();
    let kept = Kept::under(store.path(), "authz");
    let (digest, files) = policy("one");
    kept.keep(&digest, &files, &origin()).unwrap();
    let path = only_file(&kept);
    let (other, files) = policy("two");
    kept.keep(&other, &files, &origin()).unwrap();
    fs::copy(only_file(&kept), path).unwrap();
    assert!(kept.read(&digest).unwrap_err().contains("another policy"));
    assert!(kept.read(&other).is_ok());
}
