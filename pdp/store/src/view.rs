//! The current state: a fold of the `state` chain over a small key-value engine, rebuilt whenever it is in doubt.

mod fold;
mod kv;
mod policy;

#[cfg(test)]
mod tests;

use std::path::Path;

use countersign_risk::pointer::PointerProfile;
use countersign_risk::{Baseline, Sharing, Thing};
use countersign_sdk_types::{CeremonyId, CredentialId, DeviceId, Digest, Host, SessionId, SubjectId, Tenant, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Activation, DeviceRecord, GrantRecord, RevocationTarget, RoleRecord, StoredCredential, TokenName};
use crate::journal::Head;
pub(crate) use fold::{claims, teaches};
use kv::{Key, Kv, MemoryKv, SledKv, Table};
pub use policy::{HeldPolicy, PolicyChange, PolicyStep, PolicyTimes};

/// Why the view cannot answer. Never an answer in disguise: the caller denies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The engine failed or panicked.
    #[error("state engine failed: {0}")]
    Engine(String),
    /// A stored value is not the one that was written.
    #[error("a stored value is damaged")]
    Damaged,
    /// A stored value is sound and still not readable.
    #[error("a stored value has an unknown form")]
    Form,
}

/// The state as of the last acknowledged record. Names of tenants are part of every question.
pub struct View {
    kv: Box<dyn Kv>,
}

/// An enrolment code that may still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollCode {
    /// Who may enrol with it.
    pub subject: SubjectId,
    /// When it stops to work.
    pub expires: Timestamp,
    /// The operator who issued it.
    pub by: String,
    spent: bool,
}

/// A finished ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentCeremony {
    /// Whose it was.
    pub subject: SubjectId,
    /// The passkey that answered it.
    pub credential: Option<CredentialId>,
    /// When.
    pub at: Timestamp,
}

/// A revocation in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What it names.
    pub target: RevocationTarget,
    /// Since when.
    pub at: Timestamp,
    /// Who revoked.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Everything that a request presents and that could be revoked.
#[derive(Debug, Clone, Copy)]
pub struct RevocationQuery<'a> {
    /// The subject; its tenant is the tenant of all.
    pub subject: &'a SubjectId,
    /// Its session.
    pub session: Option<&'a SessionId>,
    /// All names of its token.
    pub tokens: &'a [TokenName],
    /// Its device.
    pub device: Option<&'a DeviceId>,
}

/// A cookie session of a protected host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionLink {
    /// Whose it is.
    pub subject: SubjectId,
    /// What was verified when it was linked.
    pub claims: Value,
    /// When it stops to count.
    pub expires: Timestamp,
}

/// An emergency pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassRecord {
    /// Until when.
    pub expires: Timestamp,
    /// Who gave it.
    pub by: String,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Named<N, R> {
    name: N,
    record: R,
}

/// What the view was folded from, and a sum over its content that betrays a missing or foreign entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Applied {
    seq: u64,
    hash: Digest,
    content: Digest,
}

impl View {
    pub(crate) fn memory() -> Self {
        Self { kv: Box::new(MemoryKv::default()) }
    }

    /// Opens the embedded engine and checks every entry.
    pub(crate) fn open(folder: &Path) -> Result<Self, ViewError> {
        let view = Self { kv: Box::new(SledKv::open(folder)?) };
        view.scrub()?;
        Ok(view)
    }

    /// The record that was applied last.
    pub(crate) fn head(&self) -> Result<Head, ViewError> {
        Ok(self.applied()?.map_or(Head::EMPTY, |applied| Head { seq: applied.seq, hash: applied.hash }))
    }

    fn applied(&self) -> Result<Option<Applied>, ViewError> {
        self.read(&Key::meta(b"applied"))
    }

    /// Every entry is the one that was written, none is missing, none is foreign.
    fn scrub(&self) -> Result<(), ViewError> {
        let applied_key = Key::meta(b"applied");
        let mut content = [0; 32];
        let mut entries = 0;
        for (key, value) in self.kv.scan(&[])? {
            if key == applied_key.0 {
                continue;
            }
            kv::unseal(&key, &value)?;
            // A form that this version does not read is made anew, like a damaged one.
            match key.first() {
                Some(table) if *table == Table::Baseline as u8 => {
                    baseline(&key, &value)?;
                }
                Some(table) if *table == Table::Pointer as u8 => {
                    pointer(&key, &value)?;
                }
                _ => {}
            }
            fold::add(&mut content, &key, &value);
            entries += 1;
        }
        match self.applied()? {
            Some(applied) if applied.content.0 == content => Ok(()),
            None if entries == 0 => Ok(()),
            _ => Err(ViewError::Damaged),
        }
    }

    /// All entries as stored; for comparing two views.
    #[cfg(test)]
    pub(crate) fn dump(&self) -> Result<Vec<kv::Entry>, ViewError> {
        self.kv.scan(&[])
    }

    fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, ViewError> {
        self.kv.get(&key.0)?.map(|stored| decode(&key.0, &stored)).transpose()
    }

    fn list<T: DeserializeOwned>(&self, prefix: &Key) -> Result<Vec<T>, ViewError> {
        self.kv.scan(&prefix.0)?.iter().map(|(key, stored)| decode(key, stored)).collect()
    }

    /// The passkeys of a subject.
    ///
    /// # Errors
    /// When the view cannot be read; so for all questions below.
    pub fn credentials(&self, subject: &SubjectId) -> Result<Vec<StoredCredential>, ViewError> {
        self.list(&Key::subject(Table::Credential, subject))
    }

    /// Whose passkey this is.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn credential_owner(&self, tenant: &Tenant, id: &CredentialId) -> Result<Option<SubjectId>, ViewError> {
        self.read(&Key::new(Table::Owner, tenant).part(id.as_str().as_bytes()))
    }

    /// Every passkey of a tenant, with its owner.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn list_credentials(&self, tenant: &Tenant) -> Result<Vec<(SubjectId, StoredCredential)>, ViewError> {
        let owners: Vec<SubjectId> = self.list(&Key::new(Table::Owner, tenant))?;
        let owners: std::collections::BTreeSet<SubjectId> = owners.into_iter().collect();
        let mut found = Vec::new();
        for owner in owners {
            found.extend(self.credentials(&owner)?.into_iter().map(|credential| (owner.clone(), credential)));
        }
        Ok(found)
    }

    /// An enrolment code that is neither spent nor expired.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn enroll_code(&self, tenant: &Tenant, code: &Digest, now: Timestamp) -> Result<Option<EnrollCode>, ViewError> {
        let code: Option<EnrollCode> = self.read(&Key::new(Table::Code, tenant).part(&code.0))?;
        Ok(code.filter(|code| !code.spent && now < code.expires))
    }

    /// How a ceremony was finished, if it was.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn spent_ceremony(&self, tenant: &Tenant, ceremony: &CeremonyId) -> Result<Option<SpentCeremony>, ViewError> {
        self.read(&Key::new(Table::Ceremony, tenant).part(ceremony.as_str().as_bytes()))
    }

    /// The live grant whose secret has this digest.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn grant_by_secret(&self, tenant: &Tenant, secret: &Digest, now: Timestamp) -> Result<Option<GrantRecord>, ViewError> {
        let grant: Option<GrantRecord> = self.read(&Key::new(Table::Grant, tenant).part(&secret.0))?;
        Ok(grant.filter(|grant| now < grant.expires))
    }

    /// The first revocation that meets what a request presents: subject, session, token, device.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn is_revoked(&self, query: &RevocationQuery<'_>) -> Result<Option<Revocation>, ViewError> {
        let tenant = &query.subject.tenant;
        let mut keys = vec![Key::subject(Table::RevokedSubject, query.subject)];
        keys.extend(query.session.map(|session| Key::new(Table::RevokedSession, tenant).part(session.as_str().as_bytes())));
        keys.extend(query.tokens.iter().map(|token| Key::token(tenant, token)));
        keys.extend(query.device.map(|device| Key::new(Table::RevokedDevice, tenant).part(device.as_str().as_bytes())));
        for key in keys {
            if let Some(revocation) = self.read(&key)? {
                return Ok(Some(revocation));
            }
        }
        Ok(None)
    }

    /// Every revocation of a tenant.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn list_revocations(&self, tenant: &Tenant) -> Result<Vec<Revocation>, ViewError> {
        let mut all = Vec::new();
        for table in [Table::RevokedSubject, Table::RevokedSession, Table::RevokedToken, Table::RevokedDevice] {
            all.extend(self.list(&Key::new(table, tenant))?);
        }
        Ok(all)
    }

    /// Until when step-up is closed, by the later of the subject's and the session's lock.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn locked_until(&self, subject: &SubjectId, session: Option<&SessionId>, now: Timestamp) -> Result<Option<Timestamp>, ViewError> {
        let mut until: Option<Timestamp> = self.read(&Key::subject(Table::LockedSubject, subject))?;
        if let Some(session) = session {
            until = until.max(self.read(&Key::new(Table::LockedSession, &subject.tenant).part(session.as_str().as_bytes()))?);
        }
        Ok(until.filter(|until| now < *until))
    }

    /// The fold of what verified requests taught, in log order; the empty baseline for a subject without any.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn baseline(&self, subject: &SubjectId) -> Result<Baseline, ViewError> {
        let key = Key::subject(Table::Baseline, subject);
        self.kv.get(&key.0)?.map_or_else(|| Ok(Baseline::empty()), |stored| baseline(&key.0, &stored))
    }

    /// The fold of what step-ups taught of the subject's pointer; the empty profile for a subject without any.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn pointer(&self, subject: &SubjectId) -> Result<PointerProfile, ViewError> {
        let key = Key::subject(Table::Pointer, subject);
        self.kv.get(&key.0)?.map_or_else(|| Ok(PointerProfile::empty()), |stored| pointer(&key.0, &stored))
    }

    /// The pointer profiles of a tenant, of which its population is made.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn list_pointers(&self, tenant: &Tenant) -> Result<Vec<PointerProfile>, ViewError> {
        self.kv.scan(&Key::new(Table::Pointer, tenant).0)?.iter().map(|(key, stored)| pointer(key, stored)).collect()
    }

    /// What the organisation's verified events say of a network or a device.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn sharing(&self, tenant: &Tenant, thing: Thing) -> Result<Option<Sharing>, ViewError> {
        self.read(&Key::thing(tenant, thing))
    }

    /// What the inventory says about a device.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn device(&self, tenant: &Tenant, device: &DeviceId) -> Result<Option<DeviceRecord>, ViewError> {
        let found: Option<Named<DeviceId, DeviceRecord>> = self.read(&Key::new(Table::Device, tenant).part(device.as_str().as_bytes()))?;
        Ok(found.map(|named| named.record))
    }

    /// The inventory of a tenant.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn list_devices(&self, tenant: &Tenant) -> Result<Vec<(DeviceId, DeviceRecord)>, ViewError> {
        let found: Vec<Named<DeviceId, DeviceRecord>> = self.list(&Key::new(Table::Device, tenant))?;
        Ok(found.into_iter().map(|named| (named.name, named.record)).collect())
    }

    /// What the directory says about a user.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn user(&self, tenant: &Tenant, name: &str) -> Result<Option<RoleRecord>, ViewError> {
        self.read(&Key::new(Table::User, tenant).part(name.as_bytes()))
    }

    /// The live cookie session of a protected host.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn session_link(&self, tenant: &Tenant, host: &Host, cookie: &Digest, now: Timestamp) -> Result<Option<SessionLink>, ViewError> {
        let link: Option<SessionLink> = self.read(&Key::new(Table::Link, tenant).part(host.as_str().as_bytes()).part(&cookie.0))?;
        Ok(link.filter(|link| now < link.expires))
    }

    /// The active policy revision.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn activation(&self, tenant: &Tenant) -> Result<Option<Activation>, ViewError> {
        self.read(&Key::new(Table::Activation, tenant))
    }

    /// What became of policy revisions: the trial that is under way, what is held, and the latest changes.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn policy_times(&self, tenant: &Tenant) -> Result<PolicyTimes, ViewError> {
        Ok(self.read(&Key::new(Table::Policy, tenant))?.unwrap_or_default())
    }

    /// The live emergency pass of a subject.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn break_glass(&self, subject: &SubjectId, now: Timestamp) -> Result<Option<BreakGlassRecord>, ViewError> {
        let pass: Option<BreakGlassRecord> = self.read(&Key::subject(Table::BreakGlass, subject))?;
        Ok(pass.filter(|pass| now < pass.expires))
    }

    /// How often the store was opened; zero in a store that never was.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn incarnation(&self) -> Result<u64, ViewError> {
        Ok(self.read(&Key::meta(b"incarnation"))?.unwrap_or(0))
    }

    /// The latest instant that a clock mark of the tenant named.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn clock_mark(&self, tenant: &Tenant) -> Result<Option<Timestamp>, ViewError> {
        self.read(&Key::new(Table::Clock, tenant))
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

fn baseline(key: &[u8], stored: &[u8]) -> Result<Baseline, ViewError> {
    Baseline::from_bytes(kv::unseal(key, stored)?).map_err(|_| ViewError::Form)
}

fn pointer(key: &[u8], stored: &[u8]) -> Result<PointerProfile, ViewError> {
    PointerProfile::from_bytes(kv::unseal(key, stored)?).map_err(|_| ViewError::Form)
}

fn decode<T: DeserializeOwned>(key: &[u8], stored: &[u8]) -> Result<T, ViewError> {
    serde_json::from_slice(kv::unseal(key, stored)?).map_err(|_| ViewError::Form)
}
