//! Checks a candidate policy in a child process that can compute and nothing else.
//!
//! Some policies loop in the parser, abort the process or fill the memory whatever a timer says. The child is this very binary (`countersign
//! jail`); it limits itself before it reads a byte of the candidate (see [`confine`](self) in `jail/confine.rs`), and however it ends, the answer
//! is a report: what is not a clean acceptance is a refusal.

mod child;
mod confine;

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use countersign_pdp_engine::policy::{CandidateReport, PolicySource, Problem, TestOptions, TestReport};
use countersign_sdk_types::strict::{self, Limits};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use child::library_report;
pub use child::run;

use crate::clock::Stopwatch;

/// The processor time of a check. A test may take 1 s and real tests take milliseconds: thousands of them fit, ten that run away do not.
const CPU: Duration = Duration::from_secs(10);
/// The longest that anybody waits for a check, also where the machine has no time for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The address space of a check, the binary itself included. The starter policy takes a fifth of it.
const MEMORY: u64 = 512 * 1024 * 1024;
/// What each byte of the candidate adds to that: data documents are held several times over while they are parsed, compiled and tested.
const MEMORY_PER_BYTE: u64 = 40;
/// The largest candidate on the way in, as JSON.
const MAX_CANDIDATE: usize = 128 * 1024 * 1024;
/// The largest report on the way out. Tests are told one by one, with what they print and which lines they reached.
const MAX_REPORT: Limits = Limits { bytes: 8 * 1024 * 1024, depth: 16, values: 1_000_000 };
/// How often the parent looks whether the child has ended.
const GLANCE: Duration = Duration::from_millis(5);
/// This binary as it runs, also when the file that it came from was replaced.
const SELF: &str = "/proc/self/exe";

const NOT_JAILED: u8 = 70;
const NOT_READ: u8 = 65;
const NOT_WRITTEN: u8 = 74;

/// How a check can end without a report of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// There was no process to be had.
    #[error("the check could not be started: {0}")]
    NotStarted(String),
    /// It does not fit.
    #[error("the policy is larger than {} MiB", MAX_CANDIDATE >> 20)]
    TooLarge,
    /// The walls are not up, so nothing was read.
    #[error("the check did not begin, since its jail is open: {0}")]
    NotJailed(String),
    /// The processor time is used up.
    #[error("the check was ended after {} s of CPU time", CPU.as_secs())]
    Cpu,
    /// Nobody waits any longer.
    #[error("the check was ended after {} s", PATIENCE.as_secs())]
    Late,
    /// The server stops.
    #[error("the check was given up, since the server stops")]
    GivenUp,
    /// Out of memory, or out of stack.
    #[error("the check aborted: it needs more than {} MiB of memory, or recurses too deeply", .0 >> 20)]
    Aborted(u64),
    /// Any other signal.
    #[error("the check was ended by signal {0}")]
    Signal(i32),
    /// An exit code that is not an acceptance.
    #[error("the check failed with code {0}")]
    Failed(i32),
    /// It said too much.
    #[error("the report of the check is larger than {} KiB", MAX_REPORT.bytes >> 10)]
    TooMuch,
    /// It said what no check says.
    #[error("the report of the check cannot be read")]
    Garbage,
}

impl Ended {
    /// Whether the machine and not the policy is to blame, so that the same policy is worth another try.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::NotStarted(_) | Self::NotJailed(_) | Self::Late | Self::GivenUp)
    }
}

/// What a candidate is, and so what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A policy under contract: static rules, its own tests, a smoke evaluation.
    Policy,
    /// Modules with OPA's semantics: that they can be scanned, parsed and compiled.
    Library,
    /// The tests of a policy, told one by one to its author.
    Tests,
}

impl Kind {
    /// The argument by which the child is told.
    const fn argument(self) -> Option<&'static str> {
        match self {
            Self::Policy => None,
            Self::Library => Some("--library"),
            Self::Tests => Some("--tests"),
        }
    }
}

/// What is handed in for [`Kind::Tests`].
#[derive(Debug, Serialize, Deserialize)]
struct Testing<S> {
    source: S,
    options: TestOptions,
}

/// Checks a candidate in the jail. Blocks for up to half a minute. Only the binary `countersign` can do this: it runs itself.
#[must_use]
pub fn check(source: &PolicySource) -> CandidateReport {
    check_until(source, &AtomicBool::new(false)).unwrap_or_else(|ended| refusal(ended.to_string()))
}

/// As [`check`], until somebody sets `given_up`.
///
/// # Errors
/// Where the check gave no report, how it ended.
pub fn check_until(source: &PolicySource, given_up: &AtomicBool) -> Result<CandidateReport, Ended> {
    ask(Kind::Policy, source, given_up)
}

/// Checks in the jail whether modules and data can be a library.
///
/// # Errors
/// Where the check gave no report, how it ended.
pub fn check_library(source: &PolicySource) -> Result<CandidateReport, Ended> {
    ask(Kind::Library, source, &AtomicBool::new(false))
}

/// Runs the tests of a policy in the jail, as they are run before activation.
///
/// # Errors
/// Where there is no report, how it ended.
pub fn test(source: &PolicySource, options: &TestOptions) -> Result<TestReport, Ended> {
    ask(Kind::Tests, &Testing { source, options: options.clone() }, &AtomicBool::new(false))
}

fn ask<T: DeserializeOwned>(kind: Kind, about: &impl Serialize, given_up: &AtomicBool) -> Result<T, Ended> {
    let candidate = serde_json::to_vec(about).map_err(|_| Ended::Garbage)?;
    if candidate.len() > MAX_CANDIDATE {
        return Err(Ended::TooLarge);
    }
    let size = candidate.len() as u64;
    let mut prisoner = Prisoner::start(kind, size)?;
    let (status, said) = prisoner.question(candidate, given_up)?;
    judge(status, &said, memory(size))
}

const fn memory(size: u64) -> u64 {
    MEMORY.saturating_add(size.saturating_mul(MEMORY_PER_BYTE))
}

fn refusal(text: String) -> CandidateReport {
    CandidateReport { problems: vec![Problem::new(text)], tests: Vec::new() }
}

/// The child. It does not outlive this value.
struct Prisoner(Child);

impl Prisoner {
    fn start(kind: Kind, size: u64) -> Result<Self, Ended> {
        let mut command = Command::new(SELF);
        command
            .arg("jail")
            .arg(size.to_string())
            .args(kind.argument())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn().map(Self).map_err(|error| Ended::NotStarted(error.to_string()))
    }

    /// Hands in the candidate and waits for the end, of the child or of the patience.
    fn question(&mut self, candidate: Vec<u8>, given_up: &AtomicBool) -> Result<(ExitStatus, Vec<u8>), Ended> {
        let (Some(mut stdin), Some(stdout)) = (self.0.stdin.take(), self.0.stdout.take()) else {
            return Err(Ended::NotStarted("it has no streams".to_owned()));
        };
        let not_started = |error: std::io::Error| Ended::NotStarted(error.to_string());
        // A child that ends early closes its side: what could not be written says nothing that its status does not.
        let writer = thread::Builder::new().spawn(move || drop(stdin.write_all(&candidate))).map_err(not_started)?;
        let read = move || {
            let mut said = Vec::new();
            stdout.take(MAX_REPORT.bytes as u64 + 1).read_to_end(&mut said).map(|_| said)
        };
        let reader = thread::Builder::new().spawn(read).map_err(not_started)?;
        let ended = self.wait(given_up);
        self.end();
        let _ = writer.join();
        let said = reader.join().ok().and_then(Result::ok).ok_or(Ended::Garbage)?;
        Ok((ended?, said))
    }

    fn wait(&mut self, given_up: &AtomicBool) -> Result<ExitStatus, Ended> {
        let watch = Stopwatch::start();
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if given_up.load(Ordering::SeqCst) => return Err(Ended::GivenUp),
                Ok(None) if watch.elapsed() > PATIENCE => return Err(Ended::Late),
                Ok(None) => thread::sleep(GLANCE),
                Err(error) => return Err(Ended::NotStarted(error.to_string())),
            }
        }
    }

    /// Ends this child, by its own id, and takes its status away. Nothing happens to one that has ended.
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Prisoner {
    fn drop(&mut self) {
        self.end();
    }
}

fn judge<T: DeserializeOwned>(status: ExitStatus, said: &[u8], memory: u64) -> Result<T, Ended> {
    if said.len() > MAX_REPORT.bytes {
        return Err(Ended::TooMuch);
    }
    match (status.signal(), status.code()) {
        (None, Some(0)) => strict::from_slice(said, MAX_REPORT).map_err(|_| Ended::Garbage),
        (None, Some(code)) if code == i32::from(NOT_JAILED) => {
            let why = strict::from_slice::<CandidateReport>(said, MAX_REPORT).ok().and_then(|report| report.problems.into_iter().next());
            Err(Ended::NotJailed(why.map_or_else(|| "it does not say why".to_owned(), |problem| problem.text)))
        }
        (None, code) => Err(Ended::Failed(code.unwrap_or(-1))),
        (Some(signal), _) if signal == Signal::XCPU.as_raw() => Err(Ended::Cpu),
        (Some(signal), _) if signal == Signal::ABORT.as_raw() => Err(Ended::Aborted(memory)),
        (Some(signal), _) => Err(Ended::Signal(signal)),
    }
}

#[cfg(test)]
mod tests;
