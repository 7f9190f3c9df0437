//! Inside the jail: `countersign jail` closes it, proves it, and only then reads the candidate. One report on standard output.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::thread;

use countersign_pdp_engine::policy::{CandidateReport, PolicySource, Problem, TestReport, check_candidate, run_tests};
use countersign_pdp_engine::rego::Library;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Kind, MAX_CANDIDATE, NOT_JAILED, NOT_READ, NOT_WRITTEN, Testing, confine, memory, refusal};
use crate::clock::Stopwatch;

/// Smaller than the server's own stacks: what fits in here has room to spare there.
const STACK: usize = 12 * 1024 * 1024;
/// The most problems that are told. A person stops to read long before.
const MAX_PROBLEMS: usize = 64;
/// The longest problem that is told, in characters.
const MAX_SENTENCE: usize = 1_000;

/// Checks the candidate of `size` bytes on standard input.
#[must_use]
pub fn run(kind: Kind, size: u64) -> ExitCode {
    let size = size.min(MAX_CANDIDATE as u64);
    let checked =
        confine::limit(kind, memory(size)).map(|()| thread::Builder::new().stack_size(STACK).spawn(move || check_one(kind, size)));
    match checked {
        Err(open) => not_jailed(&open),
        Ok(Err(_)) => ExitCode::from(NOT_JAILED),
        Ok(Ok(thread)) => thread.join().unwrap_or(ExitCode::FAILURE),
    }
}

fn check_one(kind: Kind, size: u64) -> ExitCode {
    if let Err(open) = confine::close().and_then(|()| confine::prove()) {
        return not_jailed(&open);
    }
    match kind {
        Kind::Policy => answer(size, |source: PolicySource| bounded(check_candidate(&source))),
        Kind::Library => answer(size, |source: PolicySource| bounded(library_report(&source))),
        Kind::Tests => answer(size, |asked| test(&asked)),
    }
}

fn answer<A: DeserializeOwned, R: Serialize>(size: u64, work: impl FnOnce(A) -> R) -> ExitCode {
    read(size).map_or(ExitCode::from(NOT_READ), |asked| tell(&work(asked), ExitCode::SUCCESS))
}

fn test(asked: &Testing<PolicySource>) -> TestReport {
    let watch = Stopwatch::start();
    run_tests(&asked.source, &asked.options, &|| u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// What stands against modules as a library.
pub(crate) fn library_report(source: &PolicySource) -> CandidateReport {
    let problem = |problem: &countersign_pdp_engine::rego::Problem| {
        let file = (!problem.file.is_empty()).then(|| problem.file.clone());
        let line = (problem.line > 0).then_some(problem.line as usize);
        Problem { file, line, text: format!("{}: {}", problem.code, problem.text) }
    };
    let problems = match Library::compile(&source.files, &source.data, &source.dialects) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(problem).collect(),
    };
    CandidateReport { problems, tests: Vec::new() }
}

fn not_jailed(open: &confine::Open) -> ExitCode {
    tell(&refusal(open.to_string()), ExitCode::from(NOT_JAILED))
}

/// The parent read the documents strictly and wrote this itself; reading it strictly once more would only double the memory.
fn read<A: DeserializeOwned>(size: u64) -> Option<A> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
    std::io::stdin().lock().take(size).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn bounded(mut report: CandidateReport) -> CandidateReport {
    let more = report.problems.len().saturating_sub(MAX_PROBLEMS);
    report.problems.truncate(MAX_PROBLEMS);
    for problem in &mut report.problems {
        problem.text = problem.text.chars().take(MAX_SENTENCE).collect();
    }
    if more > 0 {
        report.problems.push(Problem::new(format!("and {more} more")));
    }
    report
}

fn tell(report: &impl Serialize, code: ExitCode) -> ExitCode {
    let written = serde_json::to_vec(report).map_err(std::io::Error::from).and_then(|bytes| std::io::stdout().lock().write_all(&bytes));
    let written = written.and_then(|()| std::io::stdout().flush());
    if written.is_ok() { code } else { ExitCode::from(NOT_WRITTEN) }
}
