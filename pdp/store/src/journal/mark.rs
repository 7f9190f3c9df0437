//! How far a chain was acknowledged: a lower bound that tells a torn tail from a lost one.
//!
//! Written after the fsync of a group and before its callers are answered, so it never runs ahead of the durable chain.
//! It is not fsynced itself: after a power cut it may be older, never newer.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use countersign_sdk_types::Digest;

use super::{Head, JournalError};

const NAME: &str = "acknowledged";
const SLOT: usize = 8 + 32 + 4;

/// Two slots, written in turn: a torn write spoils one of them.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    second: bool,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// At least this much.
    AtLeast(Head),
    /// The mark is missing or damaged.
    Unknown,
}

impl Mark {
    pub(super) fn open(folder: &Path) -> Result<(Self, Acknowledged), JournalError> {
        let path = folder.join(NAME);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(JournalError::io(&path))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(2 * SLOT as u64).read_to_end(&mut bytes).map_err(JournalError::io(&path))?;
        let best = bytes.chunks_exact(SLOT).filter_map(read_slot).max_by_key(|head| head.seq);
        Ok((Self { file, second: false }, best.map_or(Acknowledged::Unknown, Acknowledged::AtLeast)))
    }

    pub(super) fn read(folder: &Path) -> Result<Acknowledged, JournalError> {
        Self::open(folder).map(|(_, acknowledged)| acknowledged)
    }

    /// Makes both slots say `head`, durably.
    pub(super) fn reset(&mut self, head: Head) -> std::io::Result<()> {
        self.write(head)?;
        self.write(head)?;
        self.file.sync_all()
    }

    pub(super) fn write(&mut self, head: Head) -> std::io::Result<()> {
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(&head.seq.to_le_bytes());
        slot.extend_from_slice(&head.hash.0);
        slot.extend_from_slice(&crc32fast::hash(&slot).to_le_bytes());
        self.file.seek(SeekFrom::Start(if self.second { SLOT as u64 } else { 0 }))?;
        self.second = !self.second;
        self.file.write_all(&slot)
    }
}

fn read_slot(slot: &[u8]) -> Option<Head> {
    let (body, crc) = slot.split_last_chunk::<4>()?;
    let (seq, rest) = body.split_first_chunk::<8>()?;
    let hash = rest.first_chunk::<32>()?;
    let sound = crc32fast::hash(body) == u32::from_le_bytes(*crc);
    sound.then_some(Head { seq: u64::from_le_bytes(*seq), hash: Digest(*hash) })
}
