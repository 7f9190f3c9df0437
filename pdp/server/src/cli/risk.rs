//! `risk evaluate`: how the risk engine does on a labelled corpus.

mod clocks;
mod explain;
mod forecast;
mod pointer;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_risk::Weights;
use countersign_sdk_types::{RiskScore, Signal};
use indicatif::{ProgressBar, ProgressStyle};

use super::{COULD_NOT, fail, say};
use crate::evaluation::{self, CorpusError, Report};
use crate::files;

/// The largest file of weights.
const LARGEST: u64 = 1024 * 1024;

/// Measure the risk engine.
#[derive(Debug, Subcommand)]
pub(super) enum RiskCommand {
    /// Score a labelled corpus in time order, learning as it goes, and say who was stopped at which price.
    Evaluate(Evaluate),
    /// Score session starts by the hour alone, and say how many attackers that stops, beside other ways to do it.
    EvaluateClocks(clocks::EvaluateClocks),
    /// Show why one event scored as it did: a decision of a running server, or an event of a corpus. As a table, and as a picture.
    Explain(explain::Explain),
    /// Say what risk alone would ask of the subjects of a log, and which threshold keeps to a budget. Exit code 1 when none does.
    Forecast(forecast::Forecast),
    /// Train the pointer verifier on people's own sessions, and say how well it parts them from others.
    EvaluatePointer(pointer::EvaluatePointer),
}

/// What `risk evaluate` is told.
#[derive(Debug, Args)]
pub(super) struct Evaluate {
    /// The corpus: one event a line, JSON, or gzip of that where the name ends in `.gz`. `docs/risk.md` says what an event holds.
    #[arg(long)]
    corpus: PathBuf,
    /// Weights, as the table `risk` of the configuration has them, alone in a TOML file; the defaults where absent.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// The score from which on a proof is asked for; the starter policy's where absent.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: u8,
    /// Write every event's score and reasons to this file, one JSON object a line.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Do not run the corpus again without each signal, which shows what each is worth.
    #[arg(long)]
    no_ablation: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(command: &RiskCommand) -> ExitCode {
    let asked = match command {
        RiskCommand::Evaluate(asked) => asked,
        RiskCommand::EvaluateClocks(asked) => return clocks::run(asked),
        RiskCommand::Explain(asked) => return explain::run(asked),
        RiskCommand::Forecast(asked) => return forecast::run(asked),
        RiskCommand::EvaluatePointer(asked) => return pointer::run(asked),
    };
    match evaluate(asked) {
        Err(error) => fail(COULD_NOT, &error),
        Ok(report) if asked.json => say(&serde_json::to_string_pretty(&report).unwrap_or_default()),
        Ok(report) => say(&report.to_string()),
    }
}

fn evaluate(asked: &Evaluate) -> Result<Report, String> {
    let weights = asked.weights.as_deref().map_or_else(|| Ok(Weights::default()), weights)?;
    let threshold = RiskScore::new(asked.threshold).map_err(|error| error.to_string())?;
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let size = std::fs::metadata(&asked.corpus).map_err(|error| failed(&asked.corpus, &error))?.len();
    let create = |path: &PathBuf| File::create_new(path).map(BufWriter::new).map_err(|error| failed(path, &error));
    let mut scores = asked.scores.as_ref().map(create).transpose()?;
    let ablated: &[Signal] = if asked.no_ablation { &[] } else { &evaluation::ABLATED };
    let runs = u64::try_from(ablated.len()).unwrap_or(0) + 1;
    let bar = progress(size.saturating_mul(runs));
    let report = evaluation::run(&asked.corpus, weights.clone(), threshold, |scored, read| {
        bar.set_position(read);
        let Some(file) = &mut scores else { return Ok(()) };
        serde_json::to_writer(&mut *file, scored).map_err(std::io::Error::from)?;
        Ok(file.write_all(b"\n")?)
    });
    if let (Err(_), Some(path)) = (&report, &asked.scores) {
        // Half a file of scores is none; it was made by this run.
        let _ = std::fs::remove_file(path);
    }
    let mut report = report.map_err(|error: CorpusError| failed(&asked.corpus, &error))?;
    for (run, signal) in (1..).zip(ablated) {
        let advance = |read: u64| bar.set_position(size.saturating_mul(run).saturating_add(read));
        let ablation = evaluation::without(*signal, &asked.corpus, &weights, threshold, advance);
        report.ablations.push(ablation.map_err(|error: CorpusError| failed(&asked.corpus, &error))?);
    }
    bar.finish_and_clear();
    if let (Some(file), Some(path)) = (&mut scores, &asked.scores) {
        file.flush().map_err(|error| failed(path, &error))?;
    }
    Ok(report)
}

/// Reads weights, as the table `risk` of the configuration has them, alone in a file.
pub(super) fn weights(path: &Path) -> Result<Weights, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = files::read(path, LARGEST).map_err(|error| failed(&error))?;
    let weights: Weights = toml::from_slice(&bytes).map_err(|error| failed(&error))?;
    weights.validate().map_err(|error| failed(&error))?;
    Ok(weights)
}

/// Shown on a terminal only; a pipe gets the report alone.
pub(super) fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {total_bytes}, {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
