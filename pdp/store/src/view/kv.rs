//! The little that the view asks of an engine, with two answers: sled, and a map in memory.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::RwLock;

use countersign_risk::{Keyed, SessionTag, Thing};
use countersign_sdk_types::{Asn, SubjectId, Tenant};

use super::ViewError;
use crate::event::TokenName;

/// An entry to write, or with `None` to remove.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// An ordered map of bytes. A commit is seen whole or not at all.
pub(super) trait Kv: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, ViewError>;
    fn commit(&self, changes: Vec<Change>) -> Result<(), ViewError>;
}

/// The first byte of a key. The numbers are part of the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    Meta = 0,
    Credential = 1,
    Owner = 2,
    Code = 3,
    Ceremony = 4,
    Grant = 5,
    RevokedSubject = 6,
    RevokedSession = 7,
    RevokedToken = 8,
    RevokedDevice = 9,
    LockedSubject = 10,
    LockedSession = 11,
    Baseline = 12,
    Device = 13,
    User = 14,
    Link = 15,
    Activation = 16,
    BreakGlass = 17,
    Clock = 18,
    Sharing = 19,
    Waiting = 20,
    Pointer = 21,
    Policy = 22,
}

/// Table, tenant with its length, and 32 bytes of BLAKE3 for each further part: no two names can run into each other, however long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) Vec<u8>);

impl Key {
    pub(super) fn new(table: Table, tenant: &Tenant) -> Self {
        let tenant = tenant.as_str().as_bytes();
        let mut bytes = vec![table as u8, u8::try_from(tenant.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(tenant);
        Self(bytes)
    }

    pub(super) fn meta(name: &[u8]) -> Self {
        let mut bytes = vec![Table::Meta as u8];
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    pub(super) fn subject(table: Table, subject: &SubjectId) -> Self {
        Self::new(table, &subject.tenant).part(subject.iss.as_bytes()).part(subject.sub.as_bytes())
    }

    pub(super) fn token(tenant: &Tenant, token: &TokenName) -> Self {
        let key = Self::new(Table::RevokedToken, tenant);
        match token {
            TokenName::Jti { iss, jti } => key.part(b"jti").part(iss.as_bytes()).part(jti.as_bytes()),
            TokenName::Digest(digest) => key.part(b"digest").part(&digest.0),
        }
    }

    /// What an organisation's row is about.
    pub(super) fn thing(tenant: &Tenant, thing: Thing) -> Self {
        let mut key = Self::new(Table::Sharing, tenant);
        let (kind, id) = match thing {
            Thing::Prefix(Keyed(id)) => (0, id),
            Thing::Network(Asn(id)) => (1, id),
            Thing::Device(Keyed(id)) => (2, id),
        };
        key.0.push(kind);
        key.0.extend_from_slice(&id.to_be_bytes());
        key
    }

    pub(super) fn waiting(tenant: &Tenant, session: SessionTag) -> Self {
        let mut key = Self::new(Table::Waiting, tenant);
        key.0.extend_from_slice(&session.0.to_be_bytes());
        key
    }

    pub(super) fn part(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(blake3::hash(part).as_bytes());
        self
    }
}

const SEAL: usize = 16;

/// A value with a checksum over itself and its key: the engine's pages are not believed.
pub(super) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(SEAL + value.len());
    stored.extend(checksum(key, value).into_iter().take(SEAL));
    stored.extend_from_slice(value);
    stored
}

/// The value, if it is the one that was written under this key.
pub(super) fn unseal<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], ViewError> {
    let (seal, value) = stored.split_at_checked(SEAL).ok_or(ViewError::Damaged)?;
    if checksum(key, value).starts_with(seal) { Ok(value) } else { Err(ViewError::Damaged) }
}

pub(super) fn checksum(key: &[u8], value: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    hasher.finalize().into()
}

/// The twin in memory.
#[derive(Default)]
pub(super) struct MemoryKv(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

fn poisoned<T>(_: T) -> ViewError {
    ViewError::Engine("a writer panicked".to_owned())
}

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.0.read().map_err(poisoned)?.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, ViewError> {
        let map = self.0.read().map_err(poisoned)?;
        let from = map.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(from.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), ViewError> {
        let mut map = self.0.write().map_err(poisoned)?;
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

/// sled, behind a fence: it panics on damaged pages, so every call is caught.
pub(super) struct SledKv(sled::Db);

impl SledKv {
    pub(super) fn open(folder: &Path) -> Result<Self, ViewError> {
        remove_half_snapshots(folder);
        let config = sled::Config::new().path(folder).cache_capacity(64 * 1024 * 1024).flush_every_ms(Some(1_000));
        fenced(|| config.open()).map(Self)
    }
}

/// sled takes a half-written `snap.*.generating` for its newest snapshot and then refuses to open.
/// The older snapshot is removed only after the rename, so nothing is lost.
fn remove_half_snapshots(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            // What cannot be removed makes sled refuse, and then the view is rebuilt.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn fenced<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, ViewError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ViewError::Engine(error.to_string())),
        Err(_) => Err(ViewError::Engine("it panicked".to_owned())),
    }
}

impl Kv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        fenced(|| Ok(self.0.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, ViewError> {
        fenced(|| {
            let entries = self.0.scan_prefix(prefix);
            entries.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), ViewError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        fenced(|| self.0.apply_batch(batch))
    }
}
