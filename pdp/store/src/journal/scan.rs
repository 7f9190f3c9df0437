//! Reading a chain: the list of its segments, the frames of one, the walk over all.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use countersign_sdk_types::Digest;

use super::frame::{self, Bad};
use super::mark::{Acknowledged, Mark};
use super::{Head, JournalError, Verified};

/// `CSJ`, version 1, sequence number and hash that come before the first frame, CRC-32.
pub(super) const SEGMENT_HEADER: usize = 4 + 8 + 32 + 4;
const MAGIC: [u8; 4] = *b"CSJ\x01";

/// A segment file and the sequence number of its first frame, which its name says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

pub(super) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

pub(super) fn segment_header(before: Head) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&before.seq.to_le_bytes());
    bytes.extend_from_slice(&before.hash.0);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn read_header(bytes: &[u8]) -> Result<Head, Bad> {
    let (header, crc) = bytes.get(..SEGMENT_HEADER).and_then(|header| header.split_last_chunk::<4>()).ok_or(Bad::Torn)?;
    if header.iter().all(|byte| *byte == 0) {
        return Err(Bad::Torn);
    }
    let wrong = Bad::Wrong("the segment's header is wrong");
    let rest = header.strip_prefix(&MAGIC).ok_or(Bad::Wrong("the segment's format is not known"))?;
    let (seq, hash) = rest.split_first_chunk::<8>().ok_or(wrong)?;
    let hash = hash.first_chunk::<32>().ok_or(wrong)?;
    if crc32fast::hash(header) != u32::from_le_bytes(*crc) {
        return Err(wrong);
    }
    Ok(Head { seq: u64::from_le_bytes(*seq), hash: Digest(*hash) })
}

/// All segments of a chain, the oldest first.
pub(crate) fn segments(folder: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(JournalError::io(folder))? {
        let path = entry.map_err(JournalError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(first) = name.strip_suffix(".seg").and_then(|first| first.parse().ok()) {
            found.push(Segment { first, path });
        }
    }
    found.sort();
    Ok(found)
}

/// The bytes of a segment, bounded: a segment never grows past its limit by more than one group.
pub(crate) fn read_segment(segment: &Segment) -> Result<Vec<u8>, JournalError> {
    const MOST: u64 = 1024 * 1024 * 1024;
    let mut bytes = Vec::new();
    let file = fs::File::open(&segment.path).map_err(JournalError::io(&segment.path))?;
    file.take(MOST).read_to_end(&mut bytes).map_err(JournalError::io(&segment.path))?;
    Ok(bytes)
}

/// The frames of one segment, in order.
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
    head: Head,
}

impl<'a> Frames<'a> {
    /// Starts at the first frame; [`Bad`] when the header is none.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Bad> {
        Ok(Self { bytes, offset: SEGMENT_HEADER, head: read_header(bytes)? })
    }

    /// Starts at the first frame of a segment, if it has a sound header.
    pub(crate) fn lenient(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes).ok()
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn try_next(&mut self) -> Result<Option<(Head, &'a [u8])>, Bad> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (head, payload) = frame::decode(rest, self.head)?;
        self.offset += frame::HEADER + payload.len();
        self.head = head;
        Ok(Some((head, payload)))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (Head, &'a [u8]);

    /// Ends at the first frame that is not sound.
    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().ok().flatten()
    }
}

/// Where the sound part of a chain ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) head: Head,
    pub(super) records: u64,
    /// The last segment and its sound length; what lies behind was never acknowledged.
    pub(super) last: Option<(Segment, u64)>,
    /// A last segment without a sound header: never acknowledged.
    pub(super) surplus: Option<Segment>,
}

/// Walks over a whole chain and hands every record to `each`.
pub(super) fn walk(folder: &Path, first: First, each: &mut dyn FnMut(Head, &[u8])) -> Result<End, JournalError> {
    let acknowledged = Mark::read(folder)?;
    let segments = segments(folder)?;
    let mut end = End { head: Head::EMPTY, records: 0, last: None, surplus: None };
    for (at, segment) in segments.iter().enumerate() {
        let bytes = read_segment(segment)?;
        let tail = Tail { acknowledged, last: at + 1 == segments.len() };
        let damaged = |offset: usize, what| JournalError::damaged(&segment.path, offset, what);
        let mut frames = match Frames::new(&bytes) {
            Ok(frames) => frames,
            Err(bad) if at > 0 && tail.may_drop(end.head, bad) => {
                end.surplus = Some(segment.clone());
                break;
            }
            // The very first segment of a new chain, torn while it was made.
            Err(Bad::Torn) if segments.len() == 1 && segment.first == 1 && tail.nothing_acknowledged() => {
                end.surplus = Some(segment.clone());
                break;
            }
            Err(bad) => return Err(damaged(0, bad.what())),
        };
        let continues = if at == 0 { first.allows(frames.head()) } else { frames.head() == end.head };
        if !continues || frames.head().seq.saturating_add(1) != segment.first {
            return Err(damaged(0, "the segment does not continue the chain"));
        }
        end.head = frames.head();
        loop {
            match frames.try_next() {
                Ok(Some((head, payload))) => {
                    end.head = head;
                    end.records += 1;
                    each(head, payload);
                }
                Ok(None) => break,
                Err(bad) if tail.may_drop(end.head, bad) => break,
                Err(bad) => return Err(damaged(frames.offset(), bad.what())),
            }
        }
        end.last = Some((segment.clone(), frames.offset() as u64));
    }
    match acknowledged {
        Acknowledged::AtLeast(head) if head.seq > end.head.seq => {
            let at = end.last.as_ref().map_or(0, |(_, length)| *length as usize);
            let path = end.last.as_ref().map_or_else(|| folder.to_owned(), |(segment, _)| segment.path.clone());
            Err(JournalError::damaged(&path, at, "acknowledged records are missing"))
        }
        _ => Ok(end),
    }
}

/// Where a chain may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// At its first record.
    Origin,
    /// Anywhere: retention removes the oldest segments.
    Retained,
}

impl First {
    fn allows(self, head: Head) -> bool {
        self == Self::Retained || head == Head::EMPTY
    }
}

#[derive(Clone, Copy)]
struct Tail {
    acknowledged: Acknowledged,
    last: bool,
}

impl Tail {
    /// Whether what follows `head` is only a write that nobody was told about.
    fn may_drop(self, head: Head, bad: Bad) -> bool {
        self.last
            && match self.acknowledged {
                Acknowledged::AtLeast(acknowledged) => acknowledged.seq <= head.seq,
                // Without the mark only what looks like an interrupted write is taken for one.
                Acknowledged::Unknown => bad == Bad::Torn,
            }
    }

    fn nothing_acknowledged(self) -> bool {
        !matches!(self.acknowledged, Acknowledged::AtLeast(head) if head.seq > 0)
    }
}

/// Walks over a chain that may be in use, up to the record `upto`.
pub(crate) fn verify(folder: &Path, first: First, upto: u64) -> Result<Verified, JournalError> {
    let mut found = Verified { records: 0, head: Head::EMPTY };
    walk(folder, first, &mut |head, _| {
        if head.seq <= upto {
            found = Verified { records: found.records + 1, head };
        }
    })?;
    Ok(found)
}
