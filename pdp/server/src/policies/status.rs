//! What operators are told about policies: what is active since when and from where, what is tried with which figures, what is held, and what stands against
//! what the source offers.

use countersign_pdp_store::{HeldPolicy, Origin, Trial};
use countersign_sdk_types::{Digest, Revision, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::rollout::Counted;
use super::source::SourceStatus;
use crate::metrics::TrialOutcome;
use crate::openapi::{digest, instant};

/// The active revision, and a candidate that is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// What decides.
    pub revision: Revision,
    /// Since when.
    pub activated_at: Timestamp,
    /// What the source offers, where that was refused.
    pub candidate: Option<CandidateStatus>,
}

/// A refused candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandidateStatus {
    /// Of the source's content.
    #[schema(schema_with = digest)]
    pub digest: Digest,
    /// What stands against it, a sentence each.
    pub problems: Vec<String>,
}

/// Everything that is told of the policies of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyReport {
    /// What is active.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// Since when.
    #[schema(schema_with = instant)]
    pub activated_at: Timestamp,
    /// Who activated it.
    pub by: Option<String>,
    /// Where it comes from.
    #[schema(value_type = Object)]
    pub origin: Origin,
    /// What the source offers, where that was refused.
    pub candidate: Option<CandidateStatus>,
    /// What is tried.
    pub trial: Option<TrialStatus>,
    /// The trial that ended last, as long as the server remembers it.
    pub ended: Option<TrialStatus>,
    /// Contents that are not taken again by themselves, the latest first.
    #[schema(value_type = Vec<Object>)]
    pub held: Vec<HeldPolicy>,
    /// Revisions to which there is a way back, the latest first.
    #[schema(value_type = Vec<String>)]
    pub kept: Vec<Digest>,
    /// Where policies come from, and how that is.
    #[schema(value_type = Object)]
    pub source: SourceStatus,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialStatus {
    /// What is tried.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// Where it comes from.
    #[schema(value_type = Object)]
    pub origin: Origin,
    /// Since when.
    #[schema(schema_with = instant)]
    pub at: Timestamp,
    /// How far it has come, in words.
    pub stage: String,
    /// Since when.
    #[schema(schema_with = instant)]
    pub stage_at: Timestamp,
    /// What is counted of this stage.
    pub counted: Counted,
    /// The same in groups, with examples: as `countersign policy diff` reports.
    #[schema(value_type = Value)]
    pub changes: Value,
    /// How it ended: `activated`, `rolled_back` or `withdrawn`.
    pub outcome: Option<String>,
    /// Why, where it did not end well.
    pub why: Option<String>,
}

impl TrialStatus {
    pub(super) fn of(trial: &Trial, figures: &super::rollout::Figures) -> Self {
        Self {
            revision: trial.revision.clone(),
            origin: trial.origin.clone(),
            at: trial.at,
            stage: trial.stage.to_string(),
            stage_at: trial.stage_at,
            counted: figures.counted(),
            changes: serde_json::to_value(figures.report()).unwrap_or_default(),
            outcome: None,
            why: None,
        }
    }

    pub(super) fn ended(self, outcome: TrialOutcome, why: Option<String>) -> Self {
        Self { outcome: Some(outcome.as_str().to_owned()), why, ..self }
    }
}
