//! The writing end of a chain: frames into the last segment, one fsync a group, a new segment when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::mark::Mark;
use super::scan::{First, SEGMENT_HEADER, segment_header, segment_path, segments, walk};
use super::{Head, JournalError, Options, frame};

/// The only calls that a write needs; tests put a failing disk in its place.
pub(super) trait Disk: Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Disk for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// How a group failed.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// Nothing of it is left.
    TakenBack(io::ErrorKind),
    /// Nobody knows what is left.
    Unknown,
}

/// Where records go.
pub(crate) enum Appender {
    /// Into a folder of segments.
    Folder(Box<FolderAppender>),
    /// Nowhere: the chain is computed and the fold is all that remains. The twin for tests.
    Memory(Head),
}

impl Appender {
    pub(crate) fn memory() -> Self {
        Self::Memory(Head::EMPTY)
    }

    pub(crate) fn head(&self) -> Head {
        match self {
            Self::Folder(folder) => folder.head,
            Self::Memory(head) => *head,
        }
    }

    /// Writes a group durably, or nothing of it. Returns where each record ended.
    pub(crate) fn write(&mut self, payloads: &[&[u8]]) -> Result<Vec<Head>, WriteFailure> {
        match self {
            Self::Folder(folder) => folder.write(payloads),
            Self::Memory(head) => Ok(chain(head, payloads)),
        }
    }
}

fn chain(head: &mut Head, payloads: &[&[u8]]) -> Vec<Head> {
    payloads
        .iter()
        .map(|payload| {
            *head = head.next(payload);
            *head
        })
        .collect()
}

pub(crate) struct FolderAppender {
    folder: PathBuf,
    options: Options,
    first: First,
    keep: usize,
    pub(super) disk: Box<dyn Disk>,
    length: u64,
    head: Head,
    mark: Mark,
}

impl FolderAppender {
    /// Opens a chain for writing, walks over all of it, and cuts off what was never acknowledged.
    pub(crate) fn open(folder: &Path, options: Options, first: First, each: &mut dyn FnMut(Head, &[u8])) -> Result<Self, JournalError> {
        fs::create_dir_all(folder).map_err(JournalError::io(folder))?;
        let end = walk(folder, first, each)?;
        if let Some(surplus) = &end.surplus {
            fs::remove_file(&surplus.path).map_err(JournalError::io(&surplus.path))?;
        }
        let (file, length) = match &end.last {
            Some((segment, length)) => (reopen(&segment.path, *length)?, *length),
            None => (create(folder, end.head)?, SEGMENT_HEADER as u64),
        };
        sync_folder(folder).map_err(JournalError::io(folder))?;
        let (mut mark, _) = Mark::open(folder)?;
        mark.reset(end.head).map_err(JournalError::io(folder))?;
        sync_folder(folder).map_err(JournalError::io(folder))?;
        let keep = if first == First::Retained { options.decision_segments.max(1) } else { usize::MAX };
        Ok(Self { folder: folder.to_owned(), options, first, keep, disk: Box::new(file), length, head: end.head, mark })
    }

    fn write(&mut self, payloads: &[&[u8]]) -> Result<Vec<Head>, WriteFailure> {
        if self.length >= self.options.segment_bytes {
            self.rotate().map_err(|error| WriteFailure::TakenBack(error.kind()))?;
        }
        let mut head = self.head;
        let heads = chain(&mut head, payloads);
        let mut bytes = Vec::new();
        for (head, payload) in heads.iter().zip(payloads) {
            frame::encode(*head, payload, &mut bytes);
        }
        if let Err(error) = self.disk.write(&bytes) {
            return Err(self.take_back(&error));
        }
        // After a failed fsync the kernel may have dropped the pages and would report success next time: never retried.
        self.disk.sync().map_err(|_| WriteFailure::Unknown)?;
        self.mark.write(head).map_err(|_| WriteFailure::Unknown)?;
        self.length += bytes.len() as u64;
        self.head = head;
        Ok(heads)
    }

    fn take_back(&mut self, error: &io::Error) -> WriteFailure {
        match self.disk.truncate(self.length).and_then(|()| self.disk.sync()) {
            Ok(()) => WriteFailure::TakenBack(error.kind()),
            Err(_) => WriteFailure::Unknown,
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = segment_path(&self.folder, self.head.seq.saturating_add(1));
        let file = create_file(&path, self.head).inspect_err(|_| {
            // A half-made segment would stand in the way of the next attempt.
            let _ = fs::remove_file(&path);
        })?;
        sync_folder(&self.folder)?;
        self.disk = Box::new(file);
        self.length = SEGMENT_HEADER as u64;
        self.forget_oldest();
        Ok(())
    }

    /// Retention. A segment that cannot be removed now is removed at a later rotation.
    fn forget_oldest(&self) {
        if self.first == First::Origin {
            return;
        }
        let all = segments(&self.folder).unwrap_or_default();
        let surplus = all.len().saturating_sub(self.keep);
        for segment in all.into_iter().take(surplus) {
            if fs::remove_file(segment.path).is_err() {
                // INVARIANT: what is kept has no holes.
                return;
            }
        }
    }
}

fn create(folder: &Path, head: Head) -> Result<File, JournalError> {
    let path = segment_path(folder, head.seq.saturating_add(1));
    create_file(&path, head).map_err(JournalError::io(&path))
}

fn create_file(path: &Path, head: Head) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(&segment_header(head))?;
    file.sync_all()?;
    Ok(file)
}

/// Cuts a segment to its sound length. What is kept is fsynced: a killed writer may have left it in the page cache only.
fn reopen(path: &Path, length: u64) -> Result<File, JournalError> {
    let open = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.truncate(length)?;
        file.sync_all()?;
        Ok(file)
    };
    open().map_err(JournalError::io(path))
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
