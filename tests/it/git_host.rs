//! The host of git repositories that other tests rest on: what an author pushes can be cloned, nobody else pushes, and a private one is read with its token.

use std::fs;
use std::path::Path;

use countersign_tests::git_host::GitHost;
use countersign_tests::git_host::author::Author;

/// A repository with one signed commit, in a work tree of its author.
fn published(folder: &Path, host: &GitHost, author: &Author) -> String {
    host.create("policies.git");
    author.git(folder, &["clone", "-q", &host.push_url("policies.git"), "work"]);
    let work = folder.join("work");
    // More than git sends in one piece: it goes out in chunks.
    let mut noise = fastrand::Rng::with_seed(1);
    fs::write(work.join("large"), (0..3 << 20).map(|_| noise.u8(..)).collect::<Vec<_>>()).unwrap();
    let commit = author.commit(&work, "the first");
    author.git(&work, &["push", "-q", "origin", "HEAD:main"]);
    commit
}

#[test]
fn what_its_author_pushes_can_be_cloned_and_nobody_else_pushes() {
    let folder = tempfile::tempdir().unwrap();
    let host = GitHost::start(folder.path());
    let (alice, mallory) = (Author::new(folder.path(), "alice"), Author::new(folder.path(), "mallory"));
    let commit = published(folder.path(), &host, &alice);
    assert_eq!(alice.git(&folder.path().join("policies.git"), &["rev-parse", "main"]), commit);

    assert!(mallory.git(folder.path(), &["ls-remote", &host.url("policies.git")]).contains(&commit));
    assert_eq!(host.packs(), 0, "who only looks asks for no pack");
    mallory.git(folder.path(), &["clone", "-q", &host.url("policies.git"), "theirs"]);
    assert_eq!(host.packs(), 1);
    let theirs = folder.path().join("theirs");
    fs::write(theirs.join("more"), "theirs").unwrap();
    mallory.commit(&theirs, "not theirs to change");
    assert!(!mallory.try_git(&theirs, &["push", "-q", "origin", "HEAD:main"]).status.success());
    assert_eq!(alice.git(&folder.path().join("policies.git"), &["rev-parse", "main"]), commit);
}

#[test]
fn a_commit_carries_its_authors_signature() {
    let folder = tempfile::tempdir().unwrap();
    let host = GitHost::start(folder.path());
    let (alice, mallory) = (Author::new(folder.path(), "alice"), Author::with_key(folder.path(), "mallory", &["-t", "ecdsa"]));
    published(folder.path(), &host, &alice);
    let (work, signers) = (folder.path().join("work"), folder.path().join("signers"));
    fs::write(&signers, alice.allowed("namespaces=\"git\"")).unwrap();
    let trust = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let holds = || alice.try_git(&work, &["-c", &trust, "verify-commit", "HEAD"]).status.success();
    assert!(holds());
    fs::write(work.join("more"), "1").unwrap();
    mallory.commit(&work, "by somebody else");
    assert!(!holds());
    fs::write(work.join("more"), "2").unwrap();
    alice.commit_unsigned(&work, "by nobody");
    assert!(!holds());
}

#[test]
fn a_private_host_is_read_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let host = GitHost::private(folder.path(), "reader-token");
    let alice = Author::new(folder.path(), "alice");
    published(folder.path(), &host, &alice);
    let url = host.url("policies.git");
    assert!(!alice.try_git(folder.path(), &["ls-remote", &url]).status.success());
    let shown = |token: &str| format!("http.extraHeader=Authorization: Bearer {token}");
    assert!(!alice.try_git(folder.path(), &["-c", &shown("other-token"), "ls-remote", &url]).status.success());
    assert!(alice.try_git(folder.path(), &["-c", &shown("reader-token"), "ls-remote", &url]).status.success());
}

#[test]
fn a_host_that_was_dropped_comes_back_on_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let host = GitHost::start(folder.path());
    let alice = Author::new(folder.path(), "alice");
    published(folder.path(), &host, &alice);
    let (url, port) = (host.url("policies.git"), host.port());
    drop(host);
    assert!(!alice.try_git(folder.path(), &["ls-remote", &url]).status.success());
    let _host = GitHost::on(port, folder.path());
    assert!(alice.try_git(folder.path(), &["ls-remote", &url]).status.success());
}
