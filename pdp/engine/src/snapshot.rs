//! Everything that decides and is swapped whole: policy, weights, ladder.

use std::sync::Arc;
use std::time::Duration;

use countersign_risk::Weights;
use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::{Ladder, Revision, Seconds};

use crate::policy::{BUDGET, Policy, PolicyError};

/// One immutable state of the decision point.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The name of the policy revision.
    pub revision: Revision,
    /// The policy.
    pub policy: Arc<Policy>,
    /// The weights of the risk model.
    pub weights: Weights,
    /// The order of assurance levels.
    pub ladder: Ladder,
    /// How old a proof may be where the policy does not say.
    pub max_age: Seconds,
    /// The time that one entry point of the policy may take.
    pub budget: Duration,
}

impl Snapshot {
    /// A snapshot with the shipped weights and ladder.
    #[must_use]
    pub fn new(revision: Revision, policy: Policy) -> Self {
        Self {
            revision,
            policy: Arc::new(policy),
            weights: Weights::default(),
            ladder: Ladder::default(),
            max_age: Seconds(300),
            budget: BUDGET,
        }
    }

    /// Asks the policy, within its budget.
    pub(crate) fn ask(&self, input: &Input) -> Result<Verdict, PolicyError> {
        self.policy.evaluate_within(input, self.budget)
    }
}
