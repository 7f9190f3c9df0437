//! The life of a policy folder, look by look. The checks run in this process: the jail needs the real binary and is tested with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_pdp_engine::policy::check_candidate;
use countersign_pdp_store::{Activation, Expect, StateEvent, Store};
use countersign_sdk_types::{Seconds, Tenant, Timestamp};

use super::*;
use crate::pipeline::Served;

struct Desk {
    folder: tempfile::TempDir,
    _data: tempfile::TempDir,
    policies: Policies,
    served: Served,
    store: Store,
}

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

fn settings(folder: &Path) -> Settings {
    Settings {
        package: "authz".to_owned(),
        place: Place::Folder(folder.to_owned()),
        poll: Duration::from_secs(30),
        webhook: None,
        rollout: Terms::default(),
    }
}

fn here(source: &PolicySource, _: &AtomicBool) -> Result<CandidateReport, Ended> {
    Ok(check_candidate(source))
}

impl Desk {
    fn new(check: Check) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rego"), FIRST).unwrap();
        let data = tempfile::tempdir().unwrap();
        let store = Store::memory().unwrap();
        let opened = Opening::checked_by(here, settings(folder.path()), tenant(), data.path()).unwrap();
        let (mut policies, mut snapshot) = opened.choose(&store).unwrap();
        policies.check = check;
        snapshot.max_age = Seconds(7);
        policies.begin(&store).unwrap();
        Self { folder, _data: data, policies, served: Served::alone(snapshot), store }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// One look; the active revision after it.
    fn look(&self) -> String {
        self.policies.refresh(&self.served, &self.store);
        let active = self.served.load().active().revision.to_string();
        assert_eq!(self.policies.status().revision.as_str(), active);
        active
    }

    fn activation(&self) -> Activation {
        self.store.view().activation(&tenant()).unwrap().unwrap()
    }

    fn problems(&self) -> Option<String> {
        self.policies.status().candidate.map(|candidate| candidate.problems.join("; "))
    }
}

const FIRST: &str = "package authz\nimport rego.v1\nallow := false\n";
const SECOND: &str = "package authz\nimport rego.v1\nallow := true\n";
const BROKEN: &str = "package authz\nimport rego.v1\nallow if http.send({})\n";

#[test]
fn the_first_revision_is_journaled_once() {
    let desk = Desk::new(here);
    let first = desk.activation();
    assert_eq!((first.revision.as_str(), first.by.as_str()), (desk.look().as_str(), "serve"));
    desk.policies.begin(&desk.store).unwrap();
    assert_eq!(desk.activation(), first);
    assert_eq!(desk.policies.status().activated_at, first.at);
}

#[test]
fn a_change_is_active_when_it_holds_still() {
    let desk = Desk::new(here);
    let first = desk.look();
    desk.write("a.rego", SECOND);
    assert_eq!(desk.look(), first, "one look is not enough");
    let second = desk.look();
    assert_ne!(second, first);
    assert_eq!(desk.activation().revision.as_str(), second, "journaled");
    assert_eq!(desk.served.load().active().max_age, Seconds(7), "all else stays");
}

#[test]
fn what_is_still_being_written_is_no_candidate() {
    let desk = Desk::new(here);
    let first = desk.look();
    for half in 0..5 {
        desk.write("a.rego", &format!("{SECOND}# {half}\n"));
        assert_eq!(desk.look(), first);
    }
    assert_ne!(desk.look(), first);
}

#[test]
fn a_bad_candidate_leaves_the_last_good_revision() {
    let desk = Desk::new(here);
    let first = desk.look();
    let journaled = desk.activation();
    desk.write("a.rego", BROKEN);
    desk.look();
    assert_eq!(desk.problems(), None);
    assert_eq!(desk.look(), first);
    assert!(desk.problems().unwrap().contains("http.send"));
    desk.write("data.json", "{\"a\":1,\"a\":2}");
    desk.look();
    assert_eq!(desk.look(), first);
    assert!(desk.problems().unwrap().contains("data.json"));
    desk.write("a.rego", FIRST);
    std::fs::remove_file(desk.folder.path().join("data.json")).unwrap();
    desk.look();
    assert_eq!((desk.look(), desk.problems()), (first, None), "back to what is active");
    assert_eq!(desk.activation(), journaled, "nothing was activated");
}

#[test]
fn a_folder_that_is_gone_or_empty_changes_nothing() {
    let desk = Desk::new(here);
    let first = desk.look();
    std::fs::remove_file(desk.folder.path().join("a.rego")).unwrap();
    desk.look();
    assert_eq!(desk.look(), first);
    assert!(desk.problems().unwrap().contains("neither"));
    std::fs::remove_dir(desk.folder.path()).unwrap();
    desk.look();
    assert_eq!(desk.look(), first);
    assert!(desk.problems().unwrap().contains("cannot read"));
}

#[test]
fn the_same_bad_content_is_judged_once() {
    static CHECKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let counted: Check = |_, _| {
        CHECKS.fetch_add(1, Ordering::SeqCst);
        Err(Ended::Cpu)
    };
    let desk = Desk::new(counted);
    desk.write("a.rego", SECOND);
    for _ in 0..5 {
        desk.look();
    }
    desk.write("a.rego", SECOND);
    for _ in 0..5 {
        desk.look();
    }
    assert_eq!(CHECKS.load(Ordering::SeqCst), 1);
    assert!(desk.problems().unwrap().contains("10 s of CPU time"));
}

#[test]
fn what_is_not_journaled_is_not_active() {
    let desk = Desk::new(here);
    let first = desk.look();
    let other = Activation { revision: Revision::new("another").unwrap(), at: Timestamp(1), ..desk.activation() };
    desk.store.append(StateEvent::Activated { tenant: tenant(), activation: other }, Expect::Any).wait().unwrap();
    desk.write("a.rego", SECOND);
    desk.look();
    assert_eq!(desk.look(), first);
    assert!(desk.problems().unwrap().contains("not journaled"));
    assert_eq!(desk.activation().revision.as_str(), "another");
}

#[test]
fn a_server_that_stops_judges_nothing() {
    let stopping: Check = |_, given_up| if given_up.load(Ordering::SeqCst) { Err(Ended::GivenUp) } else { Ok(CandidateReport::default()) };
    let desk = Desk::new(stopping);
    let first = desk.look();
    desk.policies.give_up();
    desk.write("a.rego", SECOND);
    desk.look();
    assert_eq!((desk.look(), desk.problems()), (first, None));
}

#[test]
fn folders_are_bounded_and_links_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("sub")).unwrap();
    std::fs::write(at("sub/b.rego"), "b").unwrap();
    std::fs::write(at("a.rego"), "a").unwrap();
    std::fs::write(at("notes.txt"), "n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("c.rego")).unwrap();
    let files = read(folder.path()).unwrap();
    assert_eq!(files, [("a.rego".to_owned(), b"a".to_vec()), ("sub/b.rego".to_owned(), b"b".to_vec())]);
    std::fs::File::create(at("data.json")).unwrap().set_len(65 << 20).unwrap();
    assert!(read(folder.path()).unwrap_err().contains("too large"));
    std::fs::create_dir_all(at("1/2/3/4/5/6/7/8/9")).unwrap();
    assert!(read(folder.path()).unwrap_err().contains("too deeply"));
}
