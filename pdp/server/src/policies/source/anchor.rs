//! Which commit of a repository was taken last, on the disk: "only forward" must not end with a restart, nor with a mirror that was thrown away.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use countersign_sdk_types::Digest;
use countersign_sdk_types::strict::{self, Limits};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::git::{CommitId, Follow, Settings};

/// The first line begins with it, and ends with the digest of all that follows.
const MAGIC: &str = "countersign policy anchor 1 ";
/// The largest file.
const LARGEST: u64 = 16 * 1024;

/// A file with the commit that was taken last.
#[derive(Debug)]
pub(super) struct Anchor {
    file: PathBuf,
    url: String,
    followed: Option<String>,
    /// What the file says, once it was read or written.
    known: Option<Option<CommitId>>,
}

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    /// The reference; nothing where the commit was named itself, so that whatever is followed next goes on from it.
    followed: Option<String>,
    commit: String,
}

impl Anchor {
    /// For one repository and what of it is followed: of another one nothing is known.
    pub(super) fn new(file: PathBuf, settings: &Settings) -> Self {
        // What was named needs no word of the file.
        let known = matches!(settings.follow, Follow::Commit(_)).then_some(None);
        Self { file, url: settings.url.clone(), followed: settings.follow.reference(), known }
    }

    /// What was taken last.
    ///
    /// # Errors
    /// When there is a file that does not say it, in words for an operator. It is read again at the next question.
    pub(super) fn last(&mut self) -> Result<Option<CommitId>, String> {
        let known = match self.known {
            Some(known) => known,
            None => self.read()?,
        };
        self.known = Some(known);
        Ok(known)
    }

    /// Writes down what is taken, durably: after a crash it is there, or what was there before.
    ///
    /// # Errors
    /// When it cannot be written. Then nothing may be taken.
    pub(super) fn set(&mut self, commit: CommitId) -> Result<(), String> {
        if self.known == Some(Some(commit)) {
            return Ok(());
        }
        self.write(commit).map_err(|error| format!("the commit that is taken cannot be written to `{}`: {error}", self.file.display()))?;
        self.known = Some(Some(commit));
        Ok(())
    }

    fn read(&self) -> Result<Option<CommitId>, String> {
        let unusable = |why: &dyn std::fmt::Display| {
            format!(
                "`{}`, which says which commit was taken last, cannot be used: {why}. Look at what the repository holds; then name its `commit`, or remove the file to begin with what is followed",
                self.file.display()
            )
        };
        let bytes = match files::read(&self.file, LARGEST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&error)),
        };
        let (written, commit) = parsed(&bytes).ok_or_else(|| unusable(&"it is damaged"))?;
        let is_ours = written.url == self.url && (written.followed.is_none() || written.followed == self.followed);
        Ok(is_ours.then_some(commit))
    }

    fn write(&self, commit: CommitId) -> Result<(), std::io::Error> {
        let written = Written { url: self.url.clone(), followed: self.followed.clone(), commit: commit.to_string() };
        let rest = serde_json::to_vec(&written)?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        next.write_all(&[format!("{MAGIC}{}\n", checksum(&rest)).as_bytes(), &rest].concat())?;
        next.as_file().sync_all()?;
        next.persist(&self.file).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    }
}

fn parsed(bytes: &[u8]) -> Option<(Written, CommitId)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (first, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    if std::str::from_utf8(first).ok()?.strip_prefix(MAGIC)? != checksum(rest).to_string() {
        return None;
    }
    let written: Written = strict::from_slice(rest, Limits::DATA).ok()?;
    let commit = CommitId::parse(&written.commit)?;
    Some((written, commit))
}

fn checksum(bytes: &[u8]) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign policy anchor 1").update(bytes).finalize().as_bytes())
}
