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

/// A repository after a start that knows this commit.
fn open(settings: Settings, mirror: PathBuf, trusted: Option<CommitId>) -> Result<Git, String> {
    bounded(settings, mirror, trusted, Bounds::default())
}

fn bounded(settings: Settings, mirror: PathBuf, trusted: Option<CommitId>, bounds: Bounds) -> Result<Git, String> {
    let anchor = mirror.with_extension("anchor");
    let _was_there = fs::remove_file(&anchor);
    if let Some(trusted) = trusted {
        Anchor::new(anchor.clone(), &settings).set(trusted).unwrap();
    }
    Git::bounded(settings, mirror, anchor, bounds, pace())
}

fn pace() -> Arc<Pace> {
    Arc::new(Pace::new(Duration::from_secs(30)))
}

fn here(kit: &Kit, trusted: Option<CommitId>) -> Git {
    open(kit.here(), kit.at("mirror"), trusted).unwrap()
}

fn tagged(kit: &Kit, trusted: Option<CommitId>) -> Git {
    open(Settings { follow: Follow::Tag("live".to_owned()), ..kit.here() }, kit.at("mirror"), trusted).unwrap()
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
    refused(&mut open(inside, kit.at("mirror"), None).unwrap(), "lie within the repository");
    let inside = Settings { allowed_signers: Some(kit.at("work/allowed_signers")), ..kit.here() };
    refused(&mut open(inside, kit.at("mirror"), None).unwrap(), "lie within the repository");
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
    let follow = || open(Settings { within: String::new(), ..kit.here() }, kit.at("mirror"), None).unwrap();
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
    offered(&mut open(pinned(first), kit.at("mirror"), Some(second)).unwrap(), first);
    refused(&mut open(pinned(second), kit.at("mirror"), None).unwrap(), "is not signed");
    let nowhere = Settings { follow: Follow::Commit("1".repeat(40)), ..kit.here() };
    refused(&mut open(nowhere, kit.at("mirror"), None).unwrap(), "cannot be read");
}

#[test]
fn settings_that_mean_nothing() {
    let kit = Kit::new();
    let why = |settings: Settings| open(settings, kit.at("mirror"), None).unwrap_err();
    assert!(why(kit.settings("git://host/a")).contains("a repository is"));
    assert!(why(kit.settings("ext::sh -c x")).contains("plain"));
    assert!(why(kit.settings("http://git.example.com/a")).contains("https"));
    assert!(why(kit.settings("https://10.0.0.1/a")).contains("private"));
    assert!(why(kit.settings("https://user:secret@git.example.com/a")).contains("password"));
    assert!(why(kit.settings("ssh://git@host/a")).contains("known_hosts_file"));
    let branch = Settings { follow: Follow::Branch("a..b".to_owned()), ..kit.settings("https://git.example.com/a") };
    assert!(why(branch).contains("no name"));
    let nowhere = kit.settings("file:///nowhere/at/all");
    refused(&mut open(nowhere, kit.at("mirror"), None).unwrap(), "no git repository");
    let no_branch = Settings { follow: Follow::Branch("other".to_owned()), ..kit.here() };
    refused(&mut open(no_branch, kit.at("mirror"), None).unwrap(), "there is no `refs/heads/other`");
}

/// A server's data folder, opened anew each time.
fn started(kit: &Kit, settings: Settings) -> Git {
    Git::new(settings, &kit.at("data"), pace()).unwrap()
}

#[test]
fn only_forward_survives_a_restart() {
    let kit = scene();
    let host = crate::git::testing::Host::start(&kit.at(""));
    for settings in [kit.here(), kit.settings(&host.url)] {
        let _was_there = fs::remove_dir_all(kit.at("data"));
        kit.git(&["checkout", "-q", "-B", "main"]);
        let live = kit.commit("package live", Some("ann"));
        let mut git = started(&kit, settings.clone());
        offered(&mut git, live);
        // Two at once, of which the second takes the first back: its files are active already, so nobody keeps them.
        let weaker = kit.commit("package weaker", Some("ann"));
        let back = kit.commit("package live", Some("ann"));
        offered(&mut git, back);
        kit.git(&["reset", "-q", "--hard", &weaker.to_string()]);
        refused(&mut git, "it goes back");
        refused(&mut started(&kit, settings.clone()), "it goes back");
        // A mirror may be thrown away; what was taken is known without it.
        let _none_here = fs::remove_dir_all(kit.at("data/policy-mirror"));
        let said = match started(&kit, settings.clone()).look() {
            Look::Refused { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert!(said.contains("it goes back") || said.contains("was rewritten"), "{said}");
        kit.git(&["reset", "-q", "--hard", &back.to_string()]);
        offered(&mut started(&kit, settings.clone()), back);
        // A commit that is named goes back, and a branch goes on from there.
        let pinned = Settings { follow: Follow::Commit(weaker.to_string()), ..settings.clone() };
        offered(&mut started(&kit, pinned), weaker);
        kit.git(&["reset", "-q", "--hard", &live.to_string()]);
        refused(&mut started(&kit, settings.clone()), "it goes back");
        kit.git(&["reset", "-q", "--hard", &back.to_string()]);
        offered(&mut started(&kit, settings.clone()), back);
        // Something else that is followed starts anew.
        kit.git(&["branch", "-f", "other", &live.to_string()]);
        offered(&mut started(&kit, Settings { follow: Follow::Branch("other".to_owned()), ..settings }), live);
    }
}

#[test]
fn a_damaged_anchor_is_no_new_start() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    offered(&mut started(&kit, kit.here()), first);
    let file = kit.at("data/policy-anchor");
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| good.iter().enumerate().map(|(index, byte)| byte ^ u8::from(index == at)).collect::<Vec<_>>();
    let mut git = started(&kit, kit.here());
    for bad in [Vec::new(), good[..good.len() - 1].to_vec(), flipped(good.len() / 2), flipped(good.len() - 5), vec![b'x'; 1 << 20]] {
        fs::write(&file, bad).unwrap();
        let Look::Failed(said) = git.look() else { panic!() };
        assert!(said.contains("cannot be used") && said.contains("remove the file"), "{said}");
    }
    fs::write(&file, &good).unwrap();
    offered(&mut git, first);
    // Where it cannot be written, nothing is taken.
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("in the way")).unwrap();
    let second = kit.commit("package two", Some("ann"));
    let Look::Failed(said) = git.look() else { panic!() };
    assert!(said.contains("cannot be written"), "{said}");
    fs::remove_dir_all(&file).unwrap();
    offered(&mut git, second);
}

#[test]
fn what_lies_before_the_last_one_is_not_walked() {
    let kit = Kit::new();
    kit.commit("package one", None);
    let tree = kit.git(&["rev-parse", "HEAD^{tree}"]);
    let made = |day: u32, parents: &[&str]| {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let who = format!("a <a@example.com> {} +0000", 1_700_000_000 + day * 86_400);
        kit.object("commit", format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\nday {day}\n").as_bytes())
    };
    // The first one is not there: whoever walked as far would not find it.
    let first = "1".repeat(40);
    let second = made(10, &[&first]);
    let last = made(30, &[&second]);
    let forward = |tip: &str| {
        kit.git(&["update-ref", "refs/heads/main", tip]);
        offered(&mut here(&kit, CommitId::parse(&last)), CommitId::parse(tip).unwrap());
    };
    forward(&made(60, &[&made(40, &[&last])]));
    let root = made(0, &[]);
    let [second, side] = [made(10, &[&root]), made(20, &[&root])];
    // A branch that began before the last one joins it, whatever their clocks say.
    for (at, joins) in [(30, 60), (30, 5), (5, 60), (0, 0)] {
        let last = made(at, &[&second]);
        let tip = made(joins, &[&last, &side]);
        kit.git(&["update-ref", "refs/heads/main", &tip]);
        offered(&mut here(&kit, CommitId::parse(&last)), CommitId::parse(&tip).unwrap());
        kit.git(&["update-ref", "refs/heads/main", &side]);
        refused(&mut here(&kit, CommitId::parse(&tip)), if joins == 60 { "it goes back" } else { "" });
    }
}

#[test]
fn judging_ends_with_the_server() {
    let kit = scene();
    kit.commit("package one", Some("ann"));
    let pace = pace();
    let mut git = Git::bounded(kit.here(), kit.at("mirror"), kit.at("anchor"), Bounds::default(), Arc::clone(&pace)).unwrap();
    pace.end();
    let Look::Failed(said) = git.look() else { panic!() };
    assert_eq!(said, "the server stops");
}
