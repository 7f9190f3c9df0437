//! `[policy.rollout]` as it is written.

use serde::Deserialize;

/// From accepted to active.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RolloutSettings {
    /// For how long a candidate is asked and answers nobody.
    pub(in crate::config) shadow_s: u64,
    /// The shares of subjects that it answers then, in percent.
    pub(in crate::config) canary: Vec<u8>,
    /// How long each share lasts at least.
    pub(in crate::config) stage_s: u64,
    /// How many decisions each stage sees at least.
    pub(in crate::config) min_decisions: u64,
    /// Budgets: a number, a share such as `0.5%`, or nothing for none.
    pub(in crate::config) max_new_denies: String,
    pub(in crate::config) max_new_allows: String,
    pub(in crate::config) max_new_step_ups: String,
    pub(in crate::config) max_errors: String,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            shadow_s: 0,
            canary: Vec::new(),
            stage_s: 300,
            min_decisions: 100,
            max_new_denies: "0.5%".to_owned(),
            max_new_allows: String::new(),
            max_new_step_ups: "5%".to_owned(),
            max_errors: "0".to_owned(),
        }
    }
}
