//! The `decisions` chain: what was answered and why, kept for a bounded number of segments.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use countersign_sdk_types::DecisionId;
use countersign_sdk_types::strict;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{RECORD, Version};
use crate::journal::{
    AppendError, Appender, Chain, Committed, First, Frames, Head, JournalError, Machine, Options, Receipt, Reject, Request, Verified,
    read_segment, segments, verify,
};

/// What a lost record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditMode {
    /// The receipt answers after the fsync, and fails when the record is lost.
    Required,
    /// The receipt answers at once; lost records are counted, and the count is itself a record.
    BestEffort,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Entry<I = DecisionId, R = Value> {
    Decision { v: Version, id: I, record: R },
    Gap { v: Version, lost: u64 },
}

/// The handle of the chain.
pub struct Decisions {
    folder: Option<PathBuf>,
    kept: Arc<Mutex<Kept>>,
    gaps: Arc<Gaps>,
    chain: Chain<Recorder>,
    record_bytes: usize,
}

#[derive(Default)]
struct Gaps {
    unwritten: AtomicU64,
    total: AtomicU64,
}

impl Gaps {
    fn count(&self) {
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }
}

type Kept = VecDeque<(DecisionId, Value)>;

/// Decisions that the twin in memory keeps.
const KEPT: usize = 10_000;

struct Recorder {
    /// `None` when there is a folder to read from.
    kept: Option<Arc<Mutex<Kept>>>,
    gaps: Arc<Gaps>,
    reported: u64,
}

impl Machine for Recorder {
    type Item = AuditMode;

    fn claims(&self, _: &AuditMode) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn check(&self, _: &AuditMode) -> Result<(), Reject> {
        Ok(())
    }

    fn prelude(&mut self) -> Option<Vec<u8>> {
        self.reported = self.gaps.unwritten.load(Ordering::Relaxed);
        let gap: Entry = Entry::Gap { v: Version, lost: self.reported };
        (self.reported > 0).then(|| serde_json::to_vec(&gap).ok()).flatten()
    }

    fn prelude_written(&mut self) {
        self.gaps.unwritten.fetch_sub(self.reported, Ordering::Relaxed);
    }

    fn lost(&mut self, mode: &AuditMode) {
        if *mode == AuditMode::BestEffort {
            self.gaps.count();
        }
    }

    fn apply(&mut self, _: Head, payload: &[u8], _: AuditMode) -> Result<(), ()> {
        let Some(kept) = &self.kept else { return Ok(()) };
        if let Ok(Entry::Decision { id, record, .. }) = read_entry(payload) {
            let mut kept = kept.lock().map_err(drop)?;
            kept.push_back((id, record));
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        Ok(())
    }
}

fn read_entry(payload: &[u8]) -> Result<Entry, strict::StrictError> {
    strict::from_slice(payload, RECORD)
}

impl Decisions {
    pub(crate) fn start(folder: Option<&Path>, appender: Appender, options: Options) -> std::io::Result<Self> {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let gaps = Arc::new(Gaps::default());
        let recorder = Recorder { kept: folder.is_none().then(|| Arc::clone(&kept)), gaps: Arc::clone(&gaps), reported: 0 };
        let chain = Chain::start("decisions", appender, recorder, options.queue)?;
        Ok(Self { folder: folder.map(Path::to_owned), kept, gaps, chain, record_bytes: options.record_bytes })
    }

    /// Keeps a decision's record.
    pub fn append(&self, id: &DecisionId, record: &impl Serialize, mode: AuditMode) -> Receipt {
        let sent = self.payload(id, record).and_then(|payload| {
            let (request, receipt) = Request::new(payload, mode);
            self.chain.send(request).map(|()| receipt)
        });
        match (sent, mode) {
            (Ok(receipt), AuditMode::Required) => receipt,
            (Ok(_), AuditMode::BestEffort) => Receipt::ready(Ok(Committed { head: None })),
            (Err(error), AuditMode::Required) => Receipt::ready(Err(error)),
            (Err(_), AuditMode::BestEffort) => {
                self.gaps.count();
                Receipt::ready(Ok(Committed { head: None }))
            }
        }
    }

    fn payload(&self, id: &DecisionId, record: &impl Serialize) -> Result<Vec<u8>, AppendError> {
        let entry = Entry::Decision { v: Version, id, record };
        let payload = serde_json::to_vec(&entry).map_err(|error| AppendError::Form(error.to_string()))?;
        if payload.len() > self.record_bytes {
            return Err(AppendError::TooLarge(self.record_bytes));
        }
        read_entry(&payload).map_err(|error| AppendError::Form(error.to_string()))?;
        Ok(payload)
    }

    /// Best-effort records that were lost since the store was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.gaps.total.load(Ordering::Relaxed)
    }

    /// The record of a decision, if it is kept: the newest segments are searched first, at most all that retention leaves.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn find(&self, id: &DecisionId) -> Result<Option<Value>, JournalError> {
        let Some(folder) = &self.folder else {
            let kept = self.kept.lock().map(|kept| kept.iter().find(|(kept, _)| kept == id).map(|(_, record)| record.clone()));
            return Ok(kept.unwrap_or_default());
        };
        let durable = self.chain.durable();
        let wanted = quoted(id);
        for segment in segments(folder)?.iter().rev() {
            let bytes = match read_segment(segment) {
                // Retention was faster.
                Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
            let Some(frames) = Frames::lenient(&bytes) else { continue };
            let frames = frames.take_while(|(head, _)| head.seq <= durable);
            for (_, payload) in frames.filter(|(_, payload)| payload.get(..wanted.len()) == Some(wanted.as_slice())) {
                if let Ok(Entry::Decision { record, .. }) = read_entry(payload) {
                    return Ok(Some(record));
                }
            }
        }
        Ok(None)
    }

    /// Shows the kept records, of the newest segment first, until `each` has seen enough and says false.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn walk(&self, mut each: impl FnMut(Value) -> bool) -> Result<(), JournalError> {
        let Some(folder) = &self.folder else {
            let kept = self.kept.lock().map(|kept| kept.iter().rev().map(|(_, record)| record.clone()).collect::<Vec<_>>());
            let _ = kept.unwrap_or_default().into_iter().all(each);
            return Ok(());
        };
        let durable = self.chain.durable();
        for segment in segments(folder)?.iter().rev() {
            let bytes = match read_segment(segment) {
                // Retention was faster.
                Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            };
            let frames = Frames::lenient(&bytes).into_iter().flatten().take_while(|(head, _)| head.seq <= durable);
            for (_, payload) in frames {
                if let Ok(Entry::Decision { record, .. }) = read_entry(payload)
                    && !each(record)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn verify(&self) -> Result<Option<Verified>, JournalError> {
        self.folder.as_deref().map(|folder| verify(folder, First::Retained, self.chain.durable())).transpose()
    }
}

/// Shows the records of a `decisions` folder as they lie there, oldest first, until `each` has seen enough and says false: bytes that [`logged`] reads. A
/// server may be writing meanwhile; what is not whole yet is left out.
///
/// # Errors
/// When the folder or a segment cannot be read, or holds nothing of the kind.
pub fn log(folder: &Path, mut each: impl FnMut(&[u8]) -> bool) -> Result<(), JournalError> {
    for segment in segments(folder)? {
        let bytes = match read_segment(&segment) {
            // Retention was faster.
            Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let frames = Frames::lenient(&bytes).into_iter().flatten();
        if !frames.map(|(_, payload)| payload).all(&mut each) {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads what [`log`] shows into a record; `None` for what is no decision, such as a note of a gap.
///
/// # Errors
/// When it is a decision of another shape.
pub fn logged<R: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<Option<R>, serde_json::Error> {
    Ok(match serde_json::from_slice::<Entry<DecisionId, R>>(payload)? {
        Entry::Decision { record, .. } => Some(record),
        Entry::Gap { .. } => None,
    })
}

/// How the payload of this decision begins.
fn quoted(id: &DecisionId) -> Vec<u8> {
    let id = serde_json::to_string(id).unwrap_or_default();
    format!("{{\"decision\":{{\"v\":1,\"id\":{id},").into_bytes()
}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decisions")
    }
}
