//! Logged decisions: a file with one record a line, plain or gzip, or the `decisions` folder of a store, also while a server writes to it.

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use countersign_pdp_engine::record::Record;
use countersign_pdp_store::JournalError;

use super::Raw;
use crate::files::Stream;

/// The longest line.
const LONGEST: usize = 1024 * 1024;

/// From so many bytes on a batch is full.
const LARGEST: usize = 2 * 1024 * 1024;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read, or is no gzip where it says so.
    #[error("the log cannot be read: {0}")]
    Io(#[source] std::io::Error),
    /// The folder cannot be read.
    #[error("the log cannot be read: {0}")]
    Folder(#[from] JournalError),
    /// A line is longer than a record.
    #[error("line {0} of the log is longer than {LONGEST} bytes")]
    TooLong(u64),
    /// A worker panicked: its share of the log is not judged.
    #[error("the evaluation panicked")]
    Panic,
}

/// A log, opened.
pub struct Log(Place);

enum Place {
    /// One record a line.
    File(Box<Stream>),
    /// The chain of a store.
    Folder(PathBuf),
}

impl Log {
    /// Opens a log.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        if path.is_dir() {
            return Ok(Self(Place::Folder(path.to_owned())));
        }
        Stream::open(path).map(|stream| Self(Place::File(Box::new(stream)))).map_err(LogError::Io)
    }

    /// How many bytes there are to read.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub fn size(path: &Path) -> Result<u64, LogError> {
        if !path.is_dir() {
            return std::fs::metadata(path).map(|file| file.len()).map_err(LogError::Io);
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(LogError::Io)?;
        Ok(entries.iter().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum())
    }

    /// Hands the records out one by one, `None` for what is no decision.
    ///
    /// # Errors
    /// When the log cannot be read to its end.
    pub(crate) fn each(
        self,
        progress: impl FnMut(u64),
        mut take: impl FnMut(Result<Option<Record>, serde_json::Error>),
    ) -> Result<(), LogError> {
        self.batches(super::BATCH, progress, |batch| {
            batch.iter().for_each(|raw| take(read(raw)));
            true
        })
    }

    /// The decision of that id; `None` where the log has none. What cannot be read is passed over.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn find(path: &Path, id: &str, progress: impl FnMut(u64)) -> Result<Option<Record>, LogError> {
        let mut found = None;
        // Only a line in which the id stands is read.
        let is_in = |raw: &[u8]| raw.windows(id.len().max(1)).any(|part| part == id.as_bytes());
        let wanted = |raw: &Raw| read(raw).ok().flatten().filter(|record| record.id.to_string() == id);
        Self::open(path)?.batches(super::BATCH, progress, |batch| {
            found = batch.iter().filter(|raw| is_in(raw)).find_map(wanted);
            found.is_none()
        })?;
        Ok(found)
    }

    /// Hands the records out in batches, until `take` wants no more.
    ///
    /// # Errors
    /// When the log cannot be read to its end.
    pub(crate) fn batches(
        self,
        size: usize,
        mut progress: impl FnMut(u64),
        mut take: impl FnMut(Vec<Raw>) -> bool,
    ) -> Result<(), LogError> {
        let mut batch = Vec::with_capacity(size);
        let (mut wants_more, mut bytes) = (true, 0);
        let mut add = |raw: Raw, read: u64| {
            bytes += raw.len();
            batch.push(raw);
            // Batches wait for whoever works: records as long as may be are handed on in few.
            if batch.len() == size || bytes >= LARGEST {
                bytes = 0;
                progress(read);
                wants_more = take(std::mem::replace(&mut batch, Vec::with_capacity(size)));
            }
            wants_more
        };
        match self.0 {
            Place::Folder(folder) => {
                let mut read = 0;
                countersign_pdp_store::log(&folder, |payload| {
                    read += payload.len() as u64;
                    add(payload.to_vec(), read)
                })?;
            }
            Place::File(mut stream) => lines(&mut stream, &mut add)?,
        }
        if wants_more && !batch.is_empty() {
            take(batch);
        }
        Ok(())
    }
}

fn lines(stream: &mut Stream, add: &mut impl FnMut(Raw, u64) -> bool) -> Result<(), LogError> {
    for number in 1.. {
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        stream.by_ref().take(most).read_until(b'\n', &mut line).map_err(LogError::Io)?;
        if line.len() > LONGEST {
            return Err(LogError::TooLong(number));
        }
        if line.is_empty() || !(line.trim_ascii().is_empty() || add(line, stream.bytes_read())) {
            break;
        }
    }
    Ok(())
}

/// Reads one record: as a line holds it, or as the chain does. `None` for what is no decision. Names of members that are repeated are refused, as everywhere,
/// where they are ours; a record is ours.
pub(super) fn read(raw: &[u8]) -> Result<Option<Record>, serde_json::Error> {
    if raw.starts_with(CHAINED) || raw.starts_with(b"{\"gap\"") {
        return countersign_pdp_store::logged(raw);
    }
    serde_json::from_slice(raw).map(Some)
}

const CHAINED: &[u8] = b"{\"decision\":{\"v\":";
