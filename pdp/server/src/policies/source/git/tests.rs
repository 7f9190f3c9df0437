//! Whom a repository is believed: histories as their authors, and as attackers, would push them.

mod hosts;
mod ssh;

use std::fs;

use super::*;
use crate::git::Follow;
use crate::git::testing::Kit;

/// A repository with keys of two people, of whom only Ann may sign.
fn scene() -> Kit {
    let kit = Kit::new();
    let ann = kit.key("ann");
    kit.key("mallory");
    kit.signers(&format!("ann@example.com {ann}\n"));
    kit
}

fn here(kit: &Kit, trusted: Option<CommitId>) -> Git {
    Git::new(kit.here(), kit.at("mirror"), trusted).unwrap()
}

fn tagged(kit: &Kit, trusted: Option<CommitId>) -> Git {
    Git::new(Settings { follow: Follow::Tag("live".to_owned()), ..kit.here() }, kit.at("mirror"), trusted).unwrap()
}

#[track_caller]
fn offered(git: &mut Git, commit: CommitId) -> Offer {
    match git.look() {
        Look::Offer(offer) => {
            assert_eq!(offer.origin.name, Some(commit.to_string()));
            offer
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(git: &mut Git, why: &str) {
    match git.look() {
        Look::Refused { why: said, .. } => {
            assert!(said.contains(why), "{said}");
            assert!(matches!(git.look(), Look::Nothing), "it is told once");
        }
        Look::Failed(said) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_branch_goes_on() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let mut git = here(&kit, None);
    let offer = offered(&mut git, first);
    assert_eq!(offer.files, [("a.rego".to_owned(), b"package one".to_vec())]);
    let origin = Origin {
        name: Some(first.to_string()),
        signer: Some("ann@example.com".to_owned()),
        author: Some("Ann Author".to_owned()),
        title: Some("package one".to_owned()),
    };
    assert_eq!(offer.origin, origin);
    assert!(matches!(git.look(), Look::Nothing));
    kit.commit("package two", Some("ann"));
    kit.git(&["checkout", "-qb", "side", &first.to_string()]);
    kit.record(&["commit", "-q", "--allow-empty", "-m", "on the side"], Some("ann"));
    kit.git(&["checkout", "-q", "main"]);
    let merged = kit.record(&["merge", "-q", "--no-ff", "-m", "both", "side"], Some("ann"));
    offered(&mut git, merged);
    // Also after a restart that knows the first one only, and one that knows the last.
    offered(&mut here(&kit, Some(first)), merged);
    offered(&mut here(&kit, Some(merged)), merged);
}

#[test]
fn what_is_not_signed_by_an_allowed_signer_is_refused() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let from_first = |commit: &dyn Fn(), why: &str| {
        kit.git(&["checkout", "-q", "-B", "main", &first.to_string()]);
        commit();
        refused(&mut here(&kit, Some(first)), why);
        // At first too, when it is the tip.
        refused(&mut here(&kit, None), why);
    };
    from_first(&|| assert_ne!(kit.commit("package two", None), first), "is not signed");
    from_first(&|| assert_ne!(kit.commit("package two", Some("mallory")), first), "not among the allowed signers");
    // The tree says who may sign: that is nobody's business.
    let by_tree = || {
        let mallory = fs::read_to_string(kit.at("mallory.pub")).unwrap();
        fs::write(kit.at("work/allowed_signers"), format!("mallory {mallory}")).unwrap();
        kit.commit("package two", Some("mallory"));
    };
    from_first(&by_tree, "not among the allowed signers");
    let inside =
        Settings { allowed_signers: Some(kit.at("work/allowed_signers")), ..kit.settings(&format!("file://{}", kit.at("work").display())) };
    refused(&mut Git::new(inside, kit.at("mirror"), None).unwrap(), "lie within the repository");
    // A signature of another commit.
    let borrowed = || {
        kit.commit("package two", Some("ann"));
        let raw = kit.git(&["cat-file", "commit", "HEAD"]).replace("package two", "package evil");
        let forged = kit.object("commit", format!("{raw}\n").as_bytes());
        kit.git(&["reset", "-q", "--hard", &forged]);
    };
    from_first(&borrowed, "does not hold");
}

#[test]
fn every_new_commit_counts_on_all_sides() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    kit.commit("package two", None);
    let third = kit.commit("package three", Some("ann"));
    refused(&mut here(&kit, Some(first)), "is not signed");
    // Whoever never trusted anything takes a signed tip with what it descends from.
    offered(&mut here(&kit, None), third);
    kit.git(&["checkout", "-q", "-B", "side", &first.to_string()]);
    kit.record(&["commit", "-q", "--allow-empty", "-m", "on the side"], None);
    kit.git(&["checkout", "-q", "-B", "main", &first.to_string()]);
    kit.commit("package two", Some("ann"));
    kit.record(&["merge", "-q", "--no-ff", "-m", "both", "side"], Some("ann"));
    refused(&mut here(&kit, Some(first)), "is not signed");
}

#[test]
fn a_history_that_was_rewritten_or_goes_back_is_refused() {
    for signers in [true, false] {
        let kit = if signers { scene() } else { Kit::new() };
        let key = signers.then_some("ann");
        let first = kit.commit("package one", key);
        let second = kit.commit("package two", key);
        let mut git = here(&kit, None);
        offered(&mut git, second);
        kit.git(&["reset", "-q", "--hard", &first.to_string()]);
        refused(&mut git, "it goes back");
        kit.commit("package other", key);
        refused(&mut git, "was rewritten");
        kit.git(&["checkout", "-q", "--orphan", "fresh"]);
        kit.git(&["branch", "-qD", "main"]);
        kit.git(&["checkout", "-q", "--orphan", "main"]);
        kit.commit("package fresh", key);
        refused(&mut git, "was rewritten");
        // As it was: the same commit again, so that whoever complained stops.
        kit.git(&["reset", "-q", "--hard", &second.to_string()]);
        offered(&mut git, second);
        // The last one is not even there.
        kit.git(&["checkout", "-q", "main"]);
        let elsewhere = CommitId::parse(&"1".repeat(40));
        refused(&mut here(&kit, elsewhere), "was rewritten");
    }
}

#[test]
fn a_key_counts_by_now_whatever_a_commit_says_of_its_time() {
    let kit = Kit::new();
    let ann = kit.key("ann");
    let dated = |options: &str| kit.signers(&format!("ann {options} {ann}\n"));
    dated("");
    kit.git(&["config", "user.useConfigOnly", "false"]);
    let first = kit
        .record(&["-c", "core.abbrev=40", "commit", "-q", "--allow-empty", "--date=2020-06-01T00:00:00Z", "-m", "backdated"], Some("ann"));
    let follow = || Git::new(Settings { within: String::new(), ..kit.here() }, kit.at("mirror"), None).unwrap();
    offered(&mut follow(), first);
    for (options, why) in
        [("valid-before=\"20210101Z\"", "any more"), ("valid-after=\"29990101Z\"", "yet"), ("namespaces=\"file\"", "may not sign for git")]
    {
        dated(options);
        refused(&mut follow(), why);
    }
}

#[test]
fn who_may_sign_is_read_at_each_look() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let mut git = here(&kit, None);
    offered(&mut git, first);
    let ann = fs::read_to_string(kit.at("allowed_signers")).unwrap();
    let mallory = fs::read_to_string(kit.at("mallory.pub")).unwrap();
    kit.signers(&format!("mallory {mallory}"));
    refused(&mut git, "not among the allowed signers");
    kit.signers(&ann);
    offered(&mut git, first);
    kit.signers("ann nonsense\n");
    refused(&mut git, "line 1");
    fs::remove_file(kit.at("allowed_signers")).unwrap();
    refused(&mut git, "cannot be read");
    kit.signers(&format!("{ann}mallory {mallory}"));
    offered(&mut git, first);
}

#[test]
fn a_tag_counts_by_its_own_signature_where_it_has_one() {
    let kit = scene();
    let first = kit.commit("package one", None);
    kit.tag("live", Some("ann"));
    let mut git = tagged(&kit, None);
    assert_eq!(offered(&mut git, first).origin.signer.as_deref(), Some("ann@example.com"));
    let second = kit.commit("package two", None);
    assert!(matches!(git.look(), Look::Nothing), "the tag did not move");
    kit.tag("live", Some("mallory"));
    refused(&mut git, "not among the allowed signers");
    kit.tag("live", None);
    refused(&mut git, "is not signed");
    kit.git(&["tag", "-f", "live"]);
    assert!(matches!(git.look(), Look::Nothing), "the same is told once");
    // A tag that Ann signed under another name.
    kit.tag("draft", Some("ann"));
    kit.git(&["update-ref", "refs/tags/live", "refs/tags/draft"]);
    refused(&mut git, "it was made as `draft`");
    kit.tag("live", Some("ann"));
    offered(&mut git, second);
    // The tag of then, shown again, is a way back.
    kit.git(&["checkout", "-q", &first.to_string()]);
    kit.tag("live", Some("ann"));
    refused(&mut git, "it goes back");
    // A tag without a signature counts by the commits.
    kit.git(&["checkout", "-q", "main"]);
    kit.git(&["reset", "-q", "--hard", &second.to_string()]);
    let third = kit.commit("package three", Some("ann"));
    kit.tag("live", None);
    offered(&mut git, third);
    // A tag of no commit.
    kit.git(&["tag", "-f", "live", "HEAD^{tree}"]);
    refused(&mut git, "is no commit");
}

#[test]
fn a_commit_that_is_named_is_the_only_one() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let second = kit.commit("package two", None);
    let pinned = |commit: CommitId| Settings { follow: Follow::Commit(commit.to_string()), ..kit.here() };
    // Whoever runs the server wrote its id down, so it may go back.
    offered(&mut Git::new(pinned(first), kit.at("mirror"), Some(second)).unwrap(), first);
    refused(&mut Git::new(pinned(second), kit.at("mirror"), None).unwrap(), "is not signed");
    let nowhere = Settings { follow: Follow::Commit("1".repeat(40)), ..kit.here() };
    refused(&mut Git::new(nowhere, kit.at("mirror"), None).unwrap(), "cannot be read");
}

#[test]
fn settings_that_mean_nothing() {
    let kit = Kit::new();
    let why = |settings: Settings| Git::new(settings, kit.at("mirror"), None).unwrap_err();
    assert!(why(kit.settings("git://host/a")).contains("a repository is"));
    assert!(why(kit.settings("ext::sh -c x")).contains("plain"));
    assert!(why(kit.settings("http://git.example.com/a")).contains("https"));
    assert!(why(kit.settings("https://10.0.0.1/a")).contains("private"));
    assert!(why(kit.settings("https://user:secret@git.example.com/a")).contains("password"));
    assert!(why(kit.settings("ssh://git@host/a")).contains("known_hosts_file"));
    let branch = Settings { follow: Follow::Branch("a..b".to_owned()), ..kit.settings("https://git.example.com/a") };
    assert!(why(branch).contains("no name"));
    let nowhere = kit.settings("file:///nowhere/at/all");
    refused(&mut Git::new(nowhere, kit.at("mirror"), None).unwrap(), "no git repository");
    let no_branch = Settings { follow: Follow::Branch("other".to_owned()), ..kit.here() };
    refused(&mut Git::new(no_branch, kit.at("mirror"), None).unwrap(), "there is no `refs/heads/other`");
}
