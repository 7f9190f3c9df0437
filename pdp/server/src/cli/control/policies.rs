//! The policies of a running server: what is live, what is on trial, who changed what, and the way back.

use axum::http::Method;
use countersign_pdp_store::{Origin, PolicyChange};
use countersign_sdk_types::Revision;
use serde_json::{Value, json};

use super::client::Client;
use super::perform::outcome;
use super::text::{clean, instant, table};
use super::{Failure, Outcome};
use crate::control::policies::History;
use crate::policies::{Changed, PolicyReport, SourceStatus, TrialStatus};

/// What is asked.
#[derive(Debug)]
pub(in crate::cli) enum Asked {
    /// What is live.
    Status,
    /// Who changed what.
    History,
    /// The way back.
    RollBack {
        /// To where.
        to: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// The way forward.
    Promote {
        /// What is meant to become active.
        revision: Option<String>,
    },
}

pub(super) async fn perform(asked: &Asked, client: &Client) -> Result<Outcome, Failure> {
    match asked {
        Asked::Status => {
            let report: PolicyReport = client.read("/policies").await?;
            let is_found = report.candidate.is_some() || !report.held.is_empty();
            Ok(Outcome { is_found, ..outcome(&report, status(&report))? })
        }
        Asked::History => {
            let history: History = client.read("/policies/history").await?;
            let rows: Vec<_> = history.changes.iter().map(row).collect();
            let titles = ["when", "what", "revision", "from", "signer", "by", "why"];
            outcome(&history, table(titles, &rows, "nothing was ever activated", false))
        }
        Asked::RollBack { to, reason } => {
            let body = json!({ "to": to, "reason": reason });
            let changed: Changed = client.change(Method::POST, "/policies/rollback", &body).await?;
            outcome(&changed, done(&changed))
        }
        Asked::Promote { revision } => {
            let body = json!({ "revision": revision });
            let changed: Changed = client.change(Method::POST, "/policies/promote", &body).await?;
            outcome(&changed, done(&changed))
        }
    }
}

fn done(changed: &Changed) -> String {
    clean(&format!("{}: {} decides, and {} does not", changed.done, short(&changed.revision), short(&changed.instead_of)))
}

/// As much of a name as people compare.
fn short(revision: &Revision) -> &str {
    revision.as_str().get(..12).unwrap_or(revision.as_str())
}

fn row(change: &PolicyChange) -> [String; 7] {
    let PolicyChange { at, by, step, revision, origin, why, instead_of } = change;
    let instead = instead_of.map(|digest| digest.to_string().chars().take(12).collect::<String>());
    let instead = instead.map(|digest| format!("in place of {digest}"));
    let why: Vec<String> = why.iter().cloned().chain(instead).collect();
    let signer = origin.signer.clone().unwrap_or_default();
    [instant(*at), step.to_string(), short(revision).to_owned(), from(origin), signer, by.clone(), why.join("; ")]
}

fn from(origin: &Origin) -> String {
    let name = origin.name.as_ref().map(|name| name.chars().take(12).collect::<String>());
    let title = origin.title.clone();
    name.into_iter().chain(title).collect::<Vec<_>>().join(" ")
}

fn status(report: &PolicyReport) -> String {
    let PolicyReport { revision, activated_at, by, origin, candidate, trial, ended, held, kept, .. } = report;
    let mut lines = vec![format!("active     {revision} since {}", instant(*activated_at))];
    lines.extend(by.iter().map(|by| format!("  by       {by}")));
    lines.extend(told(origin).map(|told| format!("  from     {told}")));
    lines.extend(source(&report.source));
    if let Some(trial) = trial {
        lines.push(format!("on trial   {}, {} since {}", trial.revision, trial.stage, instant(trial.stage_at)));
        lines.extend(figures(trial));
    }
    if let Some(ended) = ended {
        let outcome = ended.outcome.as_deref().unwrap_or_default().replace('_', " ");
        lines.push(format!("last trial {}, {outcome} while {}", ended.revision, ended.stage));
        lines.extend(ended.why.iter().map(|why| format!("  why      {why}")));
        lines.extend(figures(ended));
    }
    for one in held {
        lines.push(format!("held       {} since {} by {}: {}", one.digest, instant(one.at), one.by, one.why));
    }
    if let Some(candidate) = candidate {
        lines.push(format!("refused    {}", candidate.digest));
        lines.extend(candidate.problems.iter().map(|problem| format!("  why      {problem}")));
    }
    lines.extend(kept.iter().map(|kept| format!("kept       {kept}")));
    lines.iter().map(|line| clean(&line.replace('\n', " "))).collect::<Vec<_>>().join("\n")
}

/// Where policies come from, and whether that can be asked.
fn source(SourceStatus { kind, at, error, .. }: &SourceStatus) -> Vec<String> {
    let error = error.iter().map(|error| format!("  why      it cannot be asked: {error}"));
    [format!("source     {kind} {at}")].into_iter().chain(error).collect()
}

fn told(origin: &Origin) -> Option<String> {
    let Origin { name, signer, author, title } = origin;
    let signer = signer.as_ref().map(|signer| format!("signed by {signer}"));
    let author = author.as_ref().map(|author| format!("written by {author}"));
    let parts: Vec<String> = [name.clone(), signer, author, title.clone()].into_iter().flatten().collect();
    Some(parts.join(", ")).filter(|told| !told.is_empty())
}

fn figures(trial: &TrialStatus) -> Vec<String> {
    let c = &trial.counted;
    let mut lines = vec![format!(
        "  counted  {} decisions, {} of them its own: {} new denies, {} new allows, {} new step-ups, {} errors",
        c.decisions, c.answered, c.new_denies, c.new_allows, c.new_step_ups, c.errors
    )];
    if c.missed + c.unsure > 0 {
        lines.push(format!("  besides  {} came too fast to be compared, {} ran out of time once", c.missed, c.unsure));
    }
    let examples = trial.changes.get("examples").and_then(Value::as_array);
    for example in examples.into_iter().flatten().take(5) {
        let said = |name: &str| example.get(name).and_then(Value::as_str).unwrap_or_default();
        let (from, to, id, subject, asked, why) = (said("from"), said("to"), said("id"), said("subject"), said("asked"), said("why"));
        lines.push(format!("  example  {id}: {from} → {to}, {subject}: {asked} ({why})"));
    }
    lines
}
