//! An input with some of its paths set, as the decision point could have built it: what follows from what is set follows, and what cannot be is no input.

use std::collections::BTreeSet;

use countersign_sdk_types::contract::Input;
use countersign_sdk_types::{Reason, RiskScore, Signal};
use serde_json::json;

use super::super::lint::{removed, set};
use super::Setting;

/// The input with these settings; `None` where contract 1 has no such input.
#[must_use]
pub fn made(base: &Input, settings: &[Setting]) -> Option<Input> {
    let mut document = serde_json::to_value(base).ok()?;
    let mut is_set = BTreeSet::new();
    for setting in settings {
        let (path, name) = (&setting.path, setting.name());
        document = match &setting.value {
            // The place has one form: `known` and `unknown` exclude each other.
            Some(value) if name == "context.place.unknown" => set(document, path.get(..2)?, json!({ "unknown": value }))?,
            Some(value) => set(document, path, value.clone())?,
            None => removed(document, path),
        };
        is_set.insert(name);
    }
    let mut input: Input = serde_json::from_value(document).ok()?;
    risk(&mut input, &is_set)?;
    request(&mut input, &is_set)?;
    subject(&mut input);
    Some(input)
}

/// Level and points follow from the score, and what remains is no more than what there was. The evidence of a made-up score is of a kind that a passkey answers.
fn risk(input: &mut Input, is_set: &BTreeSet<String>) -> Option<()> {
    let context = &mut input.context;
    if is_set.contains("context.risk.level") && context.risk.level != context.risk_score.level() {
        let fits = |score: &RiskScore| score.level() == context.risk.level;
        let score = (0..=100).filter_map(|score| RiskScore::new(score).ok()).find(fits)?;
        if is_set.contains("context.risk_score") {
            return None;
        }
        context.risk_score = score;
    }
    context.risk.level = context.risk_score.level();
    if context.risk.inherent < context.risk_score {
        if is_set.contains("context.risk.inherent") {
            return None;
        }
        context.risk.inherent = context.risk_score;
    }
    let sum: i32 = context.risk.reasons.iter().map(|reason| i32::from(reason.points)).sum();
    let inherent = context.risk.inherent.value();
    if sum != i32::from(inherent) && !is_set.contains("context.risk.reasons") {
        let points = i8::try_from(inherent).ok()?;
        context.risk.reasons = vec![Reason { signal: Signal::Travel, points, text: "made up".to_owned() }];
    }
    Some(())
}

/// Of a proxied request the method is the action, and host and path are the resource.
fn request(input: &mut Input, is_set: &BTreeSet<String>) -> Option<()> {
    let request = &mut input.request;
    if request.method.is_empty() || request.host.is_empty() {
        return Some(());
    }
    match (is_set.contains("action.name"), is_set.contains("request.method")) {
        (true, true) if input.action.name != request.method => return None,
        (true, _) => request.method.clone_from(&input.action.name),
        (false, true) => input.action.name.clone_from(&request.method),
        (false, false) => {}
    }
    if is_set.contains("request.path") && !is_set.contains("request.raw_path") {
        request.raw_path.clone_from(&request.path);
    }
    if (is_set.contains("request.path") || is_set.contains("request.host")) && !is_set.contains("resource.id") {
        input.resource.id = format!("{}{}", request.host, request.path);
    }
    Some(())
}

/// The one role is one of all, and a flag that is not the pessimistic one is known.
fn subject(input: &mut Input) {
    if !input.user.role.is_empty() {
        input.user.roles.insert(input.user.role.clone());
    }
    let flags =
        [("device.compliant", input.device.compliant), ("device.managed", input.device.managed), ("ip", !input.context.ip.is_empty())];
    for (name, is_known) in flags {
        if is_known {
            input.context.known.insert(name.to_owned(), true);
        }
    }
    let is_placed = input.context.place.known().is_some();
    input.context.known.insert("place".to_owned(), is_placed);
}
