//! What the policy says by itself, by score: where its thresholds are, and what a proof moves.

use countersign_sdk_types::contract::Input;
use countersign_sdk_types::{Acr, Effect, RiskScore};

use super::{Plan, line, said, symbol};
use crate::policy::Policy;

/// Scores in a row that are answered alike.
struct Band {
    first: u8,
    last: u8,
    said: Vec<Effect>,
}

pub(super) fn write(policy: &Policy, plan: &Plan, text: &mut String) -> Option<()> {
    let golden: Input = serde_json::from_str(crate::input::GOLDEN).ok()?;
    text.push_str("\n# What the policy says by itself, by score: without any proof, and when a passkey was touched.\n");
    let width = plan.roles.iter().map(|role| role.chars().count()).max().unwrap_or(0).max("stranger".len()) + 2;
    line(&plan.actions, text, &format!("{:<width$}{:<11}{:<9}{:<9}", "role", "compliant", "proof", "score"), |action| {
        Some(action.to_owned())
    })?;
    for role in plan.roles.iter().map(String::as_str).chain([""]) {
        for compliant in [true, false] {
            for proof in [None, Some(Acr::phr())] {
                let input = asked(&golden, role, compliant, proof.as_ref());
                for band in bands(policy, plan, &input) {
                    let name = if role.is_empty() { "stranger" } else { role };
                    let listed = if compliant { "yes" } else { "no" };
                    let proved = proof.as_ref().map_or("none", |_| "passkey");
                    let scores = format!("{}–{}", band.first, band.last);
                    let mut cells = band.said.iter();
                    let head = format!("{name:<width$}{listed:<11}{proved:<9}{scores:<9}");
                    line(&plan.actions, text, &head, |_| cells.next().map(|effect| symbol(*effect).to_owned()))?;
                }
            }
        }
    }
    Some(())
}

fn asked(golden: &Input, role: &str, compliant: bool, proof: Option<&Acr>) -> Input {
    let mut input = golden.clone();
    role.clone_into(&mut input.user.role);
    input.user.roles = Some(role.to_owned()).filter(|role| !role.is_empty()).into_iter().collect();
    input.device.compliant = compliant;
    input.session.acr_satisfied = proof.cloned().into_iter().collect();
    input
}

fn bands(policy: &Policy, plan: &Plan, input: &Input) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for score in 0..=100 {
        let said: Vec<Effect> = plan.actions.iter().map(|action| said(policy, &with(input, action, score))).collect();
        match bands.last_mut() {
            Some(band) if band.said == said => band.last = score,
            _ => bands.push(Band { first: score, last: score, said }),
        }
    }
    bands
}

fn with(input: &Input, action: &str, score: u8) -> Input {
    let mut input = input.clone();
    action.clone_into(&mut input.action.name);
    action.clone_into(&mut input.request.method);
    input.context.risk_score = RiskScore::new(score).unwrap_or(RiskScore::MAX);
    input.context.risk.inherent = input.context.risk_score;
    input.context.risk.level = input.context.risk_score.level();
    input
}
