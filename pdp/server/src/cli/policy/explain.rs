//! `policy explain`: why a policy answers as it does, and the smallest change that it would allow.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::policy::DEFAULT_PACKAGE;
use countersign_pdp_engine::policy::held::Held;
use countersign_pdp_engine::policy::nearest::{MOST_TRIES, Nearest, Step, nearest};
use countersign_pdp_engine::policy::outcome::Outcome;
use countersign_pdp_engine::record::{Explanation, Reconsidered, explain, input, reconsider};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::contract::Input;
use countersign_sdk_types::{Acr, Effect};
use serde::Serialize;

use super::super::control::clean;
use super::super::risk::progress;
use super::super::{COULD_NOT, fail, say};
use crate::diff::{Log, PATIENCE};
use crate::policies;

/// What `policy explain` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// The folder of the policy. It passes the same checks as before activation.
    folder: PathBuf,
    /// The input document, such as `policies/schema/input.golden.json`; `-` is standard input.
    #[arg(long, required_unless_present = "log", conflicts_with = "log")]
    input: Option<PathBuf>,
    /// Logged decisions: the `decisions` folder of a store, or a file with one record a line (gzip where it ends in `.gz`).
    #[arg(long, requires = "id")]
    log: Option<PathBuf>,
    /// The logged decision that is asked about.
    #[arg(long, requires = "log")]
    id: Option<String>,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

/// All that is said.
#[derive(Debug, Serialize)]
struct Explained {
    /// The answer; of an input by itself, for a subject who has every passkey.
    effect: Effect,
    /// Why, in the words of the policy.
    reasons: Vec<String>,
    /// Why there is no verdict.
    failed: Option<String>,
    /// The policy's no ends the matter.
    is_final: bool,
    /// The least burdensome proof that makes it an allow.
    proof: Option<Acr>,
    /// What helps, or why nothing does.
    remedy: String,
    /// The smallest changes that are allowed; `None` for an allow.
    nearest: Option<Nearest>,
    /// Every rule.
    rules: Vec<Held>,
    /// The decision as it was made, where it comes from a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Explanation>,
}

/// Runs the command: 0 for an allow, 1 for a deny or a step-up, 2 where nothing can be explained.
pub(in crate::cli) fn run(asked: &Explain) -> ExitCode {
    match explained(asked) {
        Err(error) => fail(COULD_NOT, &clean(&error)),
        Ok(explained) => {
            let _ = say(&if asked.json { serde_json::to_string_pretty(&explained).unwrap_or_default() } else { clean(&words(&explained)) });
            if explained.effect == Effect::Allow { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn explained(asked: &Explain) -> Result<Explained, String> {
    let snapshot = Snapshot { budget: PATIENCE, ..policies::load(&asked.folder, &asked.package)? };
    let (input, recorded) = match (&asked.input, &asked.log, &asked.id) {
        (Some(from), _, _) => (super::input(from)?, None),
        (None, Some(log), Some(id)) => {
            let bar = progress(Log::size(log).map_err(|error| format!("{}: {error}", log.display()))?);
            let found = Log::find(log, id, |read| bar.set_position(read)).map_err(|error| format!("{}: {error}", log.display()))?;
            bar.finish_and_clear();
            let record = found.ok_or_else(|| format!("{}: there is no decision `{id}` in the log", log.display()))?;
            let none = || format!("decision `{id}` failed before any policy was asked: {}", explain(&record));
            let input = input(&record, &snapshot).ok_or_else(none)?;
            let again = policies::deep(|| reconsider(&record, &snapshot))?.ok_or_else(none)?;
            (input, Some((explain(&record), again)))
        }
        (None, _, _) => return Err("name an input, or a log and the id of a decision in it".to_owned()),
    };
    policies::deep(|| look(&snapshot, &input, recorded))?
}

fn look(snapshot: &Snapshot, input: &Input, recorded: Option<(Explanation, Reconsidered)>) -> Result<Explained, String> {
    let policy = &snapshot.policy;
    let outcome = Outcome::of(policy, input, PATIENCE);
    let (effect, proof, remedy) = match &recorded {
        // The facts are known: the remedy is the one that a decision would have found.
        Some((_, again)) => of_summary(&again.summary),
        None => (outcome.effect, outcome.proof.clone(), in_words(&outcome)),
    };
    let nearest = (effect != Effect::Allow).then(|| nearest(policy, input, PATIENCE));
    let rules = policy.held(input, PATIENCE).map_err(|error| error.to_string())?;
    let failed = outcome.verdict.as_ref().err().map(ToString::to_string);
    let (reasons, is_final) = outcome.verdict.map(|verdict| (verdict.reasons, verdict.is_final)).unwrap_or_default();
    Ok(Explained { effect, reasons, failed, is_final, proof, remedy, nearest, rules, recorded: recorded.map(|(recorded, _)| recorded) })
}

fn of_summary(summary: &Summary) -> (Effect, Option<Acr>, String) {
    match summary {
        Summary::Allow(_) => (Effect::Allow, None, "nothing is missing".to_owned()),
        Summary::StepUp(demand) => {
            let remedy = format!("a step-up to `{}`, at most {} seconds old", demand.acr, demand.max_age.0);
            (Effect::StepUp, Some(demand.acr.clone()), remedy)
        }
        Summary::Deny(denial) => (Effect::Deny, None, denial.detail().to_owned()),
    }
}

fn in_words(outcome: &Outcome) -> String {
    match (&outcome.verdict, &outcome.proof) {
        (_, Some(acr)) => format!("a step-up to `{acr}`, where what speaks against the subject is what a passkey answers"),
        (Ok(_), None) if outcome.effect == Effect::Allow => "nothing is missing".to_owned(),
        (Ok(verdict), None) if verdict.is_final => "the policy's no is final: no proof is asked for".to_owned(),
        (Ok(_), None) => "no proof changes the policy's no".to_owned(),
        (Err(_), None) => "an error is a deny, and no proof is asked for".to_owned(),
    }
}

fn words(explained: &Explained) -> String {
    let mut text = explained.effect.as_str().to_owned();
    text.extend(explained.reasons.iter().chain(&explained.failed).map(|reason| format!("\n  because {reason}")));
    let _ = write!(text, "\n  what helps: {}", explained.remedy);
    if let Some(recorded) = &explained.recorded {
        let _ = write!(text, "\n\nas it was decided\n{recorded}");
    }
    if let Some(nearest) = &explained.nearest {
        let _ = write!(text, "\n\nsmallest change that is allowed");
        text.extend(nearest.found.iter().map(|steps| format!("\n  {}", change(steps))));
        if nearest.found.is_empty() {
            let bound = if nearest.is_exhaustive { "of one, two or three values" } else { "and there are more" };
            let _ = write!(text, "\n  none found within {} tries, {bound} (at most {MOST_TRIES})", nearest.tried);
        }
    }
    for (title, holds) in [("rules that hold", true), ("rules that do not", false)] {
        let rules: Vec<String> = explained.rules.iter().filter(|held| held.holds() == holds).map(rule).collect();
        if !rules.is_empty() {
            let _ = write!(text, "\n\n{title}\n{}", rules.join("\n"));
        }
    }
    text
}

fn change(steps: &[Step]) -> String {
    let step = |step: &Step| {
        let from = step.from.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let to = step.to.value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        format!("{}: {from} → {to} ({})", step.to.name(), step.by.as_str())
    };
    steps.iter().map(step).collect::<Vec<_>>().join(", and ")
}

fn rule(held: &Held) -> String {
    let came_to = match (&held.value, &held.failed) {
        (_, Some(failed)) => format!("failed: {failed}"),
        (Some(value), None) => value.to_string(),
        (None, None) => "undefined".to_owned(),
    };
    let read = |(path, value): (&String, &Option<serde_json::Value>)| {
        format!("input.{path} is {}", value.as_ref().map_or_else(|| "missing".to_owned(), ToString::to_string))
    };
    let reads = held.reads.iter().map(read).collect::<Vec<_>>().join(", ");
    let reads = if reads.is_empty() { reads } else { format!(" ({reads})") };
    format!("  {}:{}  {} = {came_to}{reads}", held.file, held.line, held.rule.trim_start_matches("data."))
}
