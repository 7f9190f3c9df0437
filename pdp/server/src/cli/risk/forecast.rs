//! `risk forecast`: what weights and a threshold would ask of the subjects of a log, and which threshold keeps to a budget.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_sdk_types::RiskScore;
use indicatif::ProgressBar;

use super::super::control::clean;
use super::super::policy::diff::write;
use super::super::{COULD_NOT, fail, say};
use super::{progress, weights};
use crate::diff::{Budget, Log, LogError};
use crate::forecast::{self, Plan};

/// What `risk forecast` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Forecast {
    /// Logged decisions: the `decisions` folder of a store, or a file with one record a line (gzip where it ends in `.gz`).
    #[arg(long)]
    log: PathBuf,
    /// Other weights, to be compared with the recorded scores: the table `risk` of the configuration, alone in a TOML file.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// The score from which on a proof is asked for; the starter policy's where absent.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=100))]
    threshold: u8,
    /// How many decisions may be asked or denied, a number, or a share such as `0.5%`: the lowest threshold that keeps to it is looked for.
    #[arg(long)]
    budget: Option<Budget>,
    /// Name the subjects who are asked more often than this.
    #[arg(long, default_value_t = 5)]
    asked_more_than: u32,
    /// Write the forecast to this file, as a page.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Print the forecast as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command: 0 when it is done, 1 when no threshold keeps to the budget, 2 when there is no forecast.
pub(super) fn run(asked: &Forecast) -> ExitCode {
    let forecast = match look(asked) {
        Ok(forecast) => forecast,
        Err(error) => return fail(COULD_NOT, &clean(&error)),
    };
    if let Some(path) = &asked.html {
        let written = forecast::page(&forecast)
            .and_then(|page| write(path, &page).map_err(|error| format!("cannot write `{}`: {error}", path.display())));
        if let Err(error) = written {
            return fail(COULD_NOT, &clean(&error));
        }
    }
    let _ = say(&if asked.json { serde_json::to_string_pretty(&forecast).unwrap_or_default() } else { clean(&forecast.in_words()) });
    let is_found = forecast.found.is_none_or(|found| found.threshold.is_some());
    if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look(asked: &Forecast) -> Result<forecast::Forecast, String> {
    let weights = asked.weights.as_deref().map(weights).transpose()?;
    let threshold = RiskScore::new(asked.threshold).map_err(|error| error.to_string())?;
    let plan = Plan { weights: weights.as_ref(), threshold, budget: asked.budget, asked_more_than: asked.asked_more_than };
    let in_words = |error: LogError| format!("{}: {error}", asked.log.display());
    let bar: ProgressBar = progress(Log::size(&asked.log).map_err(in_words)?);
    let forecast = forecast::run(&asked.log, &plan, |read| bar.set_position(read)).map_err(in_words)?;
    bar.finish_and_clear();
    if forecast.decisions == 0 {
        return Err(format!("{}: there is no decision in the log on whose score something depended", asked.log.display()));
    }
    Ok(forecast)
}
