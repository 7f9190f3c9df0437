//! `risk evaluate-pointer`: how the pointer verifier does on recorded sessions.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::{COULD_NOT, fail, say};
use crate::evaluation::pointer;

/// What `risk evaluate-pointer` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct EvaluatePointer {
    /// Sessions by their owners, `<person>/<session>.csv`, gzip where the name ends in `.gz`. `docs/risk.md` says what a line holds.
    #[arg(long)]
    train: PathBuf,
    /// Sessions under the account that they claim, in the same form.
    #[arg(long)]
    test: PathBuf,
    /// A file of lines `user,session,is_illegal` below a header; 1 where somebody else was at the pointer. Sessions without a line do not count.
    #[arg(long)]
    labels: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(asked: &EvaluatePointer) -> ExitCode {
    // Shown on a terminal only; a pipe gets the report alone.
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = pointer::run(&asked.train, &asked.test, &asked.labels, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match report {
        Err(error) => fail(COULD_NOT, &error.to_string()),
        Ok(report) if asked.json => say(&serde_json::to_string_pretty(&report).unwrap_or_default()),
        Ok(report) => say(report.to_string().trim_end()),
    }
}
