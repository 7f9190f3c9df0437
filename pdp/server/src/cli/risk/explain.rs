//! `risk explain`: why one event scored as it did, as a table and as a picture.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use countersign_risk::Weights;
use countersign_sdk_types::RiskScore;

use super::{progress, weights};
use crate::breakdown::Breakdown;
use crate::cli::control::{self, Door, Failure, clean};
use crate::cli::{fail, say};
use crate::{evaluation, picture};

/// What `risk explain` is told.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["decision", "corpus"]))]
pub(in crate::cli) struct Explain {
    /// A decision of a running server, by its id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["event", "weights", "threshold"])]
    decision: Option<String>,
    #[command(flatten)]
    door: Door,
    /// A corpus, as `risk evaluate` reads it.
    #[arg(long, value_name = "FILE", requires = "event", conflicts_with_all = ["socket", "config"])]
    corpus: Option<PathBuf>,
    /// The event of the corpus, by its line from 0, as `risk evaluate --scores` numbers them.
    #[arg(long, value_name = "N", requires = "corpus")]
    event: Option<usize>,
    /// Weights, as `risk evaluate` reads them.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The score from which on a proof is asked for, which decides what the events before have taught.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: u8,
    /// Write a picture to this file, which must not exist: a map, the subject's clock, and what each signal said.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub(in crate::cli) fn run(asked: &Explain) -> ExitCode {
    match explain(asked) {
        Err(failure) => fail(failure.code, &failure.text),
        Ok(breakdown) if asked.door.json => say(&serde_json::to_string_pretty(&breakdown).unwrap_or_default()),
        Ok(breakdown) => say(&clean(&breakdown.to_string())),
    }
}

fn explain(asked: &Explain) -> Result<Breakdown, Failure> {
    // First of all, so that a corpus is not read for a picture that cannot be kept.
    let create = |path: &PathBuf| File::create_new(path).map_err(|error| Failure::could_not(format!("{}: {error}", path.display())));
    let picture = asked.svg.as_ref().map(create).transpose()?;
    let explained = explained(asked, picture);
    if let (Err(_), Some(path)) = (&explained, &asked.svg) {
        // An empty picture is none; it was made by this run.
        let _ = std::fs::remove_file(path);
    }
    explained
}

fn explained(asked: &Explain, picture: Option<File>) -> Result<Breakdown, Failure> {
    let breakdown = match (&asked.decision, &asked.corpus, asked.event) {
        (Some(id), ..) => of_decision(asked, id)?,
        (None, Some(corpus), Some(event)) => of_corpus(asked, corpus, event).map_err(Failure::could_not)?,
        _ => return Err(Failure::could_not("name a decision, or a corpus and an event")),
    };
    if let Some(mut file) = picture {
        let written = file.write_all(picture::draw(&breakdown).as_bytes());
        written.map_err(|error| Failure::could_not(format!("the picture cannot be written: {error}")))?;
    }
    Ok(breakdown)
}

fn of_decision(asked: &Explain, id: &str) -> Result<Breakdown, Failure> {
    let record = control::record(&asked.door, id)?;
    Breakdown::of_record(&record).map_err(|error| Failure::could_not(clean(&error.to_string())))
}

fn of_corpus(asked: &Explain, corpus: &Path, event: usize) -> Result<Breakdown, String> {
    let weights = asked.weights.as_deref().map_or_else(|| Ok(Weights::default()), weights)?;
    let threshold = RiskScore::new(asked.threshold).map_err(|error| error.to_string())?;
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", corpus.display());
    let bar = progress(std::fs::metadata(corpus).map_err(|error| failed(&error))?.len());
    let look = evaluation::look(corpus, event, weights, threshold, |read| bar.set_position(read));
    bar.finish_and_clear();
    let look = look.map_err(|error| failed(&error))?;
    let name = corpus.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let event = format!("event {event} of {name}: {}", look.label);
    Ok(Breakdown::of(event, look.subject.clone(), &look.sighting, &look.known(), &look.assessment))
}

#[cfg(test)]
mod tests;
