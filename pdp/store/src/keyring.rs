//! Per-subject salts, outside the journal: destroying one makes what was keyed with it meaningless, which is the erasure.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Digest, SubjectId};
use serde::{Deserialize, Serialize};

use crate::journal::sync_folder;

/// 32 secret bytes of one subject. Not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Why there is no salt.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The operating system refused.
    #[error("cannot use the keyring `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// An entry is damaged. Going on would give its subject a second salt.
    #[error("the keyring is damaged at byte {0}")]
    Damaged(u64),
    /// An earlier write failed in a way that leaves the file unknown.
    #[error("the keyring stopped after a failed write")]
    Poisoned,
    /// There was no salt yet, and no random numbers to make one of.
    #[error("the system gives no random numbers")]
    NoEntropy,
    /// The subject's names are too long to keep.
    #[error("the subject's name is too long")]
    TooLong,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    v: u32,
    subject: SubjectId,
    salt: Digest,
}

const ENTRY: Limits = Limits { bytes: 64 * 1024, depth: 4, values: 16 };

/// All salts, in memory and in their file.
///
/// Known salts are read beside a writer that waits for its disk: every decision reads one.
pub(crate) struct Keyring {
    salts: RwLock<BTreeMap<SubjectId, [u8; 32]>>,
    state: Mutex<State>,
}

struct State {
    file: Option<Backing>,
    poisoned: bool,
}

struct Backing {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Keyring {
    pub(crate) fn memory() -> Self {
        Self { salts: RwLock::default(), state: Mutex::new(State { file: None, poisoned: false }) }
    }

    pub(crate) fn open(path: &Path) -> Result<Self, KeyringError> {
        let io = |source| KeyringError::Io { path: path.to_owned(), source };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(io)?,
        };
        let (salts, length) = read_all(&bytes)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(io)?;
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))).and_then(|_| file.sync_all()).map_err(io)?;
        sync_folder(path.parent().unwrap_or(path)).map_err(io)?;
        let backing = Backing { path: path.to_owned(), file, length };
        Ok(Self { salts: RwLock::new(salts), state: Mutex::new(State { file: Some(backing), poisoned: false }) })
    }

    pub(crate) fn salt(&self, subject: &SubjectId, fresh: impl FnOnce() -> Option<[u8; 32]>) -> Result<Salt, KeyringError> {
        if let Some(known) = self.known(subject)? {
            return Ok(known);
        }
        let mut state = self.state.lock().map_err(|_| KeyringError::Poisoned)?;
        // Another writer may have been faster.
        if let Some(known) = self.known(subject)? {
            return Ok(known);
        }
        let salt = fresh().ok_or(KeyringError::NoEntropy)?;
        state.append(&encode(subject, salt)?)?;
        self.salts.write().map_err(|_| KeyringError::Poisoned)?.insert(subject.clone(), salt);
        Ok(Salt(salt))
    }

    pub(crate) fn known(&self, subject: &SubjectId) -> Result<Option<Salt>, KeyringError> {
        Ok(self.salts.read().map_err(|_| KeyringError::Poisoned)?.get(subject).copied().map(Salt))
    }

    pub(crate) fn destroy(&self, subject: &SubjectId) -> Result<(), KeyringError> {
        let mut state = self.state.lock().map_err(|_| KeyringError::Poisoned)?;
        if self.known(subject)?.is_some() {
            let mut left = self.salts.read().map_err(|_| KeyringError::Poisoned)?.clone();
            left.remove(subject);
            state.rewrite(&left)?;
            *self.salts.write().map_err(|_| KeyringError::Poisoned)? = left;
        }
        Ok(())
    }
}

impl State {
    fn append(&mut self, entry: &[u8]) -> Result<(), KeyringError> {
        if self.poisoned {
            return Err(KeyringError::Poisoned);
        }
        let Some(backing) = &mut self.file else { return Ok(()) };
        let done = backing.file.write_all(entry).and_then(|()| backing.file.sync_data());
        // Not taken back: whether an fsync that failed kept the bytes is unknown.
        self.poisoned = done.is_err();
        done.map_err(|source| KeyringError::Io { path: backing.path.clone(), source })?;
        backing.length += entry.len() as u64;
        Ok(())
    }

    /// Writes the whole file anew, so that what was destroyed is nowhere in it.
    fn rewrite(&mut self, salts: &BTreeMap<SubjectId, [u8; 32]>) -> Result<(), KeyringError> {
        if self.poisoned {
            return Err(KeyringError::Poisoned);
        }
        let Some(backing) = &mut self.file else { return Ok(()) };
        let mut bytes = Vec::new();
        for (subject, salt) in salts {
            bytes.extend(encode(subject, *salt)?);
        }
        let replaced = replace(&backing.path, &bytes);
        self.poisoned = replaced.is_err();
        backing.file = replaced.map_err(|source| KeyringError::Io { path: backing.path.clone(), source })?;
        backing.length = bytes.len() as u64;
        Ok(())
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path.parent().unwrap_or(path))?;
    Ok(file)
}

/// Length, its complement, BLAKE3, JSON. The complement tells a damaged length from an interrupted write.
fn encode(subject: &SubjectId, salt: [u8; 32]) -> Result<Vec<u8>, KeyringError> {
    let entry = Entry { v: 1, subject: subject.clone(), salt: Digest(salt) };
    let payload = serde_json::to_vec(&entry).map_err(|_| KeyringError::TooLong)?;
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= ENTRY.bytes).ok_or(KeyringError::TooLong)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(blake3::hash(&payload).as_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// All entries, and the length up to which the file is sound. An interrupted last write is dropped: it was never acknowledged.
fn read_all(bytes: &[u8]) -> Result<(BTreeMap<SubjectId, [u8; 32]>, u64), KeyringError> {
    let mut salts = BTreeMap::new();
    let mut rest = bytes;
    loop {
        let at = (bytes.len() - rest.len()) as u64;
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok((salts, at)) };
        let Some((complement, after)) = after.split_first_chunk::<4>() else { return Ok((salts, at)) };
        let length = u32::from_le_bytes(*length);
        if rest.iter().all(|byte| *byte == 0) {
            return Ok((salts, at));
        }
        if length != !u32::from_le_bytes(*complement) {
            return Err(KeyringError::Damaged(at));
        }
        let Some((hash, after)) = after.split_first_chunk::<32>() else { return Ok((salts, at)) };
        let Some((payload, after)) = after.split_at_checked(length as usize) else { return Ok((salts, at)) };
        if blake3::hash(payload).as_bytes() != hash {
            return Err(KeyringError::Damaged(at));
        }
        let entry: Entry = strict::from_slice(payload, ENTRY).map_err(|_| KeyringError::Damaged(at))?;
        salts.insert(entry.subject, entry.salt.0);
        rest = after;
    }
}

#[cfg(test)]
mod tests;
