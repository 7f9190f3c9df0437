//! What risk alone would ask of the subjects of a log, for every threshold at once: by the scores that were recorded, and by those of other weights.
//!
//! Each decision is judged by itself: from the threshold on it is asked for a proof, or denied where the subject has no passkey or none would help. No policy
//! is asked, and a proof that would have been given is not carried to the decision after it: sessions are counted beside, each once.

mod curve;
mod page;
mod report;
mod tally;
mod words;

use std::path::Path;

use countersign_pdp_engine::record::{ENGINE, Record, rescored, scored};
use countersign_risk::Weights;
use countersign_sdk_types::RiskScore;

pub use curve::Curve;
pub use page::page;
pub use report::{Carried, Forecast, Found, Hour, Outlook, Person, Scoring};

use self::tally::Tally;
use crate::diff::{Budget, Log, LogError};

/// What is asked of a log.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Other weights, to be compared with the recorded scores.
    pub weights: Option<&'a Weights>,
    /// The score from which on a proof is asked for.
    pub threshold: RiskScore,
    /// How many decisions may be asked or denied: the lowest threshold that keeps to it is looked for.
    pub budget: Option<Budget>,
    /// A subject who is asked more often is named.
    pub asked_more_than: u32,
}

/// Reads a log once. `progress` hears how many bytes of it are read.
///
/// # Errors
/// When the log cannot be read.
pub fn run(log: &Path, plan: &Plan<'_>, progress: impl FnMut(u64)) -> Result<Forecast, LogError> {
    let mut tally = Tally::new(if plan.weights.is_some() { 2 } else { 1 });
    Log::open(log)?.each(progress, |read| match read {
        Ok(Some(record)) => take(&record, plan.weights, &mut tally),
        Ok(None) => {}
        Err(_) => tally.unreadable += 1,
    })?;
    Ok(report::forecast(&tally, plan))
}

fn take(record: &Record, weights: Option<&Weights>, tally: &mut Tally) {
    let (Some(then), Some(whose)) = (scored(record), record.whose()) else {
        tally.undecided += 1;
        return;
    };
    tally.other_engine += u64::from(record.engine != ENGINE);
    let now = weights.and_then(|weights| rescored(record, weights));
    tally.add(&record.summary, whose, [Some(&then), now.as_ref()].into_iter().flatten());
}
