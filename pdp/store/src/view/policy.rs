//! What became of policy revisions, folded: the trial that is under way, what is held, and the latest changes as an audit trail.

use countersign_sdk_types::{Digest, Revision, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Activation, Origin, Stage, Trial};

/// Changes that are remembered, the latest. The journal has all.
const MOST_CHANGES: usize = 200;
/// Contents that are held; what was held first may be tried again after so many.
const MOST_HELD: usize = 50;

/// One row a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTimes {
    /// What is tried.
    pub trial: Option<Trial>,
    /// What is not taken again by itself, the latest first.
    pub held: Vec<HeldPolicy>,
    /// What happened, the latest first.
    pub changes: Vec<PolicyChange>,
}

/// A content that was rolled back from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPolicy {
    /// The content.
    pub digest: Digest,
    /// Where it came from.
    pub origin: Origin,
    /// Who rolled back.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// What happened.
    pub step: PolicyStep,
    /// To which revision.
    pub revision: Revision,
    /// Where that comes from: with its signer and its author.
    pub origin: Origin,
    /// Why, where it is no ordinary step forward.
    pub why: Option<String>,
    /// The content that it took the place of for good.
    pub instead_of: Option<Digest>,
}

/// What happened to a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStep {
    /// It is asked, and answers nobody.
    Shadowed,
    /// It answers so many subjects of a hundred.
    Canary(u8),
    /// It answers everybody.
    Active,
    /// It was tried, and is held.
    RolledBack,
    /// It was tried, and its source offers it no longer.
    Withdrawn,
}

impl std::fmt::Display for PolicyStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shadowed => Stage::Shadow.fmt(f),
            Self::Canary(percent) => Stage::Canary(*percent).fmt(f),
            Self::Active => f.write_str("active"),
            Self::RolledBack => f.write_str("rolled back"),
            Self::Withdrawn => f.write_str("withdrawn"),
        }
    }
}

impl From<Stage> for PolicyStep {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Shadow => Self::Shadowed,
            Stage::Canary(percent) => Self::Canary(percent),
        }
    }
}

impl PolicyTimes {
    /// Whether a content is held, and why.
    #[must_use]
    pub fn held(&self, digest: &Digest) -> Option<&HeldPolicy> {
        self.held.iter().find(|held| held.digest == *digest)
    }

    pub(super) fn activated(&mut self, now: &Activation, before: Option<&Activation>) {
        self.trial = None;
        self.held.retain(|held| held.digest != now.digest);
        if let Some(digest) = now.instead_of {
            let origin = before.filter(|before| before.digest == digest).map(|before| before.origin.clone()).unwrap_or_default();
            let why = now.why.clone().unwrap_or_default();
            self.hold(HeldPolicy { digest, origin, by: now.by.clone(), at: now.at, why });
        }
        self.tell(PolicyChange {
            at: now.at,
            by: now.by.clone(),
            step: PolicyStep::Active,
            revision: now.revision.clone(),
            origin: now.origin.clone(),
            why: now.why.clone(),
            instead_of: now.instead_of,
        });
    }

    pub(super) fn begun(&mut self, trial: Trial) {
        self.step(&trial, trial.stage.into(), (trial.by.clone(), trial.at), None);
        self.trial = Some(trial);
    }

    pub(super) fn moved(&mut self, stage: Stage, by: String, at: Timestamp) {
        let Some(trial) = self.trial.take() else { return };
        self.step(&trial, stage.into(), (by, at), None);
        self.trial = Some(Trial { stage, stage_at: at, ..trial });
    }

    pub(super) fn ended(&mut self, held: bool, by: String, at: Timestamp, why: String) {
        let Some(trial) = self.trial.take() else { return };
        let step = if held { PolicyStep::RolledBack } else { PolicyStep::Withdrawn };
        self.step(&trial, step, (by.clone(), at), Some(why.clone()));
        if held {
            self.hold(HeldPolicy { digest: trial.digest, origin: trial.origin, by, at, why });
        }
    }

    fn step(&mut self, trial: &Trial, step: PolicyStep, (by, at): (String, Timestamp), why: Option<String>) {
        let (revision, origin) = (trial.revision.clone(), trial.origin.clone());
        self.tell(PolicyChange { at, by, step, revision, origin, why, instead_of: None });
    }

    fn hold(&mut self, held: HeldPolicy) {
        self.held.retain(|other| other.digest != held.digest);
        self.held.insert(0, held);
        self.held.truncate(MOST_HELD);
    }

    fn tell(&mut self, change: PolicyChange) {
        self.changes.insert(0, change);
        self.changes.truncate(MOST_CHANGES);
    }
}

#[cfg(test)]
mod tests;
