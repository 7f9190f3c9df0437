//! Which proof would make it yes: the same policy is asked again as if a step-up had been done.
//!
//! The counterfactual goes through the same input builder, with one more grant in the facts; nothing is patched. Any error is a deny.

use countersign_sdk_types::contract::Verdict;
use countersign_sdk_types::{Acr, DenialCode, Effect, GrantId, Millis, Seconds};
use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::decide::Case;
use crate::facts::LiveGrant;

/// The most levels that are tried.
const MAX_TRIED: usize = 3;
/// A demand that comes again so soon after the proof that answered it would only go in circles.
const TOO_SOON: Millis = Millis(30_000);

/// One proof that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The level.
    pub acr: Acr,
    /// Whether the subject's credentials reach it.
    pub reachable: bool,
    /// What the policy said then.
    pub effect: Effect,
}

/// What was found.
pub(crate) enum Remedy {
    /// The least burdensome level that works and that the subject can reach.
    Level(Acr),
    /// Nothing helps.
    None(Denial),
}

/// Tries levels in the order of the ladder, those that the subject can reach first.
pub(crate) fn look(case: &Case<'_>, verdict: &Verdict) -> (Remedy, Vec<Attempt>) {
    let mut tried = Vec::new();
    for (acr, reachable) in candidates(case, verdict) {
        let effect = match outcome(case, &acr) {
            Ok(effect) => effect,
            Err(denial) => return (Remedy::None(denial), tried),
        };
        tried.push(Attempt { acr: acr.clone(), reachable, effect });
        if effect == Effect::Allow {
            return (found(case, acr, reachable), tried);
        }
    }
    (Remedy::None(hopeless(case, verdict)), tried)
}

fn candidates(case: &Case<'_>, verdict: &Verdict) -> Vec<(Acr, bool)> {
    let ladder = &case.snapshot.ladder;
    let enough = |level: &&Acr| verdict.acr.as_ref().is_none_or(|wanted| ladder.satisfied_by(level).contains(wanted));
    let is_reachable = |level: &Acr| case.facts.reachable.contains(level);
    let (reachable, beyond): (Vec<&Acr>, Vec<&Acr>) = ladder.levels().iter().filter(enough).partition(|level| is_reachable(level));
    let reachable = reachable.into_iter().map(|level| (level.clone(), true));
    reachable.chain(beyond.into_iter().map(|level| (level.clone(), false))).take(MAX_TRIED).collect()
}

fn outcome(case: &Case<'_>, acr: &Acr) -> Result<Effect, Denial> {
    let facts = case.facts.with_grant(counterfactual(case, acr)?);
    let verdict = case.snapshot.ask(&case.input(&facts))?;
    Ok(case.effect(&verdict))
}

/// The grant that a ceremony of this level would leave now.
fn counterfactual(case: &Case<'_>, acr: &Acr) -> Result<LiveGrant, Denial> {
    let id = GrantId::new("counterfactual").map_err(|error| Denial::new(DenialCode::Internal, error.to_string()))?;
    Ok(LiveGrant {
        id,
        acr: acr.clone(),
        satisfied: case.snapshot.ladder.satisfied_by(acr).iter().cloned().collect(),
        answers: case.assessment.answerable(),
        auth_time: case.now,
        expires: case.now.after(Seconds(1)),
    })
}

fn found(case: &Case<'_>, acr: Acr, reachable: bool) -> Remedy {
    match () {
        () if !reachable => Remedy::None(Denial::new(
            DenialCode::NotEnrolled,
            format!("level `{acr}` would help, and no passkey of this subject reaches it"),
        )),
        () if is_repeated(case, &acr) => {
            Remedy::None(Denial::new(DenialCode::StepUpExhausted, format!("level `{acr}` was proved a moment ago")))
        }
        () => Remedy::Level(acr),
    }
}

/// Whether a live grant already is what the remedy asks for. Only a younger proof could then differ, and a proof just made is not asked for again.
fn is_repeated(case: &Case<'_>, acr: &Acr) -> bool {
    let answerable = case.assessment.answerable();
    case.facts.live(case.now).any(|grant| {
        let covers = grant.satisfied.contains(acr) && answerable.is_subset(&grant.answers);
        covers && (case.facts.repeated_demand || case.now.since(grant.auth_time) < TOO_SOON)
    })
}

fn hopeless(case: &Case<'_>, verdict: &Verdict) -> Denial {
    let asked = verdict.effect == Effect::StepUp && case.facts.live(case.now).next().is_some();
    if asked {
        return Denial::new(DenialCode::StepUpExhausted, "a proof was given, and the policy still wants one");
    }
    Denial::new(DenialCode::PolicyDenied, "nothing that the subject could prove would change the policy's no")
}
