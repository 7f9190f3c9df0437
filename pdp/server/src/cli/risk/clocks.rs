//! `risk evaluate-clocks`: how the hour signal alone does on session starts, beside the usual ways to do without it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::{COULD_NOT, fail, say};
use crate::evaluation::clocks;

/// What `risk evaluate-clocks` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct EvaluateClocks {
    /// Session starts: CSV with the header `person,t_utc,utc_offset_minutes`, times in seconds since 1970, or gzip of that where the name ends in `.gz`.
    #[arg(long)]
    clocks: PathBuf,
    /// Where the draws begin: which events are scored and when the attackers come.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(in crate::cli) fn run(asked: &EvaluateClocks) -> ExitCode {
    match clocks::run(&asked.clocks, asked.seed) {
        Err(error) => fail(COULD_NOT, &format!("{}: {error}", asked.clocks.display())),
        Ok(report) if asked.json => say(&serde_json::to_string_pretty(&report).unwrap_or_default()),
        Ok(report) => say(&report.to_string()),
    }
}
