//! The journal: torn tails, flipped bits, rotation, failing disks.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use super::appender::Disk;
use super::mark::Mark;
use super::*;

fn options() -> Options {
    Options { segment_bytes: 300, ..Options::default() }
}

fn open(folder: &Path) -> Result<(FolderAppender, Vec<Vec<u8>>), JournalError> {
    let mut payloads = Vec::new();
    let appender = FolderAppender::open(folder, options(), First::Origin, &mut |_, payload| payloads.push(payload.to_vec()))?;
    Ok((appender, payloads))
}

fn filled(folder: &Path, count: usize) -> Head {
    let (appender, _) = open(folder).unwrap();
    let mut appender = Appender::Folder(Box::new(appender));
    for n in 0..count {
        appender.write(&[format!("record {n}").as_bytes()]).unwrap();
    }
    appender.head()
}

fn last_segment(folder: &Path) -> PathBuf {
    segments(folder).unwrap().pop().unwrap().path
}

#[test]
fn records_come_back_in_order_across_segments() {
    let folder = tempfile::tempdir().unwrap();
    let head = filled(folder.path(), 30);
    assert!(segments(folder.path()).unwrap().len() > 3);
    let (_, payloads) = open(folder.path()).unwrap();
    let expected: Vec<_> = (0..30).map(|n| format!("record {n}").into_bytes()).collect();
    assert_eq!(payloads, expected);
    assert_eq!(verify(folder.path(), First::Origin, u64::MAX).unwrap(), Verified { records: 30, head });
}

#[test]
fn an_unacknowledged_tail_is_cut_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let before = filled(folder.path(), 2);
    let path = last_segment(folder.path());
    let kept = fs::metadata(&path).unwrap().len() as usize;
    filled(folder.path(), 1);
    let whole = fs::read(&path).unwrap();
    for length in kept..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        Mark::open(folder.path()).unwrap().0.reset(before).unwrap();
        let (_, payloads) = open(folder.path()).unwrap();
        assert_eq!(payloads.len(), 2, "length {length}");
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, kept);
    }
}

#[test]
fn an_acknowledged_record_that_is_cut_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 2);
    let path = last_segment(folder.path());
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(open(folder.path()), Err(JournalError::Damaged { .. })), "length {length}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(open(folder.path()), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_flipped_byte_names_its_segment_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 8);
    let all = segments(folder.path()).unwrap();
    let path = &all[1].path;
    let whole = fs::read(path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(path, &flipped).unwrap();
        let Err(JournalError::Damaged { segment, offset, .. }) = open(folder.path()).map(drop) else { panic!("byte {at}") };
        assert_eq!(&segment, path);
        assert!(offset as usize <= at);
    }
}

#[test]
fn a_half_made_segment_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let head = filled(folder.path(), 3);
    fs::write(scan::segment_path(folder.path(), head.seq + 1), b"CSJ").unwrap();
    assert_eq!(open(folder.path()).unwrap().1.len(), 3);
    assert_eq!(filled(folder.path(), 1).seq, 4);
}

/// A disk that does what a switch says: 0 works, 1 full, 2 fsync fails, 3 full and cannot be cut either.
struct Flaky {
    disk: Box<dyn Disk>,
    switch: Arc<AtomicU8>,
}

impl Disk for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.switch.load(Ordering::SeqCst) {
            1 | 3 => {
                // Half of it arrives, as on a real full disk.
                self.disk.write(&bytes[..bytes.len() / 2])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.disk.write(bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.switch.load(Ordering::SeqCst) == 2 { Err(io::Error::other("lost")) } else { self.disk.sync() }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.switch.load(Ordering::SeqCst) == 3 { Err(io::Error::other("stuck")) } else { self.disk.truncate(length) }
    }
}

struct Nothing;

impl Disk for Nothing {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Remembers what was applied.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Vec<u8>>>>);

impl Machine for Seen {
    type Item = ();

    fn claims(&self, (): &()) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn check(&self, (): &()) -> Result<(), Reject> {
        Ok(())
    }

    fn apply(&mut self, _: Head, payload: &[u8], (): ()) -> Result<(), ()> {
        self.0.lock().map_err(drop)?.push(payload.to_vec());
        Ok(())
    }
}

fn append(chain: &Chain<Seen>, text: &str) -> Result<(), AppendError> {
    let (request, receipt) = Request::new(text.as_bytes().to_vec(), ());
    chain.send(request)?;
    receipt.wait().map(drop)
}

fn flaky(folder: &Path) -> (Chain<Seen>, Arc<AtomicU8>, Seen) {
    let (mut appender, _) = FolderAppender::open(folder, Options::default(), First::Origin, &mut |_, _| {}).map(|a| (a, ())).unwrap();
    let switch = Arc::new(AtomicU8::new(0));
    let disk = std::mem::replace(&mut appender.disk, Box::new(Nothing));
    appender.disk = Box::new(Flaky { disk, switch: Arc::clone(&switch) });
    let seen = Seen::default();
    (Chain::start("test", Appender::Folder(Box::new(appender)), seen.clone(), 8).unwrap(), switch, seen)
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, switch, seen) = flaky(folder.path());
    append(&chain, "one").unwrap();
    switch.store(1, Ordering::SeqCst);
    assert_eq!(append(&chain, "two"), Err(AppendError::NotWritten(io::ErrorKind::StorageFull)));
    switch.store(0, Ordering::SeqCst);
    append(&chain, "three").unwrap();
    drop(chain);
    assert_eq!(*seen.0.lock().unwrap(), [b"one".to_vec(), b"three".to_vec()]);
    assert_eq!(open(folder.path()).unwrap().1, [b"one".to_vec(), b"three".to_vec()]);
}

#[test]
fn after_a_failed_fsync_nothing_is_accepted() {
    for failure in [2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let (chain, switch, seen) = flaky(folder.path());
        append(&chain, "one").unwrap();
        switch.store(failure, Ordering::SeqCst);
        assert_eq!(append(&chain, "two"), Err(AppendError::Poisoned));
        switch.store(0, Ordering::SeqCst);
        assert_eq!(append(&chain, "three"), Err(AppendError::Poisoned));
        drop(chain);
        assert_eq!(*seen.0.lock().unwrap(), [b"one".to_vec()]);
        assert_eq!(open(folder.path()).unwrap().1.first(), Some(&b"one".to_vec()));
    }
}
