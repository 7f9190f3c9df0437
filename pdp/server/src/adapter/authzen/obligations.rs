//! The Obligations profile (draft 1): which types there are, what a caller supports of them, and how a step-up is told.
//!
//! A step-up is always `decision: false` with the obligation: an enforcement point that ignores obligations fails closed.

use std::collections::BTreeSet;

use countersign_pdp_engine::decide::Demand;
use countersign_pdp_engine::policy::STEP_UP;
use countersign_sdk_types::{Acr, Obligation};
use serde_json::{Map, Value, json};

/// The member of a request's context, and of the metadata.
pub(super) const SUPPORTED: &str = "supported_obligations";

/// The types of the profile, and the one by which an operator's emergency is told.
const TYPES: [&str; 4] = [STEP_UP, "notification", "session_termination", "break-glass"];

/// Every type that an answer may carry, by the profile or by configuration.
pub(crate) fn offered(configured: &BTreeSet<String>) -> BTreeSet<String> {
    TYPES.into_iter().map(ToOwned::to_owned).chain(configured.iter().cloned()).collect()
}

/// Leaves of what a caller says it supports what is offered here. What is no list is left to be refused.
pub(super) fn negotiate(context: &mut Map<String, Value>, offered: &BTreeSet<String>) {
    if let Some(Value::Array(supported)) = context.get_mut(SUPPORTED) {
        supported.retain(|one| one.as_str().is_none_or(|one| offered.contains(one)));
    }
}

/// Obligations as a context carries them; nothing where there are none.
pub(super) fn carried(obligations: &[Obligation]) -> Map<String, Value> {
    let mut context = Map::new();
    if !obligations.is_empty() {
        context.insert("obligations".to_owned(), json!(obligations));
    }
    context
}

/// The obligation, and the same as the hint of RFC 9470.
pub(super) fn step_up(demand: &Demand) -> Map<String, Value> {
    let (acr, max_age, methods) = (&demand.acr, demand.max_age.0, methods(&demand.acr));
    let mut properties = Map::from_iter([("acr_value".to_owned(), json!(acr)), ("max_age".to_owned(), json!(max_age))]);
    let mut hint = Map::from_iter([("acr_values".to_owned(), json!(acr)), ("max_age".to_owned(), json!(max_age))]);
    if let Some(methods) = methods {
        properties.insert("amr_values".to_owned(), json!(methods));
        hint.insert("amr_values".to_owned(), json!(methods.join(" ")));
    }
    let obligation = Obligation { id: STEP_UP.to_owned(), kind: STEP_UP.to_owned(), properties };
    carried(&[obligation]).into_iter().chain(hint).collect()
}

/// How a passkey proves a level (RFC 8176): a key that may be synchronised, or one in hardware, and a person who was there. Of other levels nothing is known.
fn methods(acr: &Acr) -> Option<[&'static str; 2]> {
    match () {
        () if *acr == Acr::phr() => Some(["pop", "user"]),
        () if *acr == Acr::phrh() => Some(["hwk", "user"]),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    //! Negotiation, and the form of a step-up.

    use countersign_sdk_types::Seconds;

    use super::*;

    #[test]
    fn what_is_not_offered_is_ignored() {
        let mut context = Map::from_iter([(SUPPORTED.to_owned(), json!(["notification", "dance", 5]))]);
        negotiate(&mut context, &offered(&BTreeSet::from(["watermark".to_owned()])));
        assert_eq!(context[SUPPORTED], json!(["notification", 5]), "what is no text is left to be refused");
    }

    #[test]
    fn a_step_up_is_an_obligation_and_a_hint() {
        let context = step_up(&Demand { acr: Acr::phrh(), max_age: Seconds(60), reasons: Vec::new() });
        let properties = json!({"acr_value": "phrh", "amr_values": ["hwk", "user"], "max_age": 60});
        let told = json!({"obligations": [{"id": "step-up", "type": "step-up", "properties": properties}],
            "acr_values": "phrh", "amr_values": "hwk user", "max_age": 60});
        assert_eq!(json!(context), told);
    }
}
