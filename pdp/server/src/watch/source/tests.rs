//! Every fact that the journal can hold, and what it ends.

use std::collections::{BTreeMap, BTreeSet};

use countersign_pdp_store::{
    Activation, DeviceRecord, GrantRecord, LearnedEvent, Origin, RoleRecord, Stage, Store, StoredCredential, Trial,
};
use countersign_risk::pointer::PointerProfile;
use countersign_risk::{Keyed, RawSighting, Salts, SessionTag, Sighting, Strength, SubjectSalt};
use countersign_sdk_types::{
    Acr, CeremonyId, CredentialId, DeviceId, Digest, GrantId, Host, Place, PlaceGap, Revision, SessionId, Tenant, Timestamp, WatchEvent,
};
use serde_json::json;

use super::*;

const AT: Timestamp = Timestamp(1_000_000);

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

fn alice() -> SubjectId {
    SubjectId { tenant: tenant(), iss: "https://issuer.example".to_owned(), sub: "alice".to_owned() }
}

fn session() -> SessionId {
    SessionId::new("sid:1").unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("laptop").unwrap()
}

fn credential() -> StoredCredential {
    let id = CredentialId::new("key").unwrap();
    StoredCredential { id, passkey: json!({}), label: "key".to_owned(), created: AT, backup_eligible: false, counter: 0 }
}

fn learned() -> LearnedEvent {
    let salts = Salts { subject: SubjectSalt::new([1; 32]), organisation: SubjectSalt::new([2; 32]) };
    let (place, session) = (Place::Unknown(PlaceGap::NoDatabase), session());
    Sighting::new(&RawSighting::new(AT, &place, &session), &salts).learned(Strength::StepUp)
}

/// One of each, named as it is written.
fn every() -> Vec<(&'static str, StateEvent)> {
    use StateEvent as E;
    let (by, reason) = ("operator".to_owned(), "test".to_owned());
    let revoked = |target| E::Revoked { target, at: AT, by: by.clone(), reason: reason.clone() };
    let token = |token| RevocationTarget::Token { tenant: tenant(), token, expires: AT };
    let key = credential().id;
    vec![
        ("credential_added", E::CredentialAdded { subject: alice(), credential: credential() }),
        ("credential_updated", E::CredentialUpdated { subject: alice(), credential: credential() }),
        ("credential_removed", E::CredentialRemoved { subject: alice(), id: key.clone(), by: by.clone(), at: AT }),
        ("enroll_code_issued", E::EnrollCodeIssued { code: Digest([1; 32]), subject: alice(), expires: AT, by: by.clone() }),
        ("enroll_code_spent", E::EnrollCodeSpent { code: Digest([1; 32]), subject: alice(), at: AT }),
        (
            "ceremony_spent",
            E::CeremonySpent { ceremony: CeremonyId::new("c").unwrap(), subject: alice(), credential: Some(key.clone()), at: AT },
        ),
        ("grant_created", E::GrantCreated { grant: grant(key) }),
        ("revoked subject", revoked(RevocationTarget::Subject(alice()))),
        ("revoked session", revoked(RevocationTarget::Session { tenant: tenant(), session: session() })),
        ("revoked device", revoked(RevocationTarget::Device { tenant: tenant(), device: device() })),
        ("revoked token", revoked(token(TokenName::Digest(Digest([3; 32]))))),
        ("revoked jti", revoked(token(TokenName::Jti { iss: "i".to_owned(), jti: "j".to_owned() }))),
        ("unrevoked", E::Unrevoked { target: RevocationTarget::Subject(alice()), at: AT, by: by.clone() }),
        ("locked subject", E::Locked { target: LockTarget::Subject(alice()), until: AT }),
        ("locked session", E::Locked { target: LockTarget::Session { tenant: tenant(), session: session() }, until: AT }),
        ("learned", E::Learned { subject: alice(), event: learned() }),
        (
            "pointer_learned",
            E::PointerLearned {
                subject: alice(),
                session: SessionTag(1),
                lesson: Box::new(PointerProfile::default().lesson(Keyed(1), &[])),
                at: AT,
            },
        ),
        ("past_imported", E::PastImported { subject: alice(), events: vec![learned()], by: by.clone(), at: AT }),
        (
            "device_upserted",
            E::DeviceUpserted { tenant: tenant(), device: device(), record: DeviceRecord::default(), by: by.clone(), at: AT },
        ),
        (
            "user_upserted",
            E::UserUpserted { tenant: tenant(), name: "alice".to_owned(), record: RoleRecord::default(), by: by.clone(), at: AT },
        ),
        (
            "session_linked",
            E::SessionLinked {
                tenant: tenant(),
                host: Host::new("wiki.example").unwrap(),
                cookie: Digest([4; 32]),
                subject: alice(),
                claims: json!({}),
                expires: AT,
            },
        ),
        ("activated", E::Activated { tenant: tenant(), activation: activation() }),
        ("trial begun", E::TrialBegun { tenant: tenant(), trial: trial() }),
        ("trial moved", E::TrialMoved { tenant: tenant(), digest: Digest([6; 32]), stage: Stage::Canary(1), by: by.clone(), at: AT }),
        (
            "trial ended",
            E::TrialEnded { tenant: tenant(), digest: Digest([6; 32]), held: true, by: by.clone(), at: AT, why: reason.clone() },
        ),
        ("break_glass", E::BreakGlass { subject: alice(), expires: AT, by, reason }),
        ("clock_mark", E::ClockMark { tenant: tenant(), at: AT }),
        ("incarnation", E::Incarnation { n: 1, at: AT }),
    ]
}

fn grant(credential: CredentialId) -> GrantRecord {
    GrantRecord {
        id: GrantId::new("g").unwrap(),
        subject: alice(),
        secret: Digest([5; 32]),
        session: session(),
        credential,
        acr: Acr::phr(),
        answers: BTreeSet::new(),
        created: AT,
        expires: AT,
    }
}

fn trial() -> Trial {
    let Activation { revision, digest, origin, by, at, .. } = activation();
    Trial { revision, digest, origin, by, at, stage: Stage::Shadow, stage_at: at }
}

fn activation() -> Activation {
    let (revision, by) = (Revision::new("r").unwrap(), "folder".to_owned());
    Activation { revision, digest: Digest([6; 32]), origin: Origin::default(), by, at: AT, why: None, instead_of: None }
}

#[test]
fn every_fact_ends_what_rests_on_it() {
    use Ending as R;
    use Meaning as M;
    let subject = || vec![tag::subject(&alice())];
    let expected = BTreeMap::from([
        ("credential_added", M::Ends(R::Subject, subject())),
        ("credential_updated", M::Nothing),
        ("credential_removed", M::Ends(R::Subject, subject())),
        ("enroll_code_issued", M::Nothing),
        ("enroll_code_spent", M::Nothing),
        ("ceremony_spent", M::Nothing),
        ("grant_created", M::Nothing),
        ("revoked subject", M::Ends(R::Revoked, subject())),
        ("revoked session", M::Ends(R::Revoked, vec![tag::session(&tenant(), &session())])),
        ("revoked device", M::Ends(R::Revoked, vec![tag::device(&tenant(), &device())])),
        ("revoked token", M::Ends(R::Revoked, vec![tag::token(&tenant(), &Digest([3; 32]))])),
        ("revoked jti", M::Ends(R::Revoked, vec![tag::token_id(&tenant(), "i", "j")])),
        ("unrevoked", M::Nothing),
        ("locked subject", M::Ends(R::Locked, subject())),
        ("locked session", M::Ends(R::Locked, vec![tag::session(&tenant(), &session())])),
        ("learned", M::Stirs(subject())),
        ("pointer_learned", M::Stirs(subject())),
        ("past_imported", M::Stirs(subject())),
        ("device_upserted", M::Ends(R::Device, vec![tag::device(&tenant(), &device())])),
        ("user_upserted", M::Ends(R::Subject, vec![tag::user(&tenant(), "alice")])),
        (
            "session_linked",
            M::Ends(R::Subject, vec![tag::link(&tenant(), &Host::new("wiki.example").unwrap(), &Digest([4; 32])), tag::subject(&alice())]),
        ),
        ("activated", M::Nothing),
        ("trial begun", M::Nothing),
        ("trial moved", M::Nothing),
        ("trial ended", M::Nothing),
        ("break_glass", M::Ends(R::Subject, subject())),
        ("clock_mark", M::Nothing),
        ("incarnation", M::Nothing),
    ]);
    let found: BTreeMap<_, _> = every().iter().map(|(name, event)| (*name, meaning(event))).collect();
    assert_eq!(found, expected);
}

#[test]
fn no_fact_is_missing_from_the_list() {
    let source = include_str!("../../../../store/src/event.rs");
    let body = source.split_once("pub enum StateEvent {").unwrap().1.split_once("\n}").unwrap().0;
    let declared: BTreeSet<String> =
        body.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(" {")).map(|(name, _)| name.to_owned()).collect();
    let listed: BTreeSet<String> =
        every().iter().map(|(_, event)| format!("{event:?}").split([' ', '{']).next().unwrap().to_owned()).collect();
    assert_eq!(listed, declared);
}

#[test]
fn the_journal_tells_when_the_fact_can_be_read() {
    use std::sync::Mutex;

    struct Seen(Store, Mutex<Vec<bool>>);
    impl Observer for Seen {
        fn applied(&self, events: &[StateEvent]) {
            let query = countersign_pdp_store::RevocationQuery { subject: &alice(), session: None, tokens: &[], device: None };
            let is_visible = self.0.view().is_revoked(&query).unwrap().is_some();
            self.1.lock().unwrap().extend(events.iter().map(|_| is_visible));
        }
        fn erased(&self, _: &SubjectId) {
            self.1.lock().unwrap().push(self.0.known_salt(&alice()).unwrap().is_none());
        }
    }

    let store = Store::memory().unwrap();
    let seen = std::sync::Arc::new(Seen(store.clone(), Mutex::default()));
    store.observe(std::sync::Arc::clone(&seen) as _);
    let target = RevocationTarget::Subject(alice());
    let event = StateEvent::Revoked { target, at: AT, by: "operator".to_owned(), reason: "test".to_owned() };
    store.append(event, countersign_pdp_store::Expect::Any).wait().unwrap();
    // Told before the operator is answered.
    assert_eq!(*seen.1.lock().unwrap(), [true]);
    store.salt(&alice(), || Some([1; 32])).unwrap();
    store.destroy_salt(&alice()).unwrap();
    assert_eq!(*seen.1.lock().unwrap(), [true, true]);
}

#[test]
fn what_is_journaled_is_told() {
    let metrics = std::sync::Arc::new(crate::metrics::Metrics::new());
    let hub = std::sync::Arc::new(Hub::new(crate::config::LeaseTerms::default(), Revision::new("r").unwrap(), metrics).unwrap());
    let ends = every().iter().filter(|(_, event)| matches!(meaning(event), Meaning::Ends(..))).count() as u64;
    hub.applied(&every().into_iter().map(|(_, event)| event).collect::<Vec<_>>());
    assert_eq!(hub.epoch().seq, ends);
    let super::super::Next::Event(event) = hub.next(0) else { panic!("nothing was told") };
    assert!(matches!(event.event, WatchEvent::Ended { reason: Ending::Subject, .. }));
    hub.erased(&alice());
    assert_eq!(hub.epoch().seq, ends + 1);
}
