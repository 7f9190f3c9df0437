//! What is kept of a decision, and how it is replayed and explained. Holds no token, no cookie and no secret; it does hold the client's address.

use countersign_sdk_types::{DecisionId, DenialCode, Effect, Reason, Revision, RiskScore, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::decide::{Decided, Summary, Trace, decide_on};
use crate::facts::Facts;
use crate::identify::Identified;
use crate::request::AccessRequest;
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// The version that a bit-exact replay needs.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// One decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub id: DecisionId,
    /// When it was made: the `now` of the decision.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: Tenant,
    /// The engine that made it.
    pub engine: String,
    /// The policy revision; `None` when none was asked.
    pub revision: Option<Revision>,
    /// The request, where it could be normalized but nobody was identified.
    pub request: Option<AccessRequest>,
    /// What it was made of.
    pub basis: Option<Basis>,
    /// The answer.
    pub summary: Summary,
    /// How it came about.
    pub trace: Option<Trace>,
}

/// The arguments of `decide`, without the secret that keys identifiers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Basis {
    /// Who asked for what.
    pub identified: Identified,
    /// What was known.
    pub facts: Facts,
}

/// Why a record cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The request was denied before it reached `decide`.
    #[error("the record holds no decision to replay")]
    NothingDecided,
    /// Another policy revision decided.
    #[error("the record was made under revision `{0}`")]
    Revision(Revision),
    /// Another engine decided.
    #[error("the record was made by engine {0}")]
    Engine(String),
}

/// What a replay came to. It permits nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// The answer.
    pub summary: Summary,
    /// How it came about.
    pub trace: Trace,
}

impl Record {
    /// Records a decision.
    #[must_use]
    pub fn new(id: DecisionId, at: Timestamp, identified: &Identified, facts: &Facts, snapshot: &Snapshot, decided: &Decided) -> Self {
        Self {
            id,
            at,
            tenant: identified.subject.tenant.clone(),
            engine: ENGINE.to_owned(),
            revision: Some(snapshot.revision.clone()),
            request: None,
            basis: Some(Basis { identified: identified.clone(), facts: facts.clone() }),
            summary: decided.decision.summary(),
            trace: Some(decided.trace.clone()),
        }
    }

    /// Records a denial that came before `decide`.
    #[must_use]
    pub fn for_denial(id: DecisionId, at: Timestamp, tenant: Tenant, request: Option<AccessRequest>, denial: Denial) -> Self {
        Self {
            id,
            at,
            tenant,
            engine: ENGINE.to_owned(),
            revision: None,
            request,
            basis: None,
            summary: Summary::Deny(denial),
            trace: None,
        }
    }
}

/// Decides a recorded request again, from the record alone.
///
/// # Errors
/// When nothing was decided, or the record was made by another revision or engine.
pub fn replay(record: &Record, snapshot: &Snapshot) -> Result<Replayed, ReplayError> {
    let (Some(basis), Some(trace)) = (&record.basis, &record.trace) else { return Err(ReplayError::NothingDecided) };
    if let Some(revision) = record.revision.as_ref().filter(|revision| **revision != snapshot.revision) {
        return Err(ReplayError::Revision(revision.clone()));
    }
    if record.engine != ENGINE {
        return Err(ReplayError::Engine(record.engine.clone()));
    }
    let decided = decide_on(trace.sighting.clone(), &basis.identified, &basis.facts, snapshot, record.at);
    Ok(Replayed { summary: decided.decision.summary(), trace: decided.trace })
}

/// A decision in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The decision.
    pub id: DecisionId,
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
    /// What would have made it an allow.
    pub remedy: String,
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
    Explanation {
        id: record.id.clone(),
        effect,
        code: denial.map(Denial::code),
        detail: denial.map(|denial| denial.detail().to_owned()),
        inherent: trace.map(|trace| trace.assessment.inherent()),
        remaining: trace.map(|trace| trace.remaining),
        reasons: trace.map(|trace| trace.assessment.reasons().to_vec()).unwrap_or_default(),
        policy: trace.and_then(|trace| trace.verdict.as_ref()).map(|verdict| verdict.reasons.clone()).unwrap_or_default(),
        remedy: remedy(record),
    }
}

fn remedy(record: &Record) -> String {
    match &record.summary {
        Summary::Allow(_) => "nothing was missing".to_owned(),
        Summary::StepUp(demand) => format!("a step-up to `{}`, at most {} seconds old", demand.acr, demand.max_age.0),
        Summary::Deny(denial) if denial.code() == DenialCode::NotEnrolled => "an enrolled passkey".to_owned(),
        Summary::Deny(denial) if denial.code() == DenialCode::StepUpExhausted => "nothing: the proof was given already".to_owned(),
        Summary::Deny(_) => "nothing that the subject could prove".to_owned(),
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let effect = match self.effect {
            Effect::Allow => "allow",
            Effect::StepUp => "step_up",
            Effect::Deny => "deny",
        };
        writeln!(f, "{}: {effect}", self.id)?;
        if let (Some(code), Some(detail)) = (self.code, &self.detail) {
            writeln!(f, "  {code}: {detail}")?;
        }
        if let (Some(inherent), Some(remaining)) = (self.inherent, self.remaining) {
            writeln!(f, "  risk {remaining} (before grants {inherent})")?;
        }
        for reason in &self.reasons {
            writeln!(f, "  {:>+4} {}: {}", reason.points, reason.signal, reason.text)?;
        }
        self.policy.iter().try_for_each(|text| writeln!(f, "  policy: {text}"))?;
        write!(f, "  what would have allowed it: {}", self.remedy)
    }
}
