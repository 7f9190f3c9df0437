//! The report, as a table in Markdown and as JSON.

use std::fmt;

use serde::Serialize;

use super::SIZES;
use super::measures::Measures;

/// How the verifier came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointerReport {
    /// People enrolled.
    pub people: usize,
    /// Their training sessions.
    pub training: usize,
    /// Test sessions.
    pub sessions: usize,
    /// Of those, by somebody else.
    pub others: usize,
    /// Of those, without a single action.
    pub silent: usize,
    /// Of those, with a movement that repeats an earlier one exactly.
    pub repeated: usize,
    /// Each way to weigh features.
    pub variants: Vec<Variant>,
}

/// One way to weigh features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// Whole test sessions, all people's together.
    pub sessions: Measures,
    /// The mean of each person's AUC.
    pub mean_auc: f64,
    /// Blocks of 50 actions of training sessions: the weights never saw the claimed person nor the one at the pointer.
    pub weights_left_out: Measures,
    /// The same, and neither is in the population.
    pub all_left_out: Measures,
    /// Blocks of the test sessions.
    pub by_actions: [ByActions; SIZES.len()],
}

/// Blocks of so many actions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ByActions {
    /// Actions.
    pub actions: usize,
    /// How well they do.
    pub measures: Measures,
}

impl fmt::Display for PointerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, training, sessions, others, silent, repeated, variants } = self;
        writeln!(f, "{people} people with {training} training sessions; {sessions} test sessions, {others} by somebody else")?;
        writeln!(f, "of the test sessions {silent} are without an action, {repeated} repeat a movement exactly")?;
        writeln!(
            f,
            "\n| whole sessions | AUC | mean AUC of a person | EER | TPR @ 1 % | TPR @ 5 % | TPR @ 10 % |\n|---|---|---|---|---|---|---|"
        )?;
        for Variant { name, sessions: Measures { auc, eer, tpr: [one, five, ten], .. }, mean_auc, .. } in variants {
            writeln!(f, "| {name} | {auc:.4} | {mean_auc:.4} | {eer:.4} | {one:.3} | {five:.3} | {ten:.3} |")?;
        }
        writeln!(f, "\n| leave-identity-out, 50 actions | AUC | EER | AUC, not in the population | EER |\n|---|---|---|---|---|")?;
        for Variant { name, weights_left_out: one, all_left_out: two, .. } in variants {
            writeln!(f, "| {name} | {:.4} | {:.4} | {:.4} | {:.4} |", one.auc, one.eer, two.auc, two.eer)?;
        }
        let head: Vec<String> = SIZES.iter().map(ToString::to_string).collect();
        writeln!(f, "\n| AUC by number of actions | {} |\n|---{}|", head.join(" | "), "|---".repeat(SIZES.len()))?;
        for Variant { name, by_actions, .. } in variants {
            let cells: Vec<String> = by_actions.iter().map(|size| format!("{:.3}", size.measures.auc)).collect();
            writeln!(f, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}
