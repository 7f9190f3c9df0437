//! `policy diff`: what a change would have done to logged decisions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_pdp_engine::policy::DEFAULT_PACKAGE;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::Weights;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::super::control::clean;
use super::super::risk::{progress, weights};
use super::super::{COULD_NOT, fail, say};
use crate::diff::{self, Boundary, Budget, Budgets, Exceeded, Log, Report, Revision, inject};

/// How many made-up inputs there are at most, unless told otherwise.
const MOST_INPUTS: &str = "20000";

/// What `policy diff` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// The revision that decides now: a folder, or a commit, branch or tag.
    old: String,
    /// The revision that would.
    new: String,
    /// Logged decisions: the `decisions` folder of a store, or a file with one record a line (gzip where it ends in `.gz`).
    #[arg(long, required_unless_present = "boundary")]
    log: Option<PathBuf>,
    /// Ask both about made-up inputs as well, at the edges of what they compare: at most so many.
    #[arg(long, value_name = "INPUTS", num_args = 0..=1, require_equals = true, default_missing_value = MOST_INPUTS, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    boundary: Option<u32>,
    /// The git repository that revisions are of.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The folder of the policy in the repository.
    #[arg(long, default_value = "")]
    within: String,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// The most decisions that may become a deny: a number, or a share such as `0.1%`.
    #[arg(long, requires = "log")]
    max_new_denies: Option<Budget>,
    /// The most decisions by which somebody may get in who did not, at once or with a passkey.
    #[arg(long, requires = "log")]
    max_new_allows: Option<Budget>,
    /// The most allows that may become a step-up.
    #[arg(long, requires = "log")]
    max_new_step_ups: Option<Budget>,
    /// How many examples of each change are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    examples: u16,
    /// Plant attackers of these kinds into the log, and say what both revisions do about them.
    #[arg(long, value_enum, value_delimiter = ',', requires = "log")]
    inject: Vec<inject::Kind>,
    /// From which attackers are drawn.
    #[arg(long, default_value_t = 1, requires = "inject")]
    seed: u64,
    /// By which attackers are scored: the table `risk` of the configuration, alone in a TOML file; the defaults where absent.
    #[arg(long, requires = "inject")]
    weights: Option<PathBuf>,
    /// Write the report to this file, as a page.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The report as JSON has it.
#[derive(Serialize)]
struct Printed<'a> {
    old: &'a str,
    new: &'a str,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    boundary: Option<&'a Boundary>,
    exceeded: &'a [Exceeded],
}

/// Runs the command: 0 when every budget holds, 1 when one does not, 2 when there is no report.
pub(in crate::cli) fn run(asked: &Diff) -> ExitCode {
    let (report, boundary) = match compare(asked) {
        Ok(compared) => compared,
        Err(error) => return fail(COULD_NOT, &clean(&error)),
    };
    let exceeded = asked.budgets().exceeded(&report);
    if let Some(path) = &asked.html {
        let written = diff::page([&asked.old, &asked.new], &report, boundary.as_ref(), &asked.budgets())
            .and_then(|page| write(path, &page).map_err(|error| format!("cannot write `{}`: {error}", path.display())));
        if let Err(error) = written {
            return fail(COULD_NOT, &clean(&error));
        }
    }
    let printed = Printed { old: &asked.old, new: &asked.new, report: &report, boundary: boundary.as_ref(), exceeded: &exceeded };
    let in_words = || clean(&words(&report, boundary.as_ref(), &exceeded));
    let _ = say(&if asked.json { serde_json::to_string_pretty(&printed).unwrap_or_default() } else { in_words() });
    if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a file, and through no link: a repository may hold one where the report is to be.
pub(in crate::cli) fn write(path: &Path, page: &str) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|known| known.is_symlink()) {
        return Err(std::io::Error::other("it is a link"));
    }
    std::fs::write(path, page)
}

impl Diff {
    const fn budgets(&self) -> Budgets {
        Budgets { new_denies: self.max_new_denies, new_allows: self.max_new_allows, new_step_ups: self.max_new_step_ups }
    }
}

fn compare(asked: &Diff) -> Result<(Report, Option<Boundary>), String> {
    let named = |name: &str| Revision::named(name, &asked.repository, &asked.within).map_err(|error| error.to_string());
    let load = |name: &str| named(name)?.load(&asked.package);
    let (old, new) = (load(&asked.old)?, load(&asked.new)?);
    let report = asked.log.as_deref().map_or_else(|| Ok(Report::default()), |log| traffic(asked, log, &old, &new))?;
    let boundary = asked.boundary.map(|most| edges(&old, &new, most)).transpose()?;
    Ok((report, boundary))
}

fn traffic(asked: &Diff, log: &Path, old: &Snapshot, new: &Snapshot) -> Result<Report, String> {
    let in_words = |error: diff::LogError| format!("{}: {error}", log.display());
    let bar: ProgressBar = progress(Log::size(log).map_err(in_words)?);
    let mut report = diff::run(old, new, log, usize::from(asked.examples), |read| bar.set_position(read)).map_err(in_words)?;
    bar.finish_and_clear();
    if report.decisions == 0 {
        return Err(format!("{}: there is no decision in the log that a policy was asked about", log.display()));
    }
    if !asked.inject.is_empty() {
        bar.reset();
        let weights = asked.weights.as_deref().map_or_else(|| Ok(Weights::default()), weights)?;
        let plan = inject::Plan { kinds: &asked.inject, seed: asked.seed, weights: &weights };
        report.injected = Some(inject::run([old, new], log, &plan, |read| bar.set_position(read)).map_err(in_words)?);
    }
    bar.finish_and_clear();
    Ok(report)
}

fn edges(old: &Snapshot, new: &Snapshot, most: u32) -> Result<Boundary, String> {
    let bar = counted();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let boundary = diff::boundary(old, new, most, |asked, all| {
        bar.set_length(all);
        bar.set_position(asked);
    })?;
    bar.finish_and_clear();
    Ok(boundary)
}

/// As [`progress`], for what is counted in inputs.
fn counted() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {len} inputs, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn words(report: &Report, boundary: Option<&Boundary>, exceeded: &[Exceeded]) -> String {
    let mut lines = Vec::new();
    if report.decisions > 0 {
        lines.push(format!(
            "{} decisions: {} new denies, {} new allows, {} new step-ups",
            report.decisions, report.new_denies, report.new_allows, report.new_step_ups
        ));
    }
    let mut more = |count: u64, text: &str| {
        if count > 0 {
            lines.push(format!("{count} {text}"));
        }
    };
    more(report.not_as_recorded, "answered otherwise than the old revision answers: another revision or other weights decided then");
    more(report.other_terms, "answered alike on other terms: another level or age of a proof, or other obligations");
    more(report.undecided, "failed before any policy was asked, and not in here");
    more(report.unreadable, "that could not be read, and not in here");
    for (title, groups) in [("by rule", &report.rules), ("by subject", &report.subjects), ("by resource", &report.resources)] {
        if !groups.is_empty() {
            lines.push(format!("\n{title}"));
        }
        let line = |group: &diff::Group| {
            let change = format!("{} → {}", group.change.from.as_str(), group.change.to.as_str());
            format!("  {:>9}  {change:<16}  {}", group.decisions, group.name)
        };
        lines.extend(groups.iter().map(line));
    }
    if !report.examples.is_empty() {
        lines.push("\nexamples".to_owned());
    }
    for one in &report.examples {
        let risk = one.risk.map(|risk| format!(", risk {risk}")).unwrap_or_default();
        let change = format!("{} → {}", one.change.from.as_str(), one.change.to.as_str());
        lines.push(format!("  {change:<16}  {}  {}  {}{risk}: {}  ({})", one.at, one.subject, one.asked, one.why, one.id));
    }
    if let Some(injected) = &report.injected {
        lines.push(format!("\n{}", injected.in_words(report.answers)));
    }
    lines.extend(boundary.map(at_the_edges));
    lines.extend(exceeded.iter().map(|one| format!("\nover budget: {one}")));
    lines.join("\n").trim_start().to_owned()
}

fn at_the_edges(boundary: &Boundary) -> String {
    let more = if boundary.is_cut { ", and there are more" } else { "" };
    let mut text = format!("\nat the edges: {} of {} made-up inputs are answered otherwise{more}", boundary.changed, boundary.inputs);
    for way in &boundary.changes {
        let change = format!("{} → {}", way.change.from.as_str(), way.change.to.as_str());
        let _ = write!(text, "\n  {:>9}  {change}", way.inputs);
    }
    for one in &boundary.examples {
        let change = format!("{} → {}", one.change.from.as_str(), one.change.to.as_str());
        let _ = write!(text, "\n  {change:<16}  {}: {} → {}", one.in_words(&boundary.bases), one.before, one.after);
    }
    text
}
