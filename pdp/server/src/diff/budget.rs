//! How much of a change is bearable: a share of all decisions, or a number of them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::tally::Report;

/// A bound on how many decisions may change in one way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// So many.
    Count(u64),
    /// So many of a hundred.
    Percent(f64),
}

/// Why a text is no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a budget is a number of decisions, such as `0`, or a share of them, such as `0.1%`")]
pub struct BudgetError;

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.strip_suffix('%') {
            Some(share) if is_plain(share) => {
                let percent: f64 = share.parse().map_err(|_| BudgetError)?;
                if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(BudgetError) }
            }
            None if is_plain(text) => text.parse().map(Self::Count).map_err(|_| BudgetError),
            _ => Err(BudgetError),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

impl Budget {
    #[expect(clippy::cast_precision_loss, reason = "a log has fewer than 2^52 decisions")]
    pub(crate) fn holds(self, changed: u64, of: u64) -> bool {
        match self {
            Self::Count(most) => changed <= most,
            Self::Percent(most) => changed as f64 * 100.0 <= most * of as f64,
        }
    }
}

/// What may change at most; what is not named may change.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budgets {
    /// From an allow or a step-up to a deny.
    pub new_denies: Option<Budget>,
    /// From a deny or a step-up to an allow.
    pub new_allows: Option<Budget>,
    /// From an allow to a step-up.
    pub new_step_ups: Option<Budget>,
}

/// A budget that does not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exceeded {
    /// What there is too much of.
    pub what: &'static str,
    /// How much there is.
    pub changed: u64,
    /// How much there may be.
    pub budget: Budget,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, and the budget is {}", self.changed, self.what, self.budget)
    }
}

impl Budgets {
    /// Those that do not hold.
    #[must_use]
    pub fn exceeded(&self, report: &Report) -> Vec<Exceeded> {
        // What could not be read could be anything: a budget holds for a log that was read whole.
        let readable = (*self != Self::default()).then_some(Budget::Count(0));
        let all = [
            ("new denies", self.new_denies, report.new_denies),
            ("new allows", self.new_allows, report.new_allows),
            ("new step-ups", self.new_step_ups, report.new_step_ups),
            ("lines that could not be read", readable, report.unreadable),
        ];
        let exceeded = all.into_iter().filter_map(|(what, budget, changed)| {
            let budget = budget.filter(|budget| !budget.holds(changed, report.decisions))?;
            Some(Exceeded { what, changed, budget })
        });
        exceeded.collect()
    }
}
