//! The content of the last activated revisions on the disk, so that neither a start nor a way back needs the source that they come from. What is read
//! back is believed only where it is exactly what its digest names, and is then checked in the jail like any candidate.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;
use countersign_sdk_types::strict::{self, Limits};
use serde::{Deserialize, Serialize};

use super::{Files, LARGEST, source};
use crate::files;

/// How many revisions are kept; the ones that were active last.
const MOST: usize = 16;
/// The first line of a file begins with it, and ends with the digest of all that follows.
const MAGIC: &str = "countersign kept policy 1 ";
/// The most bytes of what stands before the content.
const LARGEST_HEADER: u64 = 4 * 1024 * 1024;
const ENDING: &str = ".policy";

/// A folder with one file for each revision.
#[derive(Debug, Clone)]
pub struct Kept {
    folder: PathBuf,
    package: String,
}

/// What is kept of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPolicy {
    /// Its files.
    pub files: Files,
    /// Where they came from.
    pub origin: Origin,
}

#[derive(Serialize, Deserialize)]
struct Header {
    origin: Origin,
    /// Path and length of each file, in the order of their bytes.
    files: Vec<(String, u64)>,
}

impl Kept {
    /// In the data folder, for the package that is asked: it is part of what a digest names. Nothing is written before there is something to keep.
    #[must_use]
    pub fn under(store: &Path, package: &str) -> Self {
        Self { folder: store.join("policies"), package: package.to_owned() }
    }

    /// Keeps a revision, durably: after a crash it is there, or as if this had not been called. What was kept of it before gives way, and so does what was
    /// active longest ago.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, digest: &Digest, files: &Files, origin: &Origin) -> Result<(), Error> {
        fs::create_dir_all(&self.folder)?;
        let entries = self.entries()?;
        let turn = entries.first().map_or(0, |newest| newest.turn.saturating_add(1));
        let mut next = tempfile::NamedTempFile::new_in(&self.folder)?;
        next.write_all(&written(files, origin)?)?;
        next.as_file().sync_all()?;
        next.persist(self.folder.join(format!("{turn:016x}-{digest}{ENDING}"))).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()?;
        // By now the revision is kept, and what is left over is only too much.
        let (same, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.digest == *digest);
        for entry in same.iter().chain(others.iter().skip(MOST - 1)) {
            let _ = fs::remove_file(&entry.path);
        }
        Ok(())
    }

    /// What is kept of a revision.
    ///
    /// # Errors
    /// When there is nothing, or it is not what the digest names; in words for an operator.
    pub fn read(&self, digest: &Digest) -> Result<KeptPolicy, String> {
        let entries = self.entries().map_err(|error| format!("kept policies cannot be read: {error}"))?;
        let entry = entries.into_iter().find(|entry| entry.digest == *digest);
        let entry = entry.ok_or_else(|| format!("nothing is kept of the policy with the digest {digest}"))?;
        let damaged = |why: &dyn std::fmt::Display| format!("what is kept of the policy with the digest {digest} cannot be used: {why}");
        let bytes = files::read(&entry.path, LARGEST + LARGEST_HEADER).map_err(|error| damaged(&error))?;
        let kept = parsed(&bytes).ok_or_else(|| damaged(&"it is damaged"))?;
        let found = source(&self.package, kept.files.clone()).map_err(|error| damaged(&error))?.digest();
        if found == *digest { Ok(kept) } else { Err(damaged(&"it is another policy, or was asked for another package")) }
    }

    /// What is kept, the latest first.
    #[must_use]
    pub fn list(&self) -> Vec<Digest> {
        self.entries().unwrap_or_default().into_iter().map(|entry| entry.digest).collect()
    }

    /// The files in the folder, the latest first.
    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let listed = match fs::read_dir(&self.folder) {
            Ok(listed) => listed.collect::<Result<Vec<_>, _>>()?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut entries: Vec<_> = listed.iter().filter_map(|listed| Entry::of(listed.path())).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.turn));
        Ok(entries)
    }
}

/// One file: the name says which revision it is, and in which turn it was kept.
struct Entry {
    path: PathBuf,
    turn: u64,
    digest: Digest,
}

impl Entry {
    fn of(path: PathBuf) -> Option<Self> {
        let (turn, digest) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once('-')?;
        let (turn, digest) = (u64::from_str_radix(turn, 16).ok()?, Digest::try_from(digest.to_owned()).ok()?);
        Some(Self { path, turn, digest })
    }
}

fn written(files: &Files, origin: &Origin) -> Result<Vec<u8>, Error> {
    let header = Header { origin: origin.clone(), files: files.iter().map(|(path, bytes)| (path.clone(), bytes.len() as u64)).collect() };
    let mut rest = serde_json::to_vec(&header)?;
    rest.push(b'\n');
    rest.extend(files.iter().flat_map(|(_, bytes)| bytes));
    let mut whole = format!("{MAGIC}{}\n", checksum(&rest)).into_bytes();
    whole.append(&mut rest);
    Ok(whole)
}

fn parsed(bytes: &[u8]) -> Option<KeptPolicy> {
    let (first, rest) = line(bytes)?;
    let claimed = std::str::from_utf8(first).ok()?.strip_prefix(MAGIC)?;
    if claimed != checksum(rest).to_string() {
        return None;
    }
    let (header, mut content) = line(rest)?;
    let header: Header = strict::from_slice(header, Limits::DATA).ok()?;
    let mut files = Files::with_capacity(header.files.len());
    for (path, length) in header.files {
        let (bytes, after) = content.split_at_checked(usize::try_from(length).ok()?)?;
        files.push((path, bytes.to_vec()));
        content = after;
    }
    content.is_empty().then_some(KeptPolicy { files, origin: header.origin })
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn checksum(bytes: &[u8]) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign kept policy 1").update(bytes).finalize().as_bytes())
}

#[cfg(test)]
mod tests;
