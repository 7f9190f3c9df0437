//! An append-only chain of checksummed, hash-linked frames in a folder of segments, written by one thread in groups.

mod appender;
mod frame;
mod mark;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use countersign_sdk_types::Digest;

pub(crate) use appender::{Appender, FolderAppender, sync_folder};
pub(crate) use scan::{First, Frames, read_segment, segments, verify};
pub(crate) use writer::{Chain, Machine, Reject, Request};
pub use writer::{Committed, Receipt};

/// What a chain may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A segment that has grown past this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// The largest payload of one record, in bytes.
    pub record_bytes: usize,
    /// Appends that may wait for the writer; one more is refused.
    pub queue: usize,
    /// Segments of the `decisions` chain that are kept. The `state` chain keeps all.
    pub decision_segments: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 8 * 1024 * 1024, record_bytes: 256 * 1024, queue: 4096, decision_segments: 64 }
    }
}

/// The end of a chain: the sequence number of its last record, and the hash that covers it and all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Zero for an empty chain.
    pub seq: u64,
    /// BLAKE3 over the previous hash, the sequence number and the payload.
    pub hash: Digest,
}

impl Head {
    pub(crate) const EMPTY: Self = Self { seq: 0, hash: Digest([0; 32]) };

    pub(crate) fn next(self, payload: &[u8]) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hash.0).update(&seq.to_le_bytes()).update(payload);
        Self { seq, hash: Digest(hasher.finalize().into()) }
    }
}

/// What a walk over a whole chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records that were read.
    pub records: u64,
    /// The end of the chain.
    pub head: Head,
}

/// Why a chain cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot use `{path}`")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A record that was acknowledged is damaged or missing.
    #[error("journal is damaged in `{segment}` at byte {offset}: {what}")]
    Damaged {
        /// The segment file.
        segment: PathBuf,
        /// Where the first bad frame begins.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl JournalError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    fn damaged(segment: &Path, offset: usize, what: &'static str) -> Self {
        Self::Damaged { segment: segment.to_owned(), offset: offset as u64, what }
    }
}

/// Why a record was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The state does not allow it. Nothing was written.
    #[error("record is refused: {0}")]
    Refused(#[from] Refusal),
    /// It cannot be written down. Nothing was written.
    #[error("record has no readable form: {0}")]
    Form(String),
    /// It is larger than the limit. Nothing was written.
    #[error("record is larger than {0} bytes")]
    TooLarge(usize),
    /// Too many appends are waiting. Nothing was written.
    #[error("too many records wait to be written")]
    Busy,
    /// The disk refused, and what had been written was taken back.
    #[error("record was not written: {0}")]
    NotWritten(std::io::ErrorKind),
    /// An earlier or this write left the disk or the view in an unknown state; the process has to restart. Whether this record is kept is unknown.
    #[error("the journal stopped after a failed write")]
    Poisoned,
}

/// Why the writer, which sees all records in log order, refuses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A code, ceremony, credential id or grant secret was used before.
    #[error("it was used before")]
    Used,
    /// A code, credential or owner that is not known.
    #[error("what it names is not known")]
    Unknown,
    /// It came too late.
    #[error("it has expired")]
    Expired,
    /// It belongs to somebody else.
    #[error("it belongs to another subject")]
    Foreign,
    /// The state is not the one that the caller expected.
    #[error("the state has changed meanwhile")]
    Changed,
}
