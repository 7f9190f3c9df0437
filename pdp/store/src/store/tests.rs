//! The store: single use under contention, views that agree, recovery.

use std::sync::Barrier;
use std::thread;

use countersign_risk::pointer::{ActionFeatures, CountedAction, FEATURES, PointerProfile};
use countersign_risk::{Keyed, LearnedEvent, SessionTag, Shared, Strength};
use countersign_sdk_types::{CeremonyId, CredentialId, DeviceId, Digest, SessionId};
use proptest::prelude::*;
use serde_json::json;

use super::*;

#[tokio::test]
async fn the_view_shows_what_is_reached_and_never_less_than_was_acknowledged() {
    let store = Store::memory().unwrap();
    let before = store.position();
    let later = store.clone();
    let waits = tokio::spawn(async move {
        later.reached(before + 2).await;
        later.view().credentials(&subject("alice")).unwrap().len()
    });
    for id in ["c1", "c2"] {
        let committed = store.append(added("alice", id), Expect::Any).await.unwrap();
        assert_eq!(Some(store.position()), committed.head.map(|head| head.seq));
    }
    assert_eq!(waits.await.unwrap(), 2);
    store.reached(before).await;
    let never = tokio::time::timeout(std::time::Duration::from_millis(20), store.reached(before + 3)).await;
    assert!(never.is_err(), "what was not written is not waited for in vain and then taken as written");
}

#[test]
fn a_chain_keeps_its_name_and_position_and_no_two_share_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), Options::default(), Timestamp(1)).unwrap();
    let first = open();
    let name = first.chain(&tenant(), || Some([1; 32])).unwrap();
    first.append(added("alice", "c1"), Expect::Any).wait().unwrap();
    let position = first.position();
    drop(first);
    let again = open();
    assert_eq!(again.chain(&tenant(), || Some([2; 32])).unwrap(), name);
    // The new incarnation is one record.
    assert_eq!(again.position(), position + 1);
    let other = Store::memory().unwrap();
    assert_ne!(other.chain(&tenant(), || Some([2; 32])).unwrap(), name);
    assert!(Store::memory().unwrap().chain(&tenant(), || None).is_err());
}

#[test]
fn the_folder_is_nobody_else_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    drop(Store::open(&path, Options::default(), Timestamp(1)).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
use crate::event::{DeviceRecord, LockTarget, RevocationTarget, RoleRecord, StoredCredential, TokenName};
use crate::view::RevocationQuery;

fn tenant() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn subject(name: &str) -> SubjectId {
    SubjectId { tenant: tenant(), iss: "https://issuer.example".to_owned(), sub: name.to_owned() }
}

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn credential(id: &str) -> StoredCredential {
    StoredCredential {
        id: CredentialId::new(id).unwrap(),
        passkey: json!({"key": [1, 2, 0.1]}),
        label: "laptop".to_owned(),
        created: Timestamp(5),
        backup_eligible: false,
        counter: 0,
    }
}

fn added(who: &str, id: &str) -> StateEvent {
    StateEvent::CredentialAdded { subject: subject(who), credential: credential(id) }
}

fn issued(code: u8, who: &str) -> StateEvent {
    StateEvent::EnrollCodeIssued { code: digest(code), subject: subject(who), expires: Timestamp(100), by: "op".to_owned() }
}

fn spent(code: u8, who: &str, at: i64) -> StateEvent {
    StateEvent::EnrollCodeSpent { code: digest(code), subject: subject(who), at: Timestamp(at) }
}

fn finished(ceremony: &str) -> StateEvent {
    let ceremony = CeremonyId::new(ceremony).unwrap();
    StateEvent::CeremonySpent { ceremony, subject: subject("alice"), credential: None, at: Timestamp(9) }
}

fn learned(who: &str, at: i64) -> StateEvent {
    StateEvent::Learned { subject: subject(who), event: verified(at) }
}

fn verified(at: i64) -> LearnedEvent {
    LearnedEvent {
        at: Timestamp(at),
        strength: Strength::StepUp,
        host: None,
        prefix: Some(Keyed(7)),
        asn: None,
        country: None,
        point: None,
        radius: None,
        time_zone: Some("Europe/Paris".to_owned()),
        client: None,
        cookie: Some(Keyed(at.unsigned_abs() as u32)),
        key: None,
        fingerprint: None,
        tls: None,
        session: SessionTag(at.unsigned_abs() as u32),
        shared: Shared { subject: Keyed(1), prefix: Some(Keyed(9)), device: None },
    }
}

/// Clicks that take as long as the seed says.
fn moved(who: &str, session: u32, seed: u8, actions: usize) -> StateEvent {
    let click = |nth: usize| {
        let mut values = [None; FEATURES];
        (values[0], values[1]) = (Some(f32::from(seed) + nth as f32 / 100.0), Some(300.0));
        CountedAction::from(ActionFeatures::from(values))
    };
    let clicks: Vec<_> = (0..actions).map(click).collect();
    let lesson = PointerProfile::empty().lesson(Keyed(session), &clicks);
    StateEvent::PointerLearned { subject: subject(who), session: SessionTag(session), lesson: Box::new(lesson), at: Timestamp(20) }
}

fn put(store: &Store, event: StateEvent) -> Result<(), AppendError> {
    store.append(event, Expect::Any).wait().map(drop)
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(folder, small(), Timestamp(1))
}

/// Small segments, so that short tests rotate.
fn small() -> Options {
    Options { segment_bytes: 2048, ..Options::default() }
}

/// The state without the counter of openings.
fn content(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.view().dump().unwrap().into_iter().filter(|(key, _)| key.first() != Some(&0)).collect()
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let store = open(folder.path()).unwrap();
        put(&store, added("alice", "c1")).unwrap();
        put(&store, learned("alice", 10)).unwrap();
        content(&store)
    };
    let store = open(folder.path()).unwrap();
    assert_eq!(content(&store), before);
    assert_eq!(store.view().incarnation().unwrap(), 2);
    assert_eq!(store.view().credentials(&subject("alice")).unwrap(), vec![credential("c1")]);
    let owner = store.view().credential_owner(&tenant(), &CredentialId::new("c1").unwrap()).unwrap();
    assert_eq!(owner, Some(subject("alice")));
    assert!(store.view().baseline(&subject("alice")).unwrap().knows_device(Keyed(10)));
}

#[test]
fn a_pointer_is_learned_for_its_subject_and_counts_for_the_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, moved("alice", 1, 1, 100)).unwrap();
    put(&store, moved("alice", 1, 1, 100)).unwrap();
    put(&store, moved("alice", 2, 1, 30)).unwrap();
    put(&store, moved("bob", 1, 3, 10)).unwrap();
    let known = |store: &Store, who: &str| {
        let profile = store.view().pointer(&subject(who)).unwrap();
        (profile.actions(), profile.sessions())
    };
    assert_eq!((known(&store, "alice"), known(&store, "bob"), known(&store, "carol")), ((130, 2), (10, 1), (0, 0)));
    assert_eq!(store.view().list_pointers(&tenant()).unwrap().len(), 2);
    assert_eq!(store.view().list_pointers(&Tenant::new("other").unwrap()).unwrap().len(), 0);
    drop(store);
    assert_eq!(known(&open(folder.path()).unwrap(), "alice"), (130, 2), "read back");
}

#[test]
fn another_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::InUse(_))));
}

#[test]
fn a_code_is_spent_once_by_its_subject_in_time() {
    let store = Store::memory().unwrap();
    put(&store, issued(1, "alice")).unwrap();
    assert_eq!(put(&store, issued(1, "mallory")), Err(Refusal::Used.into()));
    assert_eq!(put(&store, spent(2, "alice", 50)), Err(Refusal::Unknown.into()));
    assert_eq!(put(&store, spent(1, "mallory", 50)), Err(Refusal::Foreign.into()));
    assert_eq!(put(&store, spent(1, "alice", 100)), Err(Refusal::Expired.into()));
    assert!(store.view().enroll_code(&tenant(), &digest(1), Timestamp(99)).unwrap().is_some());
    assert!(store.view().enroll_code(&tenant(), &digest(1), Timestamp(100)).unwrap().is_none());
    assert_eq!(put(&store, spent(1, "alice", 50)), Ok(()));
    assert_eq!(put(&store, spent(1, "alice", 50)), Err(Refusal::Used.into()));
    assert!(store.view().enroll_code(&tenant(), &digest(1), Timestamp(60)).unwrap().is_none());
}

#[test]
fn events_of_one_record_happen_together_or_not_at_all() {
    let store = Store::memory().unwrap();
    put(&store, added("alice", "c1")).unwrap();
    let both = store.append_all(vec![finished("n1"), added("bob", "c1")], Expect::Any).wait();
    assert_eq!(both.map(drop), Err(Refusal::Used.into()));
    assert!(store.view().spent_ceremony(&tenant(), &CeremonyId::new("n1").unwrap()).unwrap().is_none());
    let twice = store.append_all(vec![finished("n2"), finished("n2")], Expect::Any).wait();
    assert_eq!(twice.map(drop), Err(Refusal::Used.into()));
}

#[test]
fn of_many_spenders_exactly_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let barrier = Barrier::new(64);
    let successes: usize = thread::scope(|scope| {
        let spenders: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    (0..16).filter(|round| put(&store, finished(&format!("n{round}"))).is_ok()).count()
                })
            })
            .collect();
        spenders.into_iter().map(|spender| spender.join().unwrap()).sum()
    });
    assert_eq!(successes, 16);
}

#[test]
fn an_activation_can_expect_the_revision_that_was_seen() {
    let store = Store::memory().unwrap();
    let activate = |revision: &str, seen: Option<&str>| {
        let activation = crate::Activation {
            revision: Revision::new(revision).unwrap(),
            digest: digest(1),
            origin: crate::Origin::default(),
            by: "op".to_owned(),
            at: Timestamp(1),
            why: None,
            instead_of: None,
        };
        let expect = Expect::Active { tenant: tenant(), revision: seen.map(|seen| Revision::new(seen).unwrap()) };
        store.append(StateEvent::Activated { tenant: tenant(), activation }, expect).wait().map(drop)
    };
    assert_eq!(activate("r1", None), Ok(()));
    assert_eq!(activate("r2", None), Err(Refusal::Changed.into()));
    assert_eq!(activate("r2", Some("r1")), Ok(()));
    assert_eq!(store.view().activation(&tenant()).unwrap().unwrap().revision.as_str(), "r2");
}

#[test]
fn what_is_learned_meanwhile_is_not_taught_over() {
    let store = Store::memory().unwrap();
    let teach = |at: i64, until: Option<i64>| {
        let expect = Expect::LearnedUntil { subject: subject("alice"), at: until.map(Timestamp) };
        store.append(learned("alice", at), expect)
    };
    assert!(teach(1_000, None).wait().is_ok());
    assert_eq!(teach(2_000, None).wait(), Err(Refusal::Changed.into()));
    // A step-up and an import in one group of the writer: the second to come is checked after the first is applied.
    let (step_up, import) = (store.append(learned("alice", 9_000), Expect::Any), teach(2_000, Some(1_000)));
    assert!(step_up.wait().is_ok());
    assert_eq!(import.wait(), Err(Refusal::Changed.into()));
    assert!(store.append(learned("bob", 1), Expect::Any).wait().is_ok(), "another subject's past is nobody else's");
    assert!(teach(9_500, Some(9_000)).wait().is_ok());
    assert_eq!(store.view().baseline(&subject("alice")).unwrap().known_until(), Some(Timestamp(9_500)));
}

#[test]
fn an_imported_past_waits_only_for_what_its_day_is_not_over() {
    const DAY: i64 = 86_400_000;
    let (folder, session, at) = (tempfile::tempdir().unwrap(), SessionId::new("sid:1").unwrap(), 100 * DAY);
    let login = |at: i64| LearnedEvent { strength: Strength::SecondFactor, ..verified(at) };
    let recent = LearnedEvent { session: SessionTag::of(&session), ..login(at - 1_000) };
    let events: Vec<_> = (0..3).map(|n| login(at - 3 * DAY + n)).chain([recent]).collect();
    let store = open(folder.path()).unwrap();
    put(&store, StateEvent::PastImported { subject: subject("alice"), events, by: "uid:0".to_owned(), at: Timestamp(at) }).unwrap();
    let baseline = |store: &Store| store.view().baseline(&subject("alice")).unwrap();
    assert!((1.4..=1.5).contains(&baseline(&store).weight()), "three halves: {}", baseline(&store).weight());
    assert_eq!((baseline(&store).waiting().count(), baseline(&store).known_until()), (1, Some(Timestamp(at - 1_000))));
    let target = RevocationTarget::Session { tenant: tenant(), session };
    put(&store, StateEvent::Revoked { target, at: Timestamp(at), by: "uid:0".to_owned(), reason: "stolen".to_owned() }).unwrap();
    assert_eq!((baseline(&store).waiting().count(), baseline(&store).known_until()), (0, Some(Timestamp(at - 1_000))));
    let before = baseline(&store).to_bytes();
    drop(store);
    fs::remove_dir_all(folder.path().join("view")).unwrap();
    assert_eq!(baseline(&open(folder.path()).unwrap()).to_bytes(), before, "the journal alone says it");
}

#[test]
fn revocations_meet_what_they_name_and_can_be_taken_back() {
    let store = Store::memory().unwrap();
    let (alice, session, device) = (subject("alice"), SessionId::new("sid:1").unwrap(), DeviceId::new("d1").unwrap());
    let token = TokenName::Jti { iss: alice.iss.clone(), jti: "j".to_owned() };
    let query = RevocationQuery { subject: &alice, session: Some(&session), tokens: std::slice::from_ref(&token), device: Some(&device) };
    let targets = [
        RevocationTarget::Subject(alice.clone()),
        RevocationTarget::Session { tenant: tenant(), session: session.clone() },
        RevocationTarget::Token { tenant: tenant(), token: token.clone(), expires: Timestamp(5) },
        RevocationTarget::Device { tenant: tenant(), device: device.clone() },
    ];
    for target in targets {
        let (by, reason) = ("op".to_owned(), "lost".to_owned());
        put(&store, StateEvent::Revoked { target: target.clone(), at: Timestamp(1), by, reason }).unwrap();
        assert_eq!(store.view().is_revoked(&query).unwrap().unwrap().target, target);
        assert_eq!(store.view().list_revocations(&tenant()).unwrap().len(), 1);
        put(&store, StateEvent::Unrevoked { target, at: Timestamp(2), by: "op".to_owned() }).unwrap();
        assert_eq!(store.view().is_revoked(&query).unwrap(), None);
    }
}

#[test]
fn a_receipt_can_be_awaited() {
    let store = Store::memory().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let committed = runtime.block_on(store.append(added("alice", "c1"), Expect::Any)).unwrap();
    assert_eq!(committed.head.map(|head| head.seq), Some(2));
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let store = Store::memory().unwrap();
    let (name, record) = ("x".repeat(300_000), RoleRecord::default());
    let refused = put(&store, StateEvent::UserUpserted { tenant: tenant(), name, record, by: "op".to_owned(), at: Timestamp(3) });
    assert_eq!(refused, Err(AppendError::TooLarge(256 * 1024)));
}

#[test]
fn decisions_are_found_by_their_id_until_retention_removes_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 512, decision_segments: 3, ..Options::default() };
    let store = Store::open(folder.path(), options, Timestamp(1)).unwrap();
    let id = |n: u32| DecisionId::new(format!("node.1.{n}")).unwrap();
    for n in 0..40 {
        store.append_decision(&id(n), &json!({"n": n}), AuditMode::Required).wait().unwrap();
    }
    assert_eq!(store.decision(&id(39)).unwrap(), Some(json!({"n": 39})));
    assert_eq!(store.decision(&id(38)).unwrap(), Some(json!({"n": 38})));
    assert_eq!(store.decision(&id(0)).unwrap(), None);
    assert_eq!(store.decision(&id(99)).unwrap(), None);
    let (_, decisions) = store.verify().unwrap().unwrap();
    assert_eq!(decisions.head.seq, 40);
    drop(store);
    let store = Store::open(folder.path(), options, Timestamp(1)).unwrap();
    assert_eq!(store.decision(&id(39)).unwrap(), Some(json!({"n": 39})));
}

#[test]
fn a_lost_best_effort_record_leaves_a_counted_gap() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let id = |n: u32| DecisionId::new(format!("node.1.{n}")).unwrap();
    let huge = json!("x".repeat(300_000));
    let refused = store.append_decision(&id(1), &huge, AuditMode::Required).wait();
    assert_eq!(refused.map(drop), Err(AppendError::TooLarge(256 * 1024)));
    assert_eq!(store.decisions().lost(), 0);
    store.append_decision(&id(2), &huge, AuditMode::BestEffort).wait().unwrap();
    assert_eq!(store.decisions().lost(), 1);
    let after = store.append_decision(&id(3), &json!(3), AuditMode::Required).wait().unwrap();
    assert_eq!(after.head.map(|head| head.seq), Some(2), "the gap is the first record");
    let next = store.append_decision(&id(4), &json!(4), AuditMode::Required).wait().unwrap();
    assert_eq!(next.head.map(|head| head.seq), Some(3), "a gap is told once");
    assert_eq!(store.decision(&id(3)).unwrap(), Some(json!(3)));
}

#[test]
fn a_deleted_a_foreign_and_an_older_view_are_rebuilt() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fill = |folder: &Path, who: &str| {
        let store = open(folder).unwrap();
        (0..20).for_each(|n| put(&store, added(who, &format!("c{n}"))).unwrap());
        content(&store)
    };
    let before = fill(folder.path(), "alice");
    fill(other.path(), "bob");
    let view = folder.path().join("view");
    fs::remove_dir_all(&view).unwrap();
    assert_eq!(content(&open(folder.path()).unwrap()), before);
    fs::remove_dir_all(&view).unwrap();
    fs::rename(other.path().join("view"), &view).unwrap();
    assert_eq!(content(&open(folder.path()).unwrap()), before);
    assert!(folder.path().join("view.quarantined").exists());
    // Older: the view of now, the journal of later.
    let store = open(folder.path()).unwrap();
    let kept = copy(&view);
    put(&store, added("carol", "later")).unwrap();
    let after = content(&store);
    drop(store);
    fs::remove_dir_all(&view).unwrap();
    fs::rename(kept.path(), &view).unwrap();
    assert_eq!(content(&open(folder.path()).unwrap()), after);
}

fn copy(folder: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let target = to.path().join(entry.file_name());
        if entry.path().is_dir() {
            fs::rename(copy(&entry.path()).keep(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
    to
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, found),
            path => found.push(path),
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    (0..20).for_each(|n| put(&store, added("alice", &format!("c{n}"))).unwrap());
    (0..20).for_each(|n| put(&store, learned("alice", n)).unwrap());
    let salt = store.salt(&subject("alice"), || Some([7; 32])).unwrap();
    let before = content(&store);
    drop(store);
    let (mut refused, mut harmless) = (0, 0);
    for round in 0..200_usize {
        let parent = tempfile::tempdir().unwrap();
        let damaged = parent.path().join("store");
        fs::create_dir(&damaged).unwrap();
        let inside = copy(folder.path()).keep();
        fs::remove_dir(&damaged).unwrap();
        fs::rename(inside, &damaged).unwrap();
        flip(&damaged, round);
        match open(&damaged) {
            Ok(store) => {
                assert_eq!(content(&store), before, "round {round}");
                assert_eq!(store.salt(&subject("alice"), || Some([8; 32])).unwrap(), salt, "round {round}");
                harmless += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0 && harmless > 0, "refused {refused}, harmless {harmless}");
}

/// Flips one bit: every other round in the journal or keyring, otherwise in the view's files.
fn flip(folder: &Path, round: usize) {
    let mut all = Vec::new();
    files(folder, &mut all);
    all.sort();
    let of_view = |path: &Path| path.strip_prefix(folder).unwrap().starts_with("view");
    all.retain(|path| of_view(path) == round.is_multiple_of(2) && fs::metadata(path).unwrap().len() > 0);
    let path = &all[(round / 2) % all.len()];
    let mut bytes = fs::read(path).unwrap();
    // sled's file is mostly empty; the front of it is what it uses.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| last + 1);
    let at = (round * 7_919) % used;
    bytes[at] ^= 1 << (round % 8);
    fs::write(path, bytes).unwrap();
}

fn any_event() -> impl Strategy<Value = StateEvent> {
    let who = || prop_oneof![Just("alice"), Just("bob")];
    let n = 0..6_u8;
    prop_oneof![
        (who(), n.clone()).prop_map(|(who, n)| added(who, &format!("c{n}"))),
        (who(), n.clone()).prop_map(|(who, n)| StateEvent::CredentialRemoved {
            subject: subject(who),
            id: CredentialId::new(format!("c{n}")).unwrap(),
            by: "op".to_owned(),
            at: Timestamp(3),
        }),
        (who(), n.clone()).prop_map(|(who, n)| issued(n, who)),
        (who(), n.clone()).prop_map(|(who, n)| spent(n, who, 50)),
        n.clone().prop_map(|n| finished(&format!("n{n}"))),
        (who(), 0..1_000_000_000_i64).prop_map(|(who, at)| learned(who, at)),
        (who(), 0..4_u32, n.clone()).prop_map(|(who, session, seed)| moved(who, session, seed, 40 * usize::from(seed))),
        (who(), n.clone())
            .prop_map(|(who, n)| StateEvent::Locked { target: LockTarget::Subject(subject(who)), until: Timestamp(i64::from(n)) }),
        n.clone().prop_map(|n| StateEvent::DeviceUpserted {
            tenant: tenant(),
            device: DeviceId::new(format!("d{n}")).unwrap(),
            record: DeviceRecord { compliant: Some(n > 2), managed: None, label: None },
            by: "op".to_owned(),
            at: Timestamp(3),
        }),
        n.clone().prop_map(|n| StateEvent::ClockMark { tenant: tenant(), at: Timestamp(i64::from(n)) }),
        (who(), n).prop_map(|(who, n)| StateEvent::BreakGlass {
            subject: subject(who),
            expires: Timestamp(i64::from(n)),
            by: "op".to_owned(),
            reason: "r".to_owned(),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_the_fold_however_it_came_about(events in proptest::collection::vec(any_event(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        let memory = Store::memory().unwrap();
        let store = open(folder.path()).unwrap();
        for event in events {
            prop_assert_eq!(put(&store, event.clone()), put(&memory, event));
        }
        prop_assert_eq!(content(&store), content(&memory));
        drop(store);
        prop_assert_eq!(content(&open(folder.path()).unwrap()), content(&memory));
        fs::remove_dir_all(folder.path().join("view")).unwrap();
        prop_assert_eq!(content(&open(folder.path()).unwrap()), content(&memory));
    }
}
