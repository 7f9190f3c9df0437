//! How each event changes the view, and which events the view refuses.

use std::collections::BTreeMap;

use countersign_risk::pointer::{PointerLesson, PointerProfile};
use countersign_risk::{Baseline, Keyed, SessionTag, Settled, Sharing};
use countersign_sdk_types::{Digest, SubjectId, Tenant, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kv::{self, Key, Table};
use super::{
    Applied, BreakGlassRecord, EnrollCode, Named, PolicyTimes, Revocation, SessionLink, SpentCeremony, View, ViewError, baseline, decode,
    pointer,
};
use crate::event::{Activation, LockTarget, RevocationTarget, StateEvent};
use crate::journal::{Head, Refusal};

/// What an event's own precondition depends on. Two events that claim the same are decided one after the other.
pub(crate) fn claims(event: &StateEvent) -> Option<Vec<u8>> {
    use StateEvent as E;
    let key = match event {
        E::CredentialAdded { subject, credential } | E::CredentialUpdated { subject, credential } => {
            owner(&subject.tenant, credential.id.as_str())
        }
        E::CredentialRemoved { subject, id, .. } => owner(&subject.tenant, id.as_str()),
        E::EnrollCodeIssued { code, subject, .. } | E::EnrollCodeSpent { code, subject, .. } => {
            Key::new(Table::Code, &subject.tenant).part(&code.0)
        }
        E::CeremonySpent { ceremony, subject, .. } => Key::new(Table::Ceremony, &subject.tenant).part(ceremony.as_str().as_bytes()),
        E::GrantCreated { grant } => Key::new(Table::Grant, &grant.subject.tenant).part(&grant.secret.0),
        // What is tried is tried beside what is active: a change of either depends on both.
        E::Activated { tenant, .. } | E::TrialBegun { tenant, .. } | E::TrialMoved { tenant, .. } | E::TrialEnded { tenant, .. } => {
            Key::new(Table::Activation, tenant)
        }
        _ => return None,
    };
    Some(key.0)
}

/// The baseline that an event teaches: an expectation of what is learned depends on every earlier one.
pub(crate) fn teaches(event: &StateEvent) -> Option<Vec<u8>> {
    match event {
        StateEvent::Learned { subject, .. } | StateEvent::PastImported { subject, .. } => Some(Key::subject(Table::Baseline, subject).0),
        _ => None,
    }
}

fn owner(tenant: &Tenant, id: &str) -> Key {
    Key::new(Table::Owner, tenant).part(id.as_bytes())
}

fn refuse(wrong: bool, refusal: Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal) } else { Ok(()) }
}

impl View {
    /// Whether an event is allowed now.
    pub(crate) fn check(&self, event: &StateEvent) -> Result<Result<(), Refusal>, ViewError> {
        use StateEvent as E;
        let known = |key: &[u8]| self.kv.get(key).map(|found| found.is_some());
        Ok(match event {
            E::CredentialAdded { .. } | E::EnrollCodeIssued { .. } | E::CeremonySpent { .. } | E::GrantCreated { .. } => {
                refuse(known(&claims(event).unwrap_or_default())?, Refusal::Used)
            }
            E::CredentialUpdated { subject, credential } => owned(self.credential_owner(&subject.tenant, &credential.id)?, subject),
            E::CredentialRemoved { subject, id, .. } => owned(self.credential_owner(&subject.tenant, id)?, subject),
            E::EnrollCodeSpent { code, subject, at } => {
                let code: Option<EnrollCode> = self.read(&Key::new(Table::Code, &subject.tenant).part(&code.0))?;
                match code {
                    None => Err(Refusal::Unknown),
                    Some(code) if code.spent => Err(Refusal::Used),
                    Some(code) if code.subject != *subject => Err(Refusal::Foreign),
                    Some(code) => refuse(*at >= code.expires, Refusal::Expired),
                }
            }
            E::TrialMoved { tenant, digest, .. } | E::TrialEnded { tenant, digest, .. } => {
                let tried = self.policy_times(tenant)?.trial.map(|trial| trial.digest);
                refuse(tried != Some(*digest), Refusal::Changed)
            }
            _ => Ok(()),
        })
    }

    /// Folds one record in. All of it becomes visible at once.
    pub(crate) fn apply(&self, head: Head, events: Vec<StateEvent>) -> Result<(), ViewError> {
        let mut fold = Fold { view: self, changes: BTreeMap::new() };
        for event in events {
            fold.event(event)?;
        }
        let mut content = self.applied()?.map_or([0; 32], |applied| applied.content.0);
        for (key, value) in &fold.changes {
            if let Some(old) = self.kv.get(key)? {
                add(&mut content, key, &old);
            }
            if let Some(new) = value {
                add(&mut content, key, new);
            }
        }
        fold.put(&Key::meta(b"applied"), &Applied { seq: head.seq, hash: head.hash, content: Digest(content) })?;
        self.kv.commit(fold.changes.into_iter().collect())
    }
}

/// Adds an entry to a sum over entries in any order; adding it again takes it out.
pub(super) fn add(content: &mut [u8; 32], key: &[u8], stored: &[u8]) {
    for (sum, byte) in content.iter_mut().zip(kv::checksum(key, stored)) {
        *sum ^= byte;
    }
}

fn owned(owner: Option<SubjectId>, subject: &SubjectId) -> Result<(), Refusal> {
    match owner {
        None => Err(Refusal::Unknown),
        Some(owner) => refuse(owner != *subject, Refusal::Foreign),
    }
}

struct Fold<'a> {
    view: &'a View,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Fold<'_> {
    fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, ViewError> {
        match self.changes.get(&key.0) {
            Some(Some(stored)) => decode(&key.0, stored).map(Some),
            Some(None) => Ok(None),
            None => self.view.read(key),
        }
    }

    fn put(&mut self, key: &Key, value: &impl Serialize) -> Result<(), ViewError> {
        let value = serde_json::to_vec(value).map_err(|_| ViewError::Form)?;
        self.changes.insert(key.0.clone(), Some(kv::seal(&key.0, &value)));
        Ok(())
    }

    fn raw(&self, key: &Key) -> Result<Option<Vec<u8>>, ViewError> {
        match self.changes.get(&key.0) {
            Some(changed) => Ok(changed.clone()),
            None => self.view.kv.get(&key.0),
        }
    }

    fn baseline(&self, key: &Key) -> Result<Baseline, ViewError> {
        self.raw(key)?.map_or_else(|| Ok(Baseline::empty()), |stored| baseline(&key.0, &stored))
    }

    fn put_baseline(&mut self, key: &Key, baseline: &Baseline) {
        self.changes.insert(key.0.clone(), Some(kv::seal(&key.0, &baseline.to_bytes())));
    }

    /// What a subject learns at once, the organisation learns with it; what waits is found by its session until it is settled.
    fn learn(&mut self, subject: &SubjectId, learn: impl FnOnce(&mut Baseline) -> Vec<Settled>) -> Result<(), ViewError> {
        let key = Key::subject(Table::Baseline, subject);
        let mut baseline = self.baseline(&key)?;
        for settled in learn(&mut baseline) {
            self.remove(Key::waiting(&subject.tenant, settled.event.session));
            for thing in settled.things() {
                let row = Key::thing(&subject.tenant, thing);
                let mut sharing: Sharing = self.read(&row)?.unwrap_or_default();
                sharing.learn(&settled);
                self.put(&row, &sharing)?;
            }
        }
        for session in baseline.waiting().collect::<Vec<_>>() {
            self.put(&Key::waiting(&subject.tenant, session), subject)?;
        }
        self.put_baseline(&key, &baseline);
        Ok(())
    }

    fn learn_pointer(&mut self, subject: &SubjectId, session: SessionTag, lesson: &PointerLesson, at: Timestamp) -> Result<(), ViewError> {
        let key = Key::subject(Table::Pointer, subject);
        let mut profile = self.raw(&key)?.map_or_else(|| Ok(PointerProfile::empty()), |stored| pointer(&key.0, &stored))?;
        profile.absorb(Keyed(session.0), at, lesson);
        self.changes.insert(key.0.clone(), Some(kv::seal(&key.0, &profile.to_bytes())));
        Ok(())
    }

    /// Whoever revokes a subject or a session takes back what it taught and still waits.
    fn roll_back(&mut self, target: &RevocationTarget) -> Result<(), ViewError> {
        let (subject, session) = match target {
            RevocationTarget::Subject(subject) => (Some(subject.clone()), None),
            RevocationTarget::Session { tenant, session } => {
                let tag = SessionTag::of(session);
                (self.read(&Key::waiting(tenant, tag))?, Some(tag))
            }
            RevocationTarget::Token { .. } | RevocationTarget::Device { .. } => (None, None),
        };
        let Some(subject) = subject else { return Ok(()) };
        let key = Key::subject(Table::Baseline, &subject);
        let mut baseline = self.baseline(&key)?;
        let waited: Vec<_> = baseline.waiting().collect();
        baseline.roll_back(session);
        let waits: Vec<_> = baseline.waiting().collect();
        waited.into_iter().filter(|tag| !waits.contains(tag)).for_each(|tag| self.remove(Key::waiting(&subject.tenant, tag)));
        self.put_baseline(&key, &baseline);
        Ok(())
    }

    fn policy(&mut self, tenant: &Tenant, change: impl FnOnce(&mut PolicyTimes)) -> Result<(), ViewError> {
        let key = Key::new(Table::Policy, tenant);
        let mut times: PolicyTimes = self.read(&key)?.unwrap_or_default();
        change(&mut times);
        self.put(&key, &times)
    }

    fn remove(&mut self, key: Key) {
        self.changes.insert(key.0, None);
    }

    fn event(&mut self, event: StateEvent) -> Result<(), ViewError> {
        use StateEvent as E;
        match event {
            E::CredentialAdded { subject, credential } | E::CredentialUpdated { subject, credential } => {
                let key = Key::subject(Table::Credential, &subject).part(credential.id.as_str().as_bytes());
                self.put(&key, &credential)?;
                self.put(&owner(&subject.tenant, credential.id.as_str()), &subject)
            }
            E::CredentialRemoved { subject, id, .. } => {
                self.remove(Key::subject(Table::Credential, &subject).part(id.as_str().as_bytes()));
                self.remove(owner(&subject.tenant, id.as_str()));
                Ok(())
            }
            E::EnrollCodeIssued { code, subject, expires, by } => {
                let key = Key::new(Table::Code, &subject.tenant).part(&code.0);
                self.put(&key, &EnrollCode { subject, expires, by, spent: false })
            }
            E::EnrollCodeSpent { code, subject, .. } => {
                let key = Key::new(Table::Code, &subject.tenant).part(&code.0);
                match self.read::<EnrollCode>(&key)? {
                    Some(code) => self.put(&key, &EnrollCode { spent: true, ..code }),
                    None => Ok(()),
                }
            }
            E::CeremonySpent { ceremony, subject, credential, at } => {
                let key = Key::new(Table::Ceremony, &subject.tenant).part(ceremony.as_str().as_bytes());
                self.put(&key, &SpentCeremony { subject, credential, at })
            }
            E::GrantCreated { grant } => self.put(&Key::new(Table::Grant, &grant.subject.tenant).part(&grant.secret.0), &grant),
            E::Revoked { target, at, by, reason } => {
                self.roll_back(&target)?;
                self.put(&revoked(&target), &Revocation { target, at, by, reason })
            }
            E::Unrevoked { target, .. } => {
                self.remove(revoked(&target));
                Ok(())
            }
            E::Locked { target, until } => self.put(&locked(&target), &until),
            E::Learned { subject, event } => self.learn(&subject, |baseline| baseline.learn(&event)),
            E::PastImported { subject, events, at, .. } => {
                self.learn(&subject, |baseline| events.iter().flat_map(|event| baseline.learn_told(event, at)).collect())
            }
            E::PointerLearned { subject, session, lesson, at } => self.learn_pointer(&subject, session, &lesson, at),
            E::DeviceUpserted { tenant, device, record, .. } => {
                let key = Key::new(Table::Device, &tenant).part(device.as_str().as_bytes());
                self.put(&key, &Named { name: device, record })
            }
            E::UserUpserted { tenant, name, record, .. } => self.put(&Key::new(Table::User, &tenant).part(name.as_bytes()), &record),
            E::SessionLinked { tenant, host, cookie, subject, claims, expires } => {
                let key = Key::new(Table::Link, &tenant).part(host.as_str().as_bytes()).part(&cookie.0);
                self.put(&key, &SessionLink { subject, claims, expires })
            }
            E::Activated { tenant, activation } => {
                let key = Key::new(Table::Activation, &tenant);
                let before: Option<Activation> = self.read(&key)?;
                self.put(&key, &activation)?;
                self.policy(&tenant, |times| times.activated(&activation, before.as_ref()))
            }
            E::TrialBegun { tenant, trial } => self.policy(&tenant, |times| times.begun(trial)),
            E::TrialMoved { tenant, stage, by, at, .. } => self.policy(&tenant, |times| times.moved(stage, by, at)),
            E::TrialEnded { tenant, held, by, at, why, .. } => self.policy(&tenant, |times| times.ended(held, by, at, why)),
            E::BreakGlass { subject, expires, by, reason } => {
                self.put(&Key::subject(Table::BreakGlass, &subject), &BreakGlassRecord { expires, by, reason })
            }
            E::ClockMark { tenant, at } => {
                let key = Key::new(Table::Clock, &tenant);
                let latest = self.read(&key)?.map_or(at, |earlier| at.max(earlier));
                self.put(&key, &latest)
            }
            E::Incarnation { n, .. } => self.put(&Key::meta(b"incarnation"), &n),
        }
    }
}

fn revoked(target: &RevocationTarget) -> Key {
    match target {
        RevocationTarget::Subject(subject) => Key::subject(Table::RevokedSubject, subject),
        RevocationTarget::Session { tenant, session } => Key::new(Table::RevokedSession, tenant).part(session.as_str().as_bytes()),
        RevocationTarget::Token { tenant, token, .. } => Key::token(tenant, token),
        RevocationTarget::Device { tenant, device } => Key::new(Table::RevokedDevice, tenant).part(device.as_str().as_bytes()),
    }
}

fn locked(target: &LockTarget) -> Key {
    match target {
        LockTarget::Subject(subject) => Key::subject(Table::LockedSubject, subject),
        LockTarget::Session { tenant, session } => Key::new(Table::LockedSession, tenant).part(session.as_str().as_bytes()),
    }
}
