//! On which terms a candidate becomes active: its stages, and what would end its trial.

use countersign_pdp_store::Stage;
use countersign_sdk_types::Millis;

use crate::diff::{Budget, Budgets};

/// The terms of every trial. By default there is none: what is accepted is active at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// For how long a candidate is asked and answers nobody.
    pub shadow: Millis,
    /// The shares of subjects that it answers then, in percent, rising, the last of them 100.
    pub canary: Vec<u8>,
    /// How long each share lasts at least.
    pub stage: Millis,
    /// How many decisions each stage sees at least.
    pub min_decisions: u64,
    /// How many answers may change.
    pub budgets: Budgets,
    /// How often the candidate may fail where the active revision has an answer.
    pub errors: Option<Budget>,
}

impl Terms {
    /// Where a trial begins; `None` where there is none.
    #[must_use]
    pub fn first(&self) -> Option<Stage> {
        if self.shadow > Millis(0) { Some(Stage::Shadow) } else { self.canary.first().copied().map(Stage::Canary) }
    }

    /// What comes after a stage; `None` where the candidate becomes active. A stage that is not configured any more goes on where it would have been.
    #[must_use]
    pub fn after(&self, stage: Stage) -> Option<Stage> {
        self.canary.iter().copied().map(Stage::Canary).find(|next| *next > stage)
    }

    /// How long a stage lasts at least.
    #[must_use]
    pub const fn lasts(&self, stage: Stage) -> Millis {
        match stage {
            Stage::Shadow => self.shadow,
            Stage::Canary(_) => self.stage,
        }
    }
}
