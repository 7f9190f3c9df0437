//! What `policy bench` asks about: the golden example, what is at the edges of scores and proofs, and a sample of logged decisions.

use countersign_pdp_engine::record::Record;
use countersign_sdk_types::contract::Input;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Acr, Ladder, RiskScore};

use super::Bench;
use crate::diff::Log;

/// How many records are read in one go.
const BATCH: usize = 256;

/// Inputs by what they are.
pub(super) fn kinds(asked: &Bench) -> Result<Vec<(&'static str, Vec<Input>)>, String> {
    let golden: Input = serde_json::from_str(countersign_pdp_engine::input::GOLDEN).map_err(|error| error.to_string())?;
    let mut kinds = vec![("golden", vec![golden.clone()]), ("edges", edges(&golden))];
    if let Some(log) = &asked.log {
        let failed = |error: crate::diff::LogError| format!("{}: {error}", log.display());
        let mut sample = Vec::new();
        let most = usize::from(asked.sample);
        let ladder = Ladder::default();
        let take = |batch: Vec<Vec<u8>>| {
            let records = batch.iter().filter_map(|raw| strict::from_slice::<Record>(raw, Limits::PEER).ok());
            sample.extend(records.filter_map(|record| record.input(&ladder)));
            sample.len() < most
        };
        Log::open(log).and_then(|log| log.batches(BATCH, |_| {}, take)).map_err(failed)?;
        sample.truncate(most);
        if sample.is_empty() {
            return Err(format!("{}: there is no decision in the log that a policy was asked about", log.display()));
        }
        kinds.push(("log", sample));
    }
    Ok(kinds)
}

/// The golden example with every kind of action, at scores around the usual thresholds, with a proof and without.
fn edges(golden: &Input) -> Vec<Input> {
    let mut inputs = Vec::new();
    for action in ["GET", "POST", "DELETE"] {
        for score in [0, 19, 20, 29, 30, 100] {
            for proof in [None, Some(Acr::phr())] {
                let mut input = golden.clone();
                action.clone_into(&mut input.action.name);
                action.clone_into(&mut input.request.method);
                input.context.risk_score = RiskScore::new(score).unwrap_or(RiskScore::MAX);
                input.context.risk.level = input.context.risk_score.level();
                input.session.acr_satisfied = proof.into_iter().collect();
                inputs.push(input);
            }
        }
    }
    inputs
}
