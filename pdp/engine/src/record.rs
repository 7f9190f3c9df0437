//! What is kept of a decision, and how it is replayed. Holds no token, no cookie and no secret; it does hold the client's address.

use countersign_risk::BindingState;
use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::{DecisionId, DeviceId, Ladder, Millis, Revision, SessionId, SubjectId, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::decide::{Case, Decided, Summary, Trace, decide_on, settle_assessed};
use crate::facts::Facts;
use crate::identify::{Identified, IdentifiedBy, TokenFacts};
use crate::input::build;
use crate::request::AccessRequest;
use crate::snapshot::Snapshot;

mod edge;
mod explanation;
mod scored;
mod search;
mod supposed;

pub use edge::{EDGE_BATCH, EDGE_NAME, EdgeBatch, EdgeGap, EdgeKnown, EdgeLine, EdgeRecord, edge_id};
pub use explanation::{Asked, Explanation, explain, rfc3339};
pub use scored::{Scored, rescored, scored};
pub use search::{SearchKind, SearchRecord, Told};
pub use supposed::{Circumstances, Supposed, suppose};

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
    /// How long the answer may be repeated without asking; `None` where it may not.
    #[serde(default, rename = "leased_ms", skip_serializing_if = "Option::is_none")]
    pub leased: Option<Millis>,
}

/// The arguments of `decide`, without the secret that keys identifiers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Basis {
    /// Who asked for what. Read back for a replay, which permits nothing: whoever else could read one could have it decided.
    #[serde(deserialize_with = "Recorded::deserialize")]
    pub(crate) identified: Identified,
    /// What was known.
    pub facts: Facts,
}

/// What a record keeps of an [`Identified`].
#[derive(Deserialize)]
#[serde(remote = "Identified")]
struct Recorded {
    request: AccessRequest,
    subject: SubjectId,
    session: SessionId,
    device: Option<DeviceId>,
    token: TokenFacts,
    binding: BindingState,
    by: IdentifiedBy,
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

impl Basis {
    /// Who asked.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.identified.subject
    }
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
            leased: None,
        }
    }

    /// The same, of an answer that may be repeated for a while.
    #[must_use]
    pub fn leased(self, leased: Option<Millis>) -> Self {
        Self { leased, ..self }
    }

    /// Who asked, and in which session, where that was known.
    #[must_use]
    pub fn whose(&self) -> Option<(&SubjectId, &SessionId)> {
        let identified = &self.basis.as_ref()?.identified;
        Some((&identified.subject, &identified.session))
    }

    /// Of a request that was let through: whose session it was, and the sum of its evidence in nats before any grant.
    #[must_use]
    pub fn let_through(&self) -> Option<((SubjectId, SessionId), f64)> {
        let (basis, trace) = (self.basis.as_ref()?, self.trace.as_ref()?);
        let nats = trace.assessment.evidence().items().iter().map(|item| item.nats).sum();
        let session = (basis.identified.subject.clone(), basis.identified.session.clone());
        matches!(self.summary, Summary::Allow(_)).then_some((session, nats))
    }

    /// The input that a policy was asked about; `None` where none could have been.
    #[must_use]
    pub fn input(&self, ladder: &Ladder) -> Option<Input> {
        let (basis, trace) = (self.basis.as_ref()?, self.trace.as_ref()?);
        Some(build(&basis.identified, &basis.facts, &trace.sighting, &trace.assessment, ladder, self.at))
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
            leased: None,
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

/// What another policy would have answered. It permits nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconsidered {
    /// The answer.
    pub summary: Summary,
    /// What the policy said; `None` when it was not asked or gave nothing.
    pub verdict: Option<Verdict>,
}

/// Asks another policy about a recorded decision, with the risk as it was assessed then. `None` where no policy could have been asked: the request failed
/// before.
#[must_use]
pub fn reconsider(record: &Record, snapshot: &Snapshot) -> Option<Reconsidered> {
    let (basis, trace) = (record.basis.as_ref()?, record.trace.as_ref()?);
    let seen = (&trace.sighting, &trace.assessment);
    let (decision, verdict) = settle_assessed(seen, &basis.identified, &basis.facts, snapshot, record.at);
    Some(Reconsidered { summary: decision.summary(), verdict })
}

/// What another policy would see of a recorded decision. `None` where no policy could have been asked.
#[must_use]
pub fn input(record: &Record, snapshot: &Snapshot) -> Option<Input> {
    let (basis, trace) = (record.basis.as_ref()?, record.trace.as_ref()?);
    let (identified, facts, sighting) = (&basis.identified, &basis.facts, &trace.sighting);
    Some(Case { identified, facts, snapshot, now: record.at, sighting, assessment: &trace.assessment }.input(facts))
}
