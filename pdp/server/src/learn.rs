//! Past log-ins from an identity provider's log: read, judged by how they were verified, and gathered by subject. It reads files, and teaches nothing:
//! what is gathered goes to the running server through the control API.

mod formats;
mod gathered;
mod mapping;
mod records;
mod subjects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use countersign_risk::Strength;
use countersign_sdk_types::Timestamp;
use serde::Serialize;

pub use formats::Format;
pub(crate) use formats::{Kept, Read, SubjectField};
pub(crate) use gathered::{Client, MOST_OF_A_SUBJECT, PastLogin};
pub(crate) use mapping::{Mapping, Rule, Worth};
pub(crate) use subjects::Subjects;

use crate::files::Stream;
use formats::Login;
use gathered::Gathered;
use records::Records;

/// What is older teaches nothing: its weight would be a third, and most providers keep no more.
pub(crate) const MILLIS_OF_RETENTION: u64 = 180 * 86_400_000;
/// How many kinds of methods are told apart in a report.
const MOST_METHODS: usize = 64;

/// With what a log is read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// How its records look.
    pub(crate) format: Format,
    /// The issuer of records that name none.
    pub(crate) issuer: Option<String>,
    /// Which field of a record is the subject.
    pub(crate) field: SubjectField,
    /// What the log's subjects are called in tokens; without it they are called the same.
    pub(crate) subjects: Option<Subjects>,
    /// What each method is worth.
    pub(crate) mapping: Mapping,
    /// Which identifiers of the log are kept.
    pub(crate) kept: Kept,
    /// How many problems are described.
    pub(crate) problems: usize,
    /// The server's time.
    pub(crate) now: Timestamp,
}

/// Why a log cannot be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read, or is no gzip where it says so.
    #[error("the log cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no sequence of JSON objects.
    #[error("the log is not a JSON array or JSON lines: {what} at record {record}")]
    Form {
        /// What is wrong.
        what: &'static str,
        /// The record, from 1.
        record: u64,
    },
    /// More than is held in memory.
    #[error(
        "the log has more than {0} log-ins to learn from; split it by subjects, or by time, and import the oldest part first: what is older than what a subject has taught is skipped"
    )]
    TooMany(usize),
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RecordProblem {
    /// The record, from 1.
    pub(crate) record: u64,
    /// What is wrong. Nothing of the record is repeated.
    pub(crate) problem: String,
}

/// What a method was worth, and how often it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) worth: Worth,
    pub(crate) records: u64,
}

/// What was read of a log. Every record is in exactly one of the other counts.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All records.
    pub(crate) records: u64,
    /// Records of something else.
    pub(crate) not_log_ins: u64,
    /// Log-ins that failed.
    pub(crate) not_successful: u64,
    /// Log-ins by a password alone, by a session that there was, or by a method that is worth nothing.
    pub(crate) not_verified: u64,
    /// Log-ins of somebody whom the map of subjects does not name.
    pub(crate) unknown_subject: u64,
    /// Log-ins before the retention.
    pub(crate) too_old: u64,
    /// Log-ins beyond what one subject, or one address in a day, may teach.
    pub(crate) beyond_bounds: u64,
    /// Records with a problem.
    pub(crate) problems: u64,
    /// Log-ins that may teach.
    pub(crate) gathered: u64,
}

impl Counts {
    /// Whether every record is counted once.
    #[must_use]
    pub const fn add_up(&self) -> bool {
        let unused = self.not_log_ins + self.not_successful + self.not_verified + self.unknown_subject + self.too_old + self.beyond_bounds;
        self.records == unused + self.problems + self.gathered
    }
}

/// A log that was read.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) counts: Counts,
    /// The first problems.
    pub(crate) problems: Vec<RecordProblem>,
    /// The methods that were seen.
    pub(crate) methods: BTreeMap<String, Seen>,
    /// By issuer and subject, the oldest first.
    pub(crate) subjects: BTreeMap<(String, String), Vec<PastLogin>>,
}

/// Reads a log. `progress` hears how many bytes of the file are read.
///
/// # Errors
/// When the file as a whole cannot be used. A record that cannot be used is counted, and described among the first.
pub(crate) fn read(file: &Path, reading: &Reading, mut progress: impl FnMut(u64)) -> Result<Past, ReadError> {
    read_from(Stream::open(file)?, reading, |stream| progress(stream.bytes_read()))
}

/// Counts what a log in memory holds by the defaults of its format.
///
/// # Errors
/// When the log as a whole cannot be used.
pub fn count(log: &[u8], format: Format, now: Timestamp) -> Result<Counts, ReadError> {
    let issuer = Some("https://issuer.example".to_owned());
    let (field, kept, mapping) = (SubjectField::Id, Kept::WithDevices, Mapping::of(format));
    let reading = Reading { format, issuer, field, subjects: None, mapping, kept, problems: 0, now };
    read_from(log, &reading, |_| {}).map(|past| past.counts)
}

fn read_from<R: BufRead>(log: R, reading: &Reading, mut progress: impl FnMut(&R)) -> Result<Past, ReadError> {
    let mut records = Records::new(log);
    let mut reader =
        Reader { reading, counts: Counts::default(), problems: Vec::new(), methods: BTreeMap::new(), gathered: Gathered::default() };
    while let Some(record) = records.next()? {
        reader.counts.records += 1;
        match record {
            Err(problem) => reader.problem(problem.to_owned()),
            Ok(bytes) => reader.record(bytes)?,
        }
        progress(records.log());
    }
    let (subjects, beyond) = reader.gathered.finish();
    let gathered = subjects.values().map(|logins| logins.len() as u64).sum();
    let counts = Counts { beyond_bounds: beyond, gathered, ..reader.counts };
    Ok(Past { counts, problems: reader.problems, methods: reader.methods, subjects })
}

struct Reader<'a> {
    reading: &'a Reading,
    counts: Counts,
    problems: Vec<RecordProblem>,
    methods: BTreeMap<String, Seen>,
    gathered: Gathered,
}

impl Reader<'_> {
    fn problem(&mut self, problem: String) {
        self.counts.problems += 1;
        if self.problems.len() < self.reading.problems {
            self.problems.push(RecordProblem { record: self.counts.records, problem });
        }
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        match self.reading.format.read(bytes, self.reading.field, self.reading.kept) {
            Err(problem) => self.problem(problem),
            Ok(Read::Other) => self.counts.not_log_ins += 1,
            Ok(Read::Failed) => self.counts.not_successful += 1,
            Ok(Read::Login(login)) => return self.login(login),
        }
        Ok(())
    }

    fn login(&mut self, login: Login) -> Result<(), ReadError> {
        let Some(strength) = self.strength(&login.methods) else {
            self.counts.not_verified += 1;
            return Ok(());
        };
        let now = self.reading.now;
        if login.at > now {
            self.problem("it lies in the future".to_owned());
            return Ok(());
        }
        if now.since(login.at).0 > MILLIS_OF_RETENTION {
            self.counts.too_old += 1;
            return Ok(());
        }
        let Some(issuer) = login.issuer.or_else(|| self.reading.issuer.clone()) else {
            self.problem("it names no issuer; give one with `--issuer`".to_owned());
            return Ok(());
        };
        let subject = match &self.reading.subjects {
            None => login.subject,
            Some(subjects) => match subjects.named(&login.subject) {
                Some(subject) => subject.to_owned(),
                None => {
                    self.counts.unknown_subject += 1;
                    return Ok(());
                }
            },
        };
        self.gathered.put(issuer, subject, PastLogin { at: login.at, strength, client: login.client })
    }

    /// The strongest of the methods that a log-in was verified by.
    fn strength(&mut self, methods: &[String]) -> Option<Strength> {
        let mut strongest = Worth::None;
        for method in methods {
            let worth = self.reading.mapping.worth(method);
            strongest = strongest.max(worth);
            if self.methods.len() < MOST_METHODS || self.methods.contains_key(method) {
                self.methods.entry(method.clone()).or_insert(Seen { worth, records: 0 }).records += 1;
            }
        }
        strongest.strength()
    }
}
