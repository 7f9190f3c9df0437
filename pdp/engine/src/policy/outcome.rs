//! What an input document comes to without the facts that it was made of: the answer of the policy, or a step-up where a proof would make it yes.
//!
//! A decision has its remedy computed from facts ([`crate::decide`]). A document by itself says enough for a likeness of it: the proof is given, and what a
//! passkey answers of the evidence is gone.

use std::time::Duration;

use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::{Acr, Effect, Ladder, RiskScore};

use super::{Policy, PolicyError};

/// The most levels that are tried, as in a decision.
const MAX_TRIED: usize = 3;

/// What a policy makes of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The answer, where a subject has a passkey of every level.
    pub effect: Effect,
    /// What the policy said.
    pub verdict: Result<Verdict, PolicyError>,
    /// The least burdensome proof that makes it an allow, where one does.
    pub proof: Option<Acr>,
}

impl Outcome {
    /// Asks a policy.
    #[must_use]
    pub fn of(policy: &Policy, input: &Input, budget: Duration) -> Self {
        let verdict = policy.evaluate_within(input, budget);
        let Ok(said) = &verdict else { return Self { effect: Effect::Deny, verdict, proof: None } };
        if said.effect == Effect::Allow || said.is_final {
            return Self {
                effect: if said.is_final && said.effect != Effect::Allow { Effect::Deny } else { said.effect },
                verdict,
                proof: None,
            };
        }
        let ladder = Ladder::default();
        let enough = |level: &&Acr| said.acr.as_ref().is_none_or(|wanted| ladder.satisfied_by(level).contains(wanted));
        let allows = |level: &&Acr| {
            let verdict = policy.evaluate_within(&proved(input, &ladder, level), budget);
            verdict.is_ok_and(|verdict| verdict.effect == Effect::Allow)
        };
        let proof = ladder.levels().iter().filter(enough).take(MAX_TRIED).find(allows).cloned();
        Self { effect: if proof.is_some() { Effect::StepUp } else { Effect::Deny }, verdict, proof }
    }

    /// Why, in the words of the policy.
    #[must_use]
    pub fn why(&self) -> String {
        match (&self.verdict, &self.proof) {
            (Ok(verdict), _) if !verdict.reasons.is_empty() => verdict.reasons.join("; "),
            (Ok(_), None) if self.effect == Effect::Allow => "allowed".to_owned(),
            (Ok(_), Some(acr)) => format!("a step-up to `{acr}` allows it"),
            (Ok(_), None) => "the policy gives no reason".to_owned(),
            (Err(error), _) => error.to_string(),
        }
    }
}

/// The same input just after a proof.
fn proved(input: &Input, ladder: &Ladder, level: &Acr) -> Input {
    let mut input = input.clone();
    input.session.acr_satisfied.extend(ladder.satisfied_by(level).iter().cloned());
    input.session.auth_time = input.session.auth_time.max(input.context.time.div_euclid(1000));
    let answered: i32 = input
        .context
        .risk
        .reasons
        .iter()
        .filter(|reason| reason.signal.answered_by_passkey())
        .map(|reason| i32::from(reason.points.max(0)))
        .sum();
    let remains = (i32::from(input.context.risk_score.value()) - answered).max(0);
    if let Some(score) = u8::try_from(remains).ok().and_then(|score| RiskScore::new(score).ok()) {
        input.context.risk_score = score;
        input.context.risk.level = score.level();
    }
    input
}
