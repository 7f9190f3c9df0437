//! `learn import`: an identity provider's log of past log-ins teaches a running server what is normal for its subjects.

use std::path::{Path, PathBuf};

use axum::http::Method;
use clap::{Args, Subcommand};
use countersign_sdk_types::DeviceId;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::client::Client;
use super::text::{clean, instant, table};
use super::{Failure, Outcome};
use crate::cli::USAGE;
use crate::control::asked::{LARGE_BODY, Line, Who};
use crate::control::learning::{Import, Imported, Login, MOST_LOGINS, PastOf};
use crate::control::records::Status;
use crate::learn::{self, Counts, Format, Kept, Mapping, Past, PastLogin, Reading, RecordProblem, Rule, Seen, SubjectField, Subjects};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Learn {
    /// Learn from an identity provider's log of past log-ins. `docs/learn-import.md` says what is learned of it, and what is not.
    Import(Box<ImportLog>),
}

/// What `learn import` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportLog {
    /// The log: a JSON array, pages of Microsoft Graph, or one object a line; gzip of that where the name ends in `.gz`.
    file: PathBuf,
    /// Whose log it is.
    #[arg(long)]
    format: Format,
    /// The `iss` of the subjects' tokens, exactly as the configuration of the server has it. Only `jsonl` may name it in each record.
    #[arg(long, required_if_eq_any = [("format", "okta"), ("format", "entra"), ("format", "keycloak")])]
    issuer: Option<String>,
    /// What the log's subjects are called in tokens: a file of lines `ID,SUB`. Log-ins of others are not learned.
    #[arg(long, value_name = "FILE")]
    subjects: Option<PathBuf>,
    /// Which field of a record is the subject. For `entra` neither is the `sub` of a token: give a map, or say here which one you made it.
    #[arg(long, value_name = "FIELD")]
    subject_field: Option<SubjectField>,
    /// What a method is worth, over the defaults of the format: `METHOD=phishing_resistant`, `METHOD=second_factor` or `METHOD=none`.
    #[arg(long, value_name = "METHOD=WORTH")]
    verified_as: Vec<Rule>,
    /// The same from a TOML file with a table `methods`.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Learn devices too. Only where the log names them as decisions do: others would make every device of a request look new.
    #[arg(long)]
    with_devices: bool,
    /// Learn even though the server has no place database.
    #[arg(long)]
    without_places: bool,
    /// Only say what would be learned.
    #[arg(long)]
    dry_run: bool,
    /// How many problems are described.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    problems: u16,
}

/// What an import came to.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    log: Counts,
    learned: Imported,
    methods: std::collections::BTreeMap<String, Seen>,
    problems: Vec<RecordProblem>,
}

pub(super) async fn perform(what: &Learn, client: &Client) -> Result<Outcome, Failure> {
    let Learn::Import(asked) = what;
    // First of all: whether there is a server, and what time it has.
    let status: Status = client.read("/status").await?;
    let past = asked.read(&status)?;
    let bar = asked.bar("log-ins", past.subjects.values().map(|logins| logins.len() as u64).sum());
    let mut learned = Imported::default();
    for batch in batches(past.subjects)? {
        let logins: usize = batch.iter().map(|past| past.logins.len()).sum();
        let import = Import { dry_run: asked.dry_run, without_places: asked.without_places, subjects: batch };
        let answer: Result<Imported, Failure> = client.work(Method::POST, "/learn", &import).await;
        learned.add(answer.map_err(|failure| stopped(failure, &learned, asked.dry_run))?);
        bar.inc(logins as u64);
    }
    bar.finish_and_clear();
    let report = Report { dry_run: asked.dry_run, log: past.counts, learned, methods: past.methods, problems: past.problems };
    let json = serde_json::to_value(&report).map_err(|error| Failure::could_not(error.to_string()))?;
    Ok(Outcome { json, text: report.text(), is_found: report.log.problems > 0 })
}

/// What was learned before an error stays learned.
fn stopped(failure: Failure, learned: &Imported, is_dry: bool) -> Failure {
    if is_dry || learned.learned() == 0 {
        return failure;
    }
    let so_far = learned.learned();
    Failure { text: format!("{}; {so_far} log-ins are learned, and the same command goes on after them", failure.text), ..failure }
}

impl ImportLog {
    fn read(&self, status: &Status) -> Result<Past, Failure> {
        let usage = |path: &Path, error: String| Failure { code: USAGE, text: format!("{}: {error}", path.display()) };
        if self.format == Format::Entra && self.subjects.is_none() && self.subject_field.is_none() {
            let text =
                "the `sub` of Entra's tokens is another one for each application, and is not in its log: map the users with `--subjects`";
            return Err(Failure {
                code: USAGE,
                text: format!("{text}, or, where your tokens' `sub` is the id or the login, say which with `--subject-field`"),
            });
        }
        let mut mapping = Mapping::of(self.format);
        if let Some(path) = &self.mapping {
            mapping.load(path).map_err(|error| usage(path, error))?;
        }
        self.verified_as.iter().for_each(|rule| mapping.add(rule));
        let subjects = self.subjects.as_ref().map(|path| Subjects::load(path).map_err(|error| usage(path, error))).transpose()?;
        let reading = Reading {
            format: self.format,
            issuer: self.issuer.clone(),
            field: self.subject_field.unwrap_or(SubjectField::Id),
            subjects,
            mapping,
            kept: if self.with_devices { Kept::WithDevices } else { Kept::WithoutDevices },
            problems: usize::from(self.problems),
            now: status.now,
        };
        let size = std::fs::metadata(&self.file).map_err(|error| usage(&self.file, error.to_string()))?.len();
        let bar = self.bar("bytes", size);
        let past = learn::read(&self.file, &reading, |read| bar.set_position(read));
        bar.finish_and_clear();
        past.map_err(|error| Failure::could_not(format!("{}: {error}", self.file.display())))
    }

    /// Shown on a terminal only; a pipe gets the report alone.
    fn bar(&self, of: &str, count: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(&format!("{{bar:40}} {{percent:>3}} % of {{len}} {of}, {{eta}} left"));
        ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// Requests that the server takes: whole subjects, so that a dry run sees each of them as an import would.
fn batches(subjects: std::collections::BTreeMap<(String, String), Vec<PastLogin>>) -> Result<Vec<Vec<PastOf>>, Failure> {
    let (mut batches, mut batch, mut logins, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    for ((iss, sub), past) in subjects {
        let past = wire(iss, sub, past)?;
        let size = serde_json::to_vec(&past).map_err(|error| Failure::could_not(error.to_string()))?.len();
        if logins + past.logins.len() > MOST_LOGINS || bytes + size > LARGE_BODY.bytes / 2 {
            batches.push(std::mem::take(&mut batch));
            (logins, bytes) = (0, 0);
        }
        (logins, bytes) = (logins + past.logins.len(), bytes + size);
        batch.push(past);
    }
    batches.push(batch);
    Ok(batches.into_iter().filter(|batch| !batch.is_empty()).collect())
}

fn wire(iss: String, sub: String, past: Vec<PastLogin>) -> Result<PastOf, Failure> {
    let line = |text: String| Line::try_from(text).map_err(|error| Failure { code: USAGE, text: format!("issuer or subject: {error}") });
    let logins = past.into_iter().map(|PastLogin { at, strength, client }| Login {
        at,
        strength,
        address: client.address,
        user_agent: client.user_agent,
        device: client.device.and_then(|device| DeviceId::new(device).ok()),
        session: client.session.and_then(|session| Line::try_from(session).ok()),
        time_zone: client.time_zone.and_then(|zone| Line::try_from(zone).ok()),
    });
    Ok(PastOf { subject: Who { iss: line(iss)?, sub: line(sub)? }, logins: logins.collect() })
}

impl Report {
    fn text(&self) -> String {
        let (log, learned) = (&self.log, &self.learned);
        let row = |what: &str, count: u64| [what.to_owned(), count.to_string()];
        let verb = if self.dry_run { "would be learned" } else { "learned" };
        let rows = [
            row("read", log.records),
            row("not a log-in", log.not_log_ins),
            row("not successful", log.not_successful),
            row("not verified", log.not_verified),
            row("unknown subject", log.unknown_subject),
            row("older than 180 days", log.too_old + learned.too_old),
            row("of a revoked subject, session or device", learned.revoked),
            row("no public address", learned.no_location),
            row("more than is learned of a subject, day, network and session", log.beyond_bounds + learned.beyond_bounds),
            row("not later than what is known", learned.already_known),
            row("with a problem", log.problems),
            row(&format!("{verb}, as resistant to phishing"), learned.phishing_resistant),
            row(&format!("{verb}, as a second factor"), learned.second_factor),
            row("subjects", learned.subjects),
        ];
        let mut text = vec![table(["records", "count"], &rows, "", false)];
        if let (Some(oldest), Some(newest)) = (learned.oldest, learned.newest) {
            text.push(format!("{verb}: from {} to {}", instant(oldest), instant(newest)));
            let mut countries: Vec<_> = learned.countries.iter().collect();
            countries.sort_by_key(|(country, count)| (std::cmp::Reverse(**count), (*country).clone()));
            let rows: Vec<_> = countries.into_iter().map(|(country, count)| [country.clone(), count.to_string()]).collect();
            text.push(table(["country", "count"], &rows, "", false));
        }
        let mut methods: Vec<_> = self.methods.iter().collect();
        methods.sort_by_key(|(method, seen)| (std::cmp::Reverse(seen.records), (*method).clone()));
        let rows: Vec<_> =
            methods.into_iter().map(|(name, seen)| [name.clone(), seen.worth.name().to_owned(), seen.records.to_string()]).collect();
        text.push(table(["method", "worth", "count"], &rows, "no record names a method", false));
        let problems = self.problems.iter().map(|problem| format!("record {}: {}", problem.record, clean(&problem.problem)));
        text.extend(problems.collect::<Vec<_>>().into_iter().reduce(|all, one| format!("{all}\n{one}")));
        if learned.countries.contains_key("unknown") {
            text.push("Of log-ins without a known country only the network's prefix, the client and the hour are learned: is the place database there?".to_owned());
        }
        text.join("\n\n")
    }
}
