//! A record in words: who asked for what, why it scored as it did, and what would have allowed it.

use std::fmt;
use std::net::IpAddr;

use countersign_sdk_types::{DecisionId, DenialCode, Effect, Millis, Reason, Revision, RiskScore, SubjectId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::Denial;
use crate::decide::Summary;
use crate::identify::Identified;
use crate::remedy::Attempt;
use crate::request::AccessRequest;

/// A decision in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The decision.
    pub id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// The policy that was asked; `None` when none was.
    pub revision: Option<Revision>,
    /// Who asked, where that was known.
    pub subject: Option<SubjectId>,
    /// For what, where that could be read.
    pub asked: Option<Asked>,
    /// The answer.
    pub effect: Effect,
    /// The stable code of a denial.
    pub code: Option<DenialCode>,
    /// The detail of a denial.
    pub detail: Option<String>,
    /// The threat evidence.
    pub inherent: Option<RiskScore>,
    /// What remained after live grants.
    pub remaining: Option<RiskScore>,
    /// Why the evidence scores as it does.
    pub reasons: Vec<Reason>,
    /// What the policy said for people.
    pub policy: Vec<String>,
    /// Which proofs were tried as a remedy, and what each would have led to.
    pub tried: Vec<Attempt>,
    /// What would have made it an allow.
    pub remedy: String,
    /// How long the answer may be repeated without asking.
    #[serde(default, rename = "leased_ms", skip_serializing_if = "Option::is_none")]
    pub leased: Option<Millis>,
}

/// What was asked for. The query stays out: it is where applications put secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The method, or the action's name.
    pub method: String,
    /// The protected host; `None` for a question that is not about a proxied request.
    pub host: Option<String>,
    /// The canonical path, or the resource as `type:id`.
    pub path: String,
    /// Where the client was.
    pub client: Option<IpAddr>,
}

impl Asked {
    fn of(request: &AccessRequest) -> Self {
        let client = request.client_address();
        match request.http() {
            Some(http) => {
                Self { method: http.method.clone(), host: Some(http.host.to_string()), path: http.path.as_str().to_owned(), client }
            }
            None => {
                let path = format!("{}:{}", request.resource.kind, request.resource.id);
                Self { method: request.action.name.clone(), host: None, path, client }
            }
        }
    }
}

/// Explains a record.
#[must_use]
pub fn explain(record: &Record) -> Explanation {
    let (effect, denial) = match &record.summary {
        Summary::Allow(_) => (Effect::Allow, None),
        Summary::StepUp(_) => (Effect::StepUp, None),
        Summary::Deny(denial) => (Effect::Deny, Some(denial)),
    };
    let trace = record.trace.as_ref();
    let identified = record.basis.as_ref().map(|basis| &basis.identified);
    Explanation {
        id: record.id.clone(),
        at: record.at,
        revision: record.revision.clone(),
        subject: identified.map(|identified| identified.subject().clone()),
        asked: identified.map(Identified::request).or(record.request.as_ref()).map(Asked::of),
        effect,
        code: denial.map(Denial::code),
        detail: denial.map(|denial| denial.detail().to_owned()),
        inherent: trace.map(|trace| trace.assessment.inherent()),
        remaining: trace.map(|trace| trace.remaining),
        reasons: trace.map(|trace| trace.assessment.reasons()).unwrap_or_default(),
        policy: trace.and_then(|trace| trace.verdict.as_ref()).map(|verdict| verdict.reasons.clone()).unwrap_or_default(),
        tried: trace.map(|trace| trace.tried.clone()).unwrap_or_default(),
        remedy: remedy(record),
        leased: record.leased,
    }
}

fn remedy(record: &Record) -> String {
    let denial = match &record.summary {
        Summary::Allow(_) => return "nothing was missing".to_owned(),
        Summary::StepUp(demand) => return format!("a step-up to `{}`, at most {} seconds old", demand.acr, demand.max_age.0),
        Summary::Deny(denial) => denial,
    };
    match denial.code() {
        DenialCode::NotEnrolled => not_enrolled(record),
        DenialCode::StepUpExhausted => "nothing: the proof was given already".to_owned(),
        DenialCode::Revoked => "taking the revocation back".to_owned(),
        DenialCode::Locked => "waiting until the lock ends".to_owned(),
        _ if record.trace.is_none() => "nothing was decided: the request failed before the policy was asked".to_owned(),
        _ => "nothing that the subject could prove".to_owned(),
    }
}

fn not_enrolled(record: &Record) -> String {
    let tried = record.trace.iter().flat_map(|trace| &trace.tried);
    let would = tried.filter(|attempt| attempt.effect == Effect::Allow).map(|attempt| &attempt.acr).next();
    would.map_or_else(|| "an enrolled passkey".to_owned(), |acr| format!("an enrolled passkey that reaches `{acr}`"))
}

/// An instant as people and machines read it (RFC 3339, UTC); plain milliseconds where the calendar ends.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.id, self.effect.as_str())?;
        write!(f, "  at       {}", rfc3339(self.at))?;
        self.revision.iter().try_for_each(|revision| write!(f, ", policy revision `{revision}`"))?;
        writeln!(f)?;
        self.subject.iter().try_for_each(|subject| writeln!(f, "  subject  {} of {}", subject.sub, subject.iss))?;
        self.asked.iter().try_for_each(|asked| writeln!(f, "  request  {asked}"))?;
        if let (Some(code), Some(detail)) = (self.code, &self.detail) {
            writeln!(f, "  denied   {code}: {detail}")?;
        }
        self.risk(f)?;
        self.policy.iter().try_for_each(|text| writeln!(f, "  policy   {text}"))?;
        self.tried.iter().try_for_each(|attempt| writeln!(f, "  tried    {}", tried(attempt)))?;
        self.leased.iter().try_for_each(|leased| writeln!(f, "  leased   for {} ms", leased.0))?;
        write!(f, "  what would have allowed it: {}", self.remedy)
    }
}

impl Explanation {
    fn risk(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(inherent), Some(remaining)) = (self.inherent, self.remaining) {
            writeln!(f, "  risk     {remaining} of 100, {inherent} before grants")?;
        }
        self.reasons.iter().try_for_each(|reason| {
            let (signal, bar) = (reason.signal.name(), bar(reason.points));
            writeln!(f, "    {:>+4}  {signal:<10} {bar:<20} {}", reason.points, reason.text)
        })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host.as_deref().unwrap_or_default(), self.path)?;
        self.client.iter().try_for_each(|client| write!(f, " from {client}"))
    }
}

/// One cell for five points, at least one where there is any.
fn bar(points: i8) -> String {
    let cells = points.unsigned_abs().div_ceil(5);
    (if points < 0 { "░" } else { "█" }).repeat(usize::from(cells))
}

fn tried(attempt: &Attempt) -> String {
    let reach = if attempt.reachable { "" } else { ", which no enrolled passkey reaches" };
    format!("a proof of `{}`{reach}: {}", attempt.acr, attempt.effect.as_str())
}
