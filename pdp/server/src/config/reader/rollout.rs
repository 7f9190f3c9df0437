//! On which terms a candidate becomes active.

use countersign_sdk_types::{Millis, Seconds};

use super::super::settings::rollout::RolloutSettings;
use super::Reader;
use crate::diff::{Budget, Budgets};
use crate::policies::Terms;

/// A month: whoever wants to know for longer has a log.
const LONGEST: u64 = 30 * 24 * 3600;
const MOST_DECISIONS: u64 = 1_000_000_000;

impl Reader<'_> {
    /// Without the section nothing is tried, and what is accepted is active at once.
    pub(super) fn rollout(&mut self, settings: Option<RolloutSettings>) -> Terms {
        let Some(settings) = settings else { return Terms::default() };
        let RolloutSettings { shadow_s, canary, stage_s, min_decisions, .. } = &settings;
        if *shadow_s == 0 && canary.is_empty() {
            self.problem("policy.rollout", "nothing would be tried: give `shadow_s`, or `canary = [1, 10, 100]`, or leave the section out");
        }
        for (key, seconds) in [("shadow_s", shadow_s), ("stage_s", stage_s)] {
            if *seconds > LONGEST {
                self.problem(&format!("policy.rollout.{key}"), "it is more than 2592000, which is a month");
            }
        }
        let is_rising = canary.windows(2).all(|pair| pair.first() < pair.last());
        let is_whole = canary.is_empty() || (canary.first() > Some(&0) && canary.last() == Some(&100));
        if !is_rising || !is_whole {
            self.problem("policy.rollout.canary", "the shares are percents that rise from 1 or more to 100, such as `[1, 10, 100]`");
        }
        if !(1..=MOST_DECISIONS).contains(min_decisions) {
            self.problem("policy.rollout.min_decisions", "it is not a number from 1 to 1000000000");
        }
        Terms {
            shadow: Millis::from(Seconds(*shadow_s)),
            canary: canary.clone(),
            stage: Millis::from(Seconds(*stage_s)),
            min_decisions: *min_decisions,
            budgets: Budgets {
                new_denies: self.budget("max_new_denies", &settings.max_new_denies),
                new_allows: self.budget("max_new_allows", &settings.max_new_allows),
                new_step_ups: self.budget("max_new_step_ups", &settings.max_new_step_ups),
            },
            errors: self.budget("max_errors", &settings.max_errors),
        }
    }

    /// Nothing is no budget; what cannot be read is a problem, never none.
    fn budget(&mut self, key: &str, text: &str) -> Option<Budget> {
        if text.is_empty() { None } else { self.noted(&format!("policy.rollout.{key}"), text.parse::<Budget>()) }
    }
}
