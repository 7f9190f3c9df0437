//! The life of a candidate: every step, every way back, and any order of them, with a restart anywhere between. The checks run in this process.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use countersign_pdp_engine::decide::{Decided, Summary, decide};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::{Given, Identified, Issuers, ProofRules, identify};
use countersign_pdp_engine::policy::{CandidateReport, PolicySource, check_candidate};
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{Pep, RawCheck, RequestRules, normalize};
use countersign_pdp_store::{HeldPolicy, PolicyStep};
use countersign_risk::{Salts, SubjectSalt};
use countersign_sdk_types::{
    Action, DecisionId, DenialCode, Effect, Entity, Epoch, EvaluationRequest, Millis, PepId, Place, PlaceGap, Tenant, Timestamp,
};
use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::diff::{Budget, Budgets};
use crate::jail::Ended;
use crate::pipeline::Observed;
use crate::policies::{Opening, Place as Where, Settings};

fn policy(rules: &str) -> String {
    format!("package authz\nimport rego.v1\ndefault allow := false\nallow if input.action.name == \"read\"\n{rules}\n")
}

/// Everybody may read.
fn active() -> String {
    policy("")
}

/// So may they here.
fn harmless() -> String {
    policy("# the same in other words")
}

/// Nobody has an answer.
fn broken() -> String {
    policy("allow := false if input.action.name == \"read\"")
}

/// Nobody may read any more.
fn closed() -> String {
    active().replace("\"read\"", "\"nothing\"")
}

/// What a policy is called.
fn revision(text: &str) -> Revision {
    let source = source("authz", vec![("a.rego".to_owned(), text.as_bytes().to_vec())]).unwrap();
    Revision::new(source.digest().to_string()).unwrap()
}

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

thread_local! {
    /// What is done while the next check of this thread goes on.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn meanwhile(work: impl FnOnce() + 'static) {
    MEANWHILE.set(Some(Box::new(work)));
}

fn check(source: &PolicySource, _: &AtomicBool) -> Result<CandidateReport, Ended> {
    if let Some(work) = MEANWHILE.take() {
        work();
    }
    Ok(check_candidate(source))
}

fn terms(canary: &[u8]) -> Terms {
    Terms {
        shadow: Millis(0),
        canary: canary.to_vec(),
        stage: Millis(0),
        min_decisions: 5,
        budgets: Budgets { new_denies: Some("10%".parse().unwrap()), ..Budgets::default() },
        errors: Some(Budget::Count(0)),
    }
}

/// A server's policies, its store, and what it serves.
struct World {
    folder: tempfile::TempDir,
    data: tempfile::TempDir,
    store: Store,
    policies: Policies,
    served: Served,
    terms: Terms,
    decisions: u64,
}

impl World {
    fn new(terms: Terms) -> Self {
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("a.rego"), active()).unwrap();
        let store = Store::memory().unwrap();
        let (policies, served) = Self::started(&folder, &data, &store, &terms);
        Self { folder, data, store, policies, served, terms, decisions: 0 }
    }

    fn started(folder: &tempfile::TempDir, data: &tempfile::TempDir, store: &Store, terms: &Terms) -> (Policies, Served) {
        let (place, poll) = (Where::Folder(folder.path().to_owned()), Duration::from_secs(30));
        let settings = Settings { package: "authz".to_owned(), place, poll, webhook: None, rollout: terms.clone() };
        let opening = Opening::checked_by(check, settings, tenant(), data.path()).unwrap();
        let (policies, snapshot) = opening.choose(store).unwrap();
        let served = Served::alone(snapshot);
        policies.begin(store).unwrap();
        policies.resume(&served, store);
        (policies, served)
    }

    /// The process ends and begins again.
    fn restart(&mut self) {
        (self.policies, self.served) = Self::started(&self.folder, &self.data, &self.store, &self.terms);
    }

    /// The source offers this, and two looks show it.
    fn offer(&self, text: &str) {
        std::fs::write(self.folder.path().join("a.rego"), text).unwrap();
        self.look();
    }

    fn look(&self) {
        for _ in 0..3 {
            self.policies.refresh(&self.served, &self.store);
        }
    }

    fn decide(&mut self, sub: &str, action: &str) -> (Effect, Revision) {
        let serving = self.served.load_full();
        let (identified, facts) = (asking(sub, action), facts());
        let snapshot = Arc::clone(serving.of(identified.subject()));
        let now = clock::now();
        let decided: Decided = decide(&identified, &facts, &snapshot, now);
        self.decisions += 1;
        let id = DecisionId::new(format!("main.1.{}", self.decisions)).unwrap();
        let record = Record::new(id, now, &identified, &facts, &snapshot, &decided);
        if serving.candidate().is_some() {
            self.policies.compare(&self.served, &self.store, Observed { serving, record: Box::new(record) });
        }
        (decided.decision.effect(), snapshot.revision.clone())
    }

    /// So many people read.
    fn read(&mut self, people: u64) {
        for n in 0..people {
            self.decide(&format!("person-{n}"), "read");
        }
    }

    fn go_on(&self) {
        self.policies.go_on(&self.served, &self.store, clock::now());
    }

    fn times(&self) -> countersign_pdp_store::PolicyTimes {
        self.store.view().policy_times(&tenant()).unwrap()
    }

    fn steps(&self) -> Vec<String> {
        let mut steps: Vec<_> = self.times().changes.iter().map(|change| change.step.to_string()).collect();
        steps.reverse();
        steps
    }

    fn stage(&self) -> Option<Stage> {
        self.times().trial.map(|trial| trial.stage)
    }

    fn revision(&self) -> Revision {
        self.served.load().active().revision.clone()
    }

    fn epoch(&self) -> Epoch {
        self.served.epoch()
    }
}

fn asking(sub: &str, action: &str) -> Identified {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() };
    let asked = EvaluationRequest {
        subject: entity("user", sub),
        action: Action { name: action.to_owned(), properties: Map::new() },
        resource: entity("page", "1"),
        context: Map::new(),
    };
    let pep = Pep { id: PepId::new("app").unwrap(), asserts_subject: true, asserts_client: false, asserts: BTreeSet::new() };
    let raw = RawCheck { tenant: tenant(), pep, http: None, asked: Some(asked) };
    let (request, credentials) = normalize(raw, &RequestRules::default()).unwrap();
    let issuers = Issuers { by_iss: BTreeMap::new(), ..Issuers::default() };
    let given = Given { issuers: &issuers, proofs: &ProofRules::default(), linked: None, introspected: None, now: clock::now() };
    identify(request, &credentials, given).unwrap().confirm(|_| Ok(())).unwrap()
}

fn facts() -> Facts {
    let salts = Salts { subject: SubjectSalt::new([1; 32]), organisation: SubjectSalt::new([2; 32]) };
    Facts::unknown(salts, Place::Unknown(PlaceGap::NoAddress))
}

#[test]
fn without_terms_what_is_accepted_is_active_at_once() {
    let world = World::new(Terms::default());
    let first = world.revision();
    world.offer(&harmless());
    assert_ne!(world.revision(), first);
    assert_eq!(world.steps(), ["active", "active"]);
}

#[test]
fn a_harmless_candidate_goes_through_every_stage() {
    let mut world = World::new(Terms { shadow: Millis(1), ..terms(&[1, 10, 100]) });
    let first = world.revision();
    world.offer(&harmless());
    assert_eq!((world.stage(), world.revision()), (Some(Stage::Shadow), first.clone()));
    let all_by_the_active = (0..20).all(|n| world.decide(&format!("p{n}"), "read").1 == first);
    assert!(all_by_the_active, "in the shadow nobody is answered by the candidate");
    for _ in 0..3 {
        // Longer than the one millisecond that the shadow lasts.
        world.policies.go_on(&world.served, &world.store, clock::now().after(Millis(10_000)));
        world.read(10);
    }
    assert_eq!(world.steps(), ["active", "shadowed", "canary at 1 %", "canary at 10 %", "canary at 100 %"]);
    assert_eq!(world.revision(), first, "the last stage is a trial too");
    assert_ne!(world.decide("anybody", "read").1, first);
    world.go_on();
    assert_eq!((world.steps().last().map(String::as_str), world.stage()), (Some("active"), None));
    assert_ne!(world.revision(), first);
}

#[test]
fn a_stage_waits_for_its_decisions_and_its_time() {
    let mut world = World::new(Terms { stage: Millis(60_000), ..terms(&[50, 100]) });
    world.offer(&harmless());
    world.policies.go_on(&world.served, &world.store, clock::now().after(Millis(120_000)));
    assert_eq!(world.stage(), Some(Stage::Canary(50)), "nothing was decided");
    world.read(5);
    world.go_on();
    assert_eq!(world.stage(), Some(Stage::Canary(50)), "its time is not over");
    world.policies.go_on(&world.served, &world.store, clock::now().after(Millis(120_000)));
    assert_eq!(world.stage(), Some(Stage::Canary(100)));
    assert_eq!(world.policies.report(&world.served, &world.store).unwrap().trial.unwrap().counted.decisions, 0, "counted anew");
}

#[test]
fn a_canary_answers_its_share_and_always_the_same_subjects() {
    let mut world = World::new(Terms { min_decisions: 1_000_000, ..terms(&[10, 100]) });
    let first = world.revision();
    world.offer(&harmless());
    let answered = |world: &mut World| -> Vec<u64> {
        (0..2_000).filter(|n| world.served.load().of(asking(&format!("p{n}"), "read").subject()).revision != first).collect()
    };
    let once = answered(&mut world);
    // Five standard deviations of 2,000 draws.
    assert!((133..=267).contains(&once.len()), "{}", once.len());
    assert_eq!(answered(&mut world), once);
    let wider = Serving::trying(
        Arc::clone(world.served.load().active()),
        Arc::clone(world.served.load().candidate().unwrap()),
        world.times().trial.unwrap().digest,
        50,
    );
    world.served.swap(wider);
    let more = answered(&mut world);
    assert!(once.iter().all(|n| more.contains(n)) && more.len() > once.len(), "whom it answered it goes on to answer");
}

#[test]
fn an_error_ends_the_trial_at_the_first() {
    let mut world = World::new(Terms { shadow: Millis(60_000), ..terms(&[]) });
    let first = world.revision();
    world.offer(&broken());
    assert_eq!(world.stage(), Some(Stage::Shadow));
    assert_eq!(world.decide("alice", "read"), (Effect::Allow, first.clone()));
    assert_eq!((world.stage(), world.revision()), (None, first));
    let held = world.times().held;
    assert!(held[0].why.contains("1 errors in 1 decisions") && held[0].why.contains("main.1.1"), "{held:?}");
    let ended = world.policies.report(&world.served, &world.store).unwrap().ended.unwrap();
    assert_eq!((ended.outcome.as_deref(), ended.counted.errors), (Some("rolled_back"), 1));
    assert!(ended.changes["examples"][0]["subject"].as_str().unwrap().contains("alice"), "{:?}", ended.changes);
}

#[test]
fn denies_end_a_canary_and_send_everybody_back() {
    let mut world = World::new(terms(&[50, 100]));
    let first = world.revision();
    world.offer(&closed());
    let denied = (0..200).map(|n| world.decide(&format!("p{n}"), "read")).filter(|(effect, _)| *effect == Effect::Deny).count();
    assert!(denied < 10, "{denied} were denied before it was noticed");
    assert_eq!((world.stage(), world.revision()), (None, first.clone()));
    assert_eq!(world.steps(), ["active", "canary at 50 %", "rolled back"]);
    assert!(world.times().held[0].why.contains("new denies"));
    assert!((0..50).all(|n| world.decide(&format!("p{n}"), "read") == (Effect::Allow, first.clone())));
}

#[test]
fn one_subject_alone_ends_nothing_by_a_share() {
    let mut world = World::new(Terms { min_decisions: 1_000, ..terms(&[1, 100]) });
    world.offer(&closed());
    // Nothing changes for those who write, and one reads again and again.
    (0..50).for_each(|n| drop(world.decide(&format!("p{n}"), "write")));
    (0..200).for_each(|_| drop(world.decide("alone", "read")));
    assert_eq!(world.stage(), Some(Stage::Canary(1)));
    world.decide("another", "read");
    assert_eq!(world.stage(), None, "two are more than a tenth, and not alone");
}

#[test]
fn what_is_held_is_not_taken_again_not_even_after_a_restart() {
    let mut world = World::new(terms(&[100]));
    let first = world.revision();
    world.offer(&broken());
    world.decide("alice", "read");
    for _ in 0..2 {
        world.restart();
        world.offer(&broken());
        assert_eq!((world.stage(), world.revision()), (None, first.clone()));
        let status = world.policies.status();
        assert!(status.candidate.unwrap().problems[0].contains("countersign policy promote"));
    }
    let changed = world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    assert_eq!((&world.revision(), world.times().held), (&changed.revision, Vec::<HeldPolicy>::new()));
    let last = world.times().changes[0].clone();
    assert_eq!((last.step, last.by.as_str()), (PolicyStep::Active, "uid:0"));
}

#[test]
fn a_restart_goes_on_where_the_trial_was() {
    let mut world = World::new(terms(&[10, 50, 100]));
    world.offer(&harmless());
    world.read(5);
    world.go_on();
    let (stage, candidate) = (world.stage(), world.served.load().candidate().unwrap().revision.clone());
    assert_eq!(stage, Some(Stage::Canary(50)));
    world.restart();
    assert_eq!((world.stage(), &world.served.load().candidate().unwrap().revision), (stage, &candidate));
    world.read(5);
    world.go_on();
    assert_eq!(world.stage(), Some(Stage::Canary(100)));
}

#[test]
fn what_was_journaled_before_a_crash_holds_after_it() {
    let mut world = World::new(terms(&[10, 50, 100]));
    world.offer(&harmless());
    let trial = world.times().trial.unwrap();
    let (by, at, digest) = (BY.to_owned(), clock::now(), trial.digest);
    let moved = StateEvent::TrialMoved { tenant: tenant(), digest, stage: Stage::Canary(50), by: by.clone(), at };
    world.store.append(moved, Expect::Any).wait().unwrap();
    world.restart();
    let answered = (0..400).filter(|n| world.served.load().of(asking(&format!("p{n}"), "read").subject()).revision == trial.revision);
    // Five standard deviations of 400 draws.
    assert!((150..=250).contains(&answered.count()), "half of them are answered by the candidate");
    let (revision, origin) = (trial.revision.clone(), trial.origin);
    let activation = Activation { revision, digest, origin, by, at, why: None, instead_of: None };
    world.store.append(StateEvent::Activated { tenant: tenant(), activation }, Expect::Any).wait().unwrap();
    world.restart();
    assert_eq!((world.revision(), world.stage(), world.served.load().candidate().is_none()), (trial.revision, None, true));
}

#[test]
fn a_trial_that_cannot_be_found_again_is_over() {
    let mut world = World::new(terms(&[10, 100]));
    let first = world.revision();
    world.offer(&harmless());
    let candidate = world.times().trial.unwrap().digest;
    for entry in std::fs::read_dir(world.data.path().join("policies")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains(&candidate.to_string()) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    world.restart();
    assert_eq!((world.stage(), world.served.load().candidate().is_none(), world.revision()), (None, true, first));
    assert_eq!(world.steps().last().map(String::as_str), Some("withdrawn"), "it is tried again when its source offers it");
    world.offer(&harmless());
    assert_eq!(world.stage(), Some(Stage::Canary(10)));
}

#[test]
fn an_operator_goes_back_and_forth() {
    let mut world = World::new(Terms::default());
    let first = world.revision();
    world.offer(&harmless());
    let second = world.revision();
    let back = world.policies.roll_back(&world.served, &world.store, None, ("uid:0", Some("it hurts"))).unwrap();
    assert_eq!((&back.revision, &back.instead_of, &world.revision()), (&first, &second, &first));
    let times = world.times();
    assert_eq!(times.held[0].digest.to_string(), second.to_string());
    assert!(times.changes[0].why.as_ref().unwrap().contains("it hurts"));
    // There is nothing before the first, and what is held is no way back by itself.
    let nowhere = world.policies.roll_back(&world.served, &world.store, None, ("uid:0", None));
    assert!(matches!(&nowhere, Err(NotDone::Conflict(why)) if why.contains("--to")), "{nowhere:?}");
    // By name it is, also from what is kept only.
    world.restart();
    let name = Revision::new(second.as_str()[..8].to_owned()).unwrap();
    world.policies.roll_back(&world.served, &world.store, Some(&name), ("uid:0", None)).unwrap();
    assert_eq!((world.revision(), world.times().held.len()), (second, 1), "what it replaced is held now");
    let unknown = Revision::new("ffff0000").unwrap();
    assert!(world.policies.roll_back(&world.served, &world.store, Some(&unknown), ("uid:0", None)).is_err());
}

#[test]
fn an_operator_ends_a_trial_or_skips_what_is_left() {
    let world = World::new(terms(&[10, 100]));
    let first = world.revision();
    world.offer(&harmless());
    world.policies.roll_back(&world.served, &world.store, None, ("uid:0", None)).unwrap();
    assert_eq!((world.revision(), world.stage(), world.times().held.len()), (first.clone(), None, 1));
    world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    assert_ne!(world.revision(), first, "what was held is taken");
    assert!(matches!(world.policies.promote(&world.served, &world.store, None, "uid:0"), Err(NotDone::Conflict(_))));
    world.offer(&policy("# yet another"));
    let candidate = world.served.load().candidate().unwrap().revision.clone();
    world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    assert_eq!((world.revision(), world.stage()), (candidate, None));
}

#[test]
fn a_rollback_holds_what_it_replaces_and_nothing_else() {
    let mut world = World::new(Terms::default());
    world.offer(&harmless());
    world.offer(&policy("# a third"));
    // What is far back passes the gate again, and so does all of it after a restart.
    world.restart();
    let world = Rc::new(world);
    let other = Rc::clone(&world);
    meanwhile(move || other.offer(&policy("# a fourth")));
    let back = world.policies.roll_back(&world.served, &world.store, Some(&revision(&active())), ("uid:0", None));
    assert!(matches!(&back, Err(NotDone::Conflict(why)) if why.contains("meanwhile")), "{back:?}");
    assert_eq!((world.revision(), world.times().held.len()), (revision(&policy("# a fourth")), 0));
    world.policies.roll_back(&world.served, &world.store, Some(&revision(&active())), ("uid:0", None)).unwrap();
    assert_eq!(world.times().held[0].digest.to_string(), revision(&policy("# a fourth")).to_string());
    let taken = world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    assert_eq!(taken.revision, revision(&policy("# a fourth")));
}

#[test]
fn what_is_promoted_is_what_is_held_after_its_check_as_before() {
    let mut world = World::new(terms(&[100]));
    let first = world.revision();
    world.offer(&broken());
    world.decide("alice", "read");
    world.restart();
    world.look();
    let world = Rc::new(world);
    let other = Rc::clone(&world);
    meanwhile(move || other.offer(&harmless()));
    let taken = world.policies.promote(&world.served, &world.store, None, "uid:0");
    assert!(matches!(&taken, Err(NotDone::Conflict(why)) if why.contains("meanwhile")), "{taken:?}");
    assert_eq!((world.revision(), world.times().trial.map(|trial| trial.revision)), (first, Some(revision(&harmless()))));
}

#[test]
fn a_rollback_by_name_holds_what_is_on_trial() {
    let world = World::new(terms(&[10, 100]));
    world.offer(&harmless());
    world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    world.offer(&policy("# a third"));
    let tried = revision(&policy("# a third"));
    let forth = world.policies.roll_back(&world.served, &world.store, Some(&tried), ("uid:0", None));
    assert!(matches!(&forth, Err(NotDone::Conflict(why)) if why.contains("on trial")), "{forth:?}");
    let back = world.policies.roll_back(&world.served, &world.store, Some(&revision(&active())), ("uid:0", None)).unwrap();
    assert!(back.done.contains("the candidate is held"), "{}", back.done);
    let held: Vec<_> = world.times().held.iter().map(|held| held.digest.to_string()).collect();
    assert_eq!(held, [revision(&harmless()).to_string(), tried.to_string()]);
    assert_eq!(&world.steps()[3..], ["canary at 10 %", "rolled back", "active"]);
    assert!(world.policies.status().candidate.unwrap().problems[0].contains("it is held"));
    // That is what the source offers, and what is taken all the same.
    let taken = world.policies.promote(&world.served, &world.store, None, "uid:0").unwrap();
    assert_eq!((&taken.revision, world.policies.status().candidate), (&tried, None));
}

#[test]
fn what_is_promoted_is_what_is_meant() {
    let world = World::new(terms(&[10, 100]));
    let promote = |name: &str| world.policies.promote(&world.served, &world.store, Some(&Revision::new(name).unwrap()), "uid:0");
    let refused = |name: &str| matches!(promote(name), Err(NotDone::Conflict(_)));
    let (first, meant) = (world.revision(), revision(&harmless()));
    world.offer(&harmless());
    world.offer(&policy("# pushed since"));
    assert!(refused(meant.as_str()) && refused(&revision(&policy("# pushed since")).as_str()[..3]));
    assert_eq!((world.revision(), world.stage()), (first, Some(Stage::Canary(10))));
    world.offer(&harmless());
    world.policies.roll_back(&world.served, &world.store, None, ("uid:0", None)).unwrap();
    assert!(refused("ffff0000"), "held, and another one");
    assert_eq!(promote(&meant.as_str()[..8]).unwrap().revision, meant);
}

#[test]
fn a_source_that_goes_back_withdraws_its_candidate() {
    let world = World::new(terms(&[10, 100]));
    world.offer(&harmless());
    world.offer(&active());
    assert_eq!((world.stage(), world.times().held.len()), (None, 0));
    world.offer(&harmless());
    world.offer(&policy("# another"));
    let tried = world.times().trial.unwrap().digest.to_string();
    assert_eq!(tried, world.served.load().candidate().unwrap().revision.to_string(), "the later one takes the place of the earlier");
}

#[test]
fn leases_end_with_what_answers_a_subject_and_only_then() {
    let mut world = World::new(Terms { shadow: Millis(1), ..terms(&[10, 100]) });
    let mut before = world.epoch().seq;
    let mut told = |world: &World| {
        let now = world.epoch().seq;
        std::mem::replace(&mut before, now) < now
    };
    world.offer(&harmless());
    assert!(!told(&world), "in the shadow nothing is answered otherwise");
    let later = || clock::now().after(Millis(10_000));
    world.read(5);
    world.policies.go_on(&world.served, &world.store, later());
    assert!(told(&world), "a tenth of the subjects is answered by the candidate");
    world.read(5);
    world.policies.go_on(&world.served, &world.store, later());
    assert!(told(&world), "all of them");
    world.read(5);
    world.policies.go_on(&world.served, &world.store, later());
    assert!(!told(&world), "the same revision as before is active now");
    world.policies.roll_back(&world.served, &world.store, None, ("uid:0", None)).unwrap();
    assert!(told(&world));
}

#[test]
fn what_is_held_late_is_held_before_the_next_trial() {
    let world = World::new(terms(&[10, 100]));
    world.offer(&harmless());
    let mut desk = world.policies.rollout.desk();
    let digest = desk.trial.take().unwrap().of.digest;
    let event =
        StateEvent::TrialEnded { tenant: tenant(), digest, held: true, by: BY.to_owned(), at: clock::now(), why: "it hurt".to_owned() };
    desk.owed = Some(event);
    drop(desk);
    world.offer(&policy("# another"));
    assert_eq!(world.times().held.iter().map(|held| held.digest).collect::<Vec<_>>(), [digest]);
    assert_eq!(world.steps(), ["active", "canary at 10 %", "rolled back", "canary at 10 %"]);
}

#[test]
fn an_answer_that_a_user_waited_for_in_vain_is_an_error() {
    let mut world = World::new(terms(&[100]));
    let first = world.revision();
    world.offer(&harmless());
    let out_of_time = |world: &World, by: fn(&Serving) -> &Arc<Snapshot>, n: u64| {
        let serving = world.served.load_full();
        let (identified, facts, now) = (asking("alice", "read"), facts(), clock::now());
        let decided = decide(&identified, &facts, by(&serving), now);
        let id = DecisionId::new(format!("main.1.{n}")).unwrap();
        let mut record = Record::new(id, now, &identified, &facts, by(&serving), &decided);
        record.summary = Summary::Deny(DenialCode::PolicyBudget.into());
        world.policies.compare(&world.served, &world.store, Observed { serving, record: Box::new(record) });
    };
    out_of_time(&world, Serving::active, 1);
    let counted = world.policies.report(&world.served, &world.store).unwrap().trial.unwrap().counted;
    assert_eq!((counted.decisions, counted.errors, counted.unsure), (1, 0, 1), "that is no fault of the candidate");
    out_of_time(&world, Serving::general, 2);
    assert_eq!((world.stage(), world.revision()), (None, first));
    let ended = world.policies.report(&world.served, &world.store).unwrap().ended.unwrap();
    assert_eq!((ended.counted.errors, ended.counted.unsure), (1, 1));
    world.decisions += 2;
}

#[test]
fn nothing_is_tried_that_cannot_be_written_down() {
    let world = World::new(terms(&[10, 100]));
    let other = Activation { revision: Revision::new("another").unwrap(), ..world.store.view().activation(&tenant()).unwrap().unwrap() };
    world.store.append(StateEvent::Activated { tenant: tenant(), activation: other }, Expect::Any).wait().unwrap();
    world.offer(&harmless());
    assert!(world.served.load().candidate().is_none());
    assert!(world.policies.status().candidate.unwrap().problems[0].contains("not journaled"));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Offer(usize),
    Read(u64),
    GoOn,
    RollBack,
    GoBackTo(usize),
    Promote,
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize).prop_map(Step::Offer),
        4 => (1..12_u64).prop_map(Step::Read),
        4 => Just(Step::GoOn),
        1 => Just(Step::RollBack),
        1 => (0..4_usize).prop_map(Step::GoBackTo),
        1 => Just(Step::Promote),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn in_any_order_what_is_served_is_what_is_journaled(steps in proptest::collection::vec(any_step(), 1..30)) {
        let mut world = World::new(terms(&[20, 100]));
        let texts = [active(), harmless(), broken(), closed()];
        for step in steps {
            match step {
                Step::Offer(n) => world.offer(&texts[n]),
                Step::Read(people) => world.read(people),
                Step::GoOn => world.go_on(),
                Step::RollBack => drop(world.policies.roll_back(&world.served, &world.store, None, ("uid:0", None))),
                Step::GoBackTo(n) => {
                    let to = revision(&texts[n]);
                    drop(world.policies.roll_back(&world.served, &world.store, Some(&to), ("uid:0", None)));
                }
                Step::Promote => drop(world.policies.promote(&world.served, &world.store, None, "uid:0")),
                Step::Restart => world.restart(),
            }
            let (times, serving) = (world.times(), world.served.load_full());
            let journaled = world.store.view().activation(&tenant()).unwrap().unwrap();
            prop_assert_eq!(&serving.active().revision, &journaled.revision);
            prop_assert_eq!(&world.policies.status().revision, &journaled.revision);
            let tried = times.trial.as_ref().map(|trial| trial.revision.clone());
            prop_assert_eq!(serving.candidate().map(|candidate| candidate.revision.clone()), tried.clone());
            for revision in [Some(journaled.revision), tried].into_iter().flatten() {
                prop_assert!(!times.held.iter().any(|held| held.digest.to_string() == revision.as_str()), "a held content decides");
            }
        }
    }
}

#[test]
fn the_time_of_a_record_is_not_needed_to_compare_it() {
    // A record of long ago is compared by the facts that it holds.
    let mut world = World::new(terms(&[100]));
    world.offer(&harmless());
    let serving = world.served.load_full();
    let (identified, facts) = (asking("alice", "read"), facts());
    let decided = decide(&identified, &facts, serving.general(), Timestamp(1_000));
    let record = Record::new(DecisionId::new("main.1.1").unwrap(), Timestamp(1_000), &identified, &facts, serving.general(), &decided);
    world.policies.compare(&world.served, &world.store, Observed { serving, record: Box::new(record) });
    let counted = world.policies.report(&world.served, &world.store).unwrap().trial.unwrap().counted;
    assert_eq!((counted.decisions, counted.answered, counted.new_denies), (1, 1, 0));
    world.decisions += 1;
}
