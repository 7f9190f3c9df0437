//! Starts: with what the source offers, with what was active before, or not at all. The checks run in this process.

use std::fs;
use std::path::PathBuf;

use countersign_pdp_engine::policy::{CandidateReport, PolicySource, check_candidate};
use countersign_pdp_store::{Expect, StateEvent};
use tempfile::TempDir;

use super::*;
use crate::jail::Ended;
use crate::pipeline::Served;
use crate::policies::Place;

const FIRST: &str = "package authz\nimport rego.v1\nallow := false\n";
const SECOND: &str = "package authz\nimport rego.v1\nallow := true\n";
const BROKEN: &str = "package authz\nimport rego.v1\nallow if http.send({})\n";

/// A machine on which a server was running with the first policy.
struct Machine {
    folder: TempDir,
    data: TempDir,
    store: Store,
}

fn here(source: &PolicySource, _: &AtomicBool) -> Result<CandidateReport, Ended> {
    Ok(check_candidate(source))
}

fn digest(text: &str) -> Digest {
    source("authz", vec![("a.rego".to_owned(), text.as_bytes().to_vec())]).unwrap().digest()
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: TempDir::new().unwrap(), data: TempDir::new().unwrap(), store: Store::memory().unwrap() };
        machine.write(FIRST);
        assert_eq!(machine.start(at_once()).unwrap().1, digest(FIRST));
        machine
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("a.rego"), text).unwrap();
    }

    fn start(&self, rollout: Terms) -> Result<(Policies, Digest), String> {
        let place = Place::Folder(self.folder.path().to_owned());
        let settings = Settings { package: "authz".to_owned(), place, poll: Duration::from_secs(30), webhook: None, rollout };
        let opening = Opening::checked_by(here, settings, Tenant::new("main").unwrap(), self.data.path())?;
        let (policies, snapshot) = opening.choose(&self.store)?;
        policies.begin(&self.store)?;
        assert_eq!(policies.status().revision, snapshot.revision);
        assert_eq!(self.activation().revision, snapshot.revision);
        Ok((policies, Digest::try_from(snapshot.revision.to_string()).unwrap()))
    }

    fn starts_with(&self, rollout: Terms, text: &str) -> Policies {
        let (policies, started) = self.start(rollout).unwrap();
        assert_eq!(started, digest(text));
        policies
    }

    fn activation(&self) -> Activation {
        self.store.view().activation(&Tenant::new("main").unwrap()).unwrap().unwrap()
    }

    fn kept(&self) -> Vec<PathBuf> {
        fs::read_dir(self.data.path().join("policies")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn damage(&self) {
        self.kept().into_iter().for_each(|path| fs::write(path, "damaged").unwrap());
    }

    /// One look of the running server; the problems of what it is offered.
    fn look(&self, policies: &Policies) -> Option<String> {
        let revision = policies.status().revision;
        let policy = countersign_pdp_engine::policy::Policy::compile(&source("authz", vec![("a.rego".to_owned(), FIRST.into())]).unwrap());
        policies.refresh(&Served::alone(Snapshot::new(revision, policy.unwrap())), &self.store);
        policies.status().candidate.map(|candidate| candidate.problems.join("; "))
    }
}

fn at_once() -> Terms {
    Terms::default()
}

fn by_rollout() -> Terms {
    Terms { canary: vec![100], ..Terms::default() }
}

#[test]
fn a_revision_that_passes_decides_at_once() {
    let machine = Machine::new();
    machine.write(SECOND);
    machine.starts_with(at_once(), SECOND);
    assert_eq!(machine.activation().digest, digest(SECOND));
    assert_eq!(machine.kept().len(), 2);
}

#[test]
fn a_start_needs_the_source_no_more_than_once() {
    let machine = Machine::new();
    let before = machine.activation();
    fs::remove_dir_all(machine.folder.path()).unwrap();
    let policies = machine.starts_with(at_once(), FIRST);
    assert_eq!(machine.activation(), before, "nothing was activated");
    assert!(machine.look(&policies).unwrap().contains("cannot read"), "the status says what is wrong");
}

#[test]
fn a_source_that_hangs_keeps_no_start_waiting() {
    let machine = Machine::new();
    // It lets everybody in, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let git = crate::git::Settings {
        url: format!("http://{}/policies.git", silent.local_addr().unwrap()),
        follow: crate::git::Follow::Branch("main".to_owned()),
        within: String::new(),
        token: None,
        ca_file: None,
        dangerous_private_address: true,
        ssh_key: None,
        known_hosts: None,
        allowed_signers: None,
    };
    let settings =
        Settings { package: "authz".to_owned(), place: Place::Git(git), poll: Duration::from_secs(30), webhook: None, rollout: at_once() };
    let since = Stopwatch::start();
    let patience = Duration::from_millis(200);
    let opening = Opening::within(patience, here, settings, Tenant::new("main").unwrap(), machine.data.path()).unwrap();
    let (policies, snapshot) = opening.choose(&machine.store).unwrap();
    assert!(since.elapsed() < Duration::from_secs(10), "a look at a host that hangs takes two minutes");
    assert!(policies.source.try_lock().is_err(), "the look goes on");
    assert_eq!(snapshot.revision.to_string(), digest(FIRST).to_string());
    assert!(policies.source_status().at.contains("policies.git"));
}

#[test]
fn the_first_start_needs_it() {
    let machine = Machine { folder: TempDir::new().unwrap(), data: TempDir::new().unwrap(), store: Store::memory().unwrap() };
    let why = machine.start(at_once()).unwrap_err();
    assert!(why.contains("neither `decision` nor `allow`"), "{why}");
    machine.write(BROKEN);
    let why = machine.start(by_rollout()).unwrap_err();
    assert!(why.contains("is refused") && why.contains("http.send"), "{why}");
}

#[test]
fn what_is_kept_and_damaged_decides_nothing() {
    let machine = Machine::new();
    machine.damage();
    machine.write(BROKEN);
    let why = machine.start(at_once()).unwrap_err();
    assert!(why.contains("http.send") && why.contains("damaged"), "both reasons are told: {why}");
    for path in machine.kept() {
        fs::remove_file(path).unwrap();
    }
    let why = machine.start(at_once()).unwrap_err();
    assert!(why.contains("http.send") && why.contains("nothing is kept"), "{why}");
}

#[test]
fn what_is_refused_leaves_the_revision_before() {
    let machine = Machine::new();
    machine.write(BROKEN);
    let policies = machine.starts_with(at_once(), FIRST);
    assert!(machine.look(&policies).unwrap().contains("http.send"));
}

#[test]
fn what_was_rolled_back_from_is_not_taken_by_a_restart() {
    let machine = Machine::new();
    let activation = Activation { why: Some("it hurt".to_owned()), instead_of: Some(digest(SECOND)), ..machine.activation() };
    let event = StateEvent::Activated { tenant: Tenant::new("main").unwrap(), activation: activation.clone() };
    machine.store.append(event, Expect::Any).wait().unwrap();
    machine.write(SECOND);
    machine.starts_with(at_once(), FIRST);
    machine.starts_with(by_rollout(), FIRST);
    assert_eq!(machine.activation(), activation);
    machine.damage();
    assert!(machine.start(at_once()).unwrap_err().contains("rolled back from"), "rather no server");
}

#[test]
fn a_rollout_starts_from_the_revision_before_where_that_is_kept() {
    let machine = Machine::new();
    machine.write(SECOND);
    machine.starts_with(by_rollout(), FIRST);
    machine.damage();
    machine.starts_with(by_rollout(), SECOND);
}

#[test]
fn what_a_start_did_not_take_is_offered_right_after_it() {
    let machine = Machine::new();
    machine.write(SECOND);
    let policies = machine.starts_with(by_rollout(), FIRST);
    assert_eq!(machine.look(&policies), None);
    let trial = machine.store.view().policy_times(&Tenant::new("main").unwrap()).unwrap().trial.unwrap();
    assert_eq!(trial.digest, digest(SECOND), "without waiting for a change of the folder");
}

#[test]
fn an_older_store_is_given_what_it_lacks() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.data.path().join("policies")).unwrap();
    machine.starts_with(at_once(), FIRST);
    assert_eq!(machine.kept().len(), 1);
}
