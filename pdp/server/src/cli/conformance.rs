//! `conformance`: other people's cases, run against this build or a running server. Exit code 1 where a case fails that was not known to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{COULD_NOT, fail, say};
use crate::conformance::{self, Report};
use crate::files;

/// The largest file of cases.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Run a file of cases, and say which passed.
#[derive(Debug, Subcommand)]
pub(super) enum ConformanceCommand {
    /// OPA's compliance cases, one JSON a line; gzip where the name ends in `.gz`.
    Rego(Cases),
    /// AuthZEN scenarios, against a running decision point.
    Authzen(Authzen),
    /// Wycheproof's vectors of JOSE.
    Jose(Cases),
}

/// Where the cases are and how to report.
#[derive(Debug, Args)]
pub(super) struct Cases {
    /// The file of cases.
    #[arg(long)]
    cases: PathBuf,
    /// Names of cases that are known to fail, one a line: they do not change the exit code.
    #[arg(long)]
    known: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// What `conformance authzen` is told.
#[derive(Debug, Args)]
pub(super) struct Authzen {
    #[command(flatten)]
    cases: Cases,
    /// Where the decision point listens, such as `http://127.0.0.1:9180`.
    #[arg(long)]
    url: String,
    /// The bearer token of the caller.
    #[arg(long)]
    bearer: Option<String>,
}

/// Runs the command.
pub(super) fn run(command: &ConformanceCommand) -> ExitCode {
    match command {
        ConformanceCommand::Rego(cases) => report(cases, conformance::rego::run),
        ConformanceCommand::Authzen(Authzen { cases, url, bearer }) => {
            let target = conformance::authzen::Target { url, bearer: bearer.as_deref() };
            report(cases, |file, known| conformance::authzen::run(file, known, target))
        }
        ConformanceCommand::Jose(cases) => report(cases, conformance::jose::run),
    }
}

fn report(cases: &Cases, run: impl Fn(&[u8], &BTreeSet<String>) -> Result<Report, String>) -> ExitCode {
    let read = |path: &Path| files::read(path, LARGEST).map_err(|error| format!("{}: {error}", path.display()));
    let known = cases.known.as_deref().map_or_else(|| Ok(BTreeSet::new()), |path| read(path).map(|bytes| names(&bytes)));
    let reported = known.and_then(|known| run(&read(&cases.cases)?, &known));
    match reported {
        Err(error) => fail(COULD_NOT, &error),
        Ok(report) => {
            let text = if cases.json { serde_json::to_string_pretty(&report).unwrap_or_default() } else { report.to_string() };
            let said = say(&text);
            if report.is_surprising() { ExitCode::FAILURE } else { said }
        }
    }
}

fn names(bytes: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}
