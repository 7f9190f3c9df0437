//! The only builder of the input document of contract 1.
//!
//! Every field is typed and present. What is not known takes its pessimistic value, and `context.known` says so.

use std::collections::{BTreeMap, BTreeSet};

use countersign_risk::{Assessment, BindingState, Sighting};
use countersign_sdk_types::contract::{CONTRACT, Context, Device, Input, RESERVED_CONTEXT, Request, Risk, Session, Token, User};
use countersign_sdk_types::{Acr, Digest, Entity, Ladder, RiskScore, Timestamp};

use crate::facts::Facts;
use crate::identify::{Identified, IdentifiedBy};

#[cfg(test)]
mod tests;

/// The golden example of the input, as people read it.
pub const GOLDEN: &str = include_str!("../../../policies/schema/input.golden.json");
/// The role that an operator's break-glass adds.
pub const BREAK_GLASS_ROLE: &str = "break_glass";

/// Builds the document.
#[must_use]
pub fn build(
    identified: &Identified,
    facts: &Facts,
    sighting: &Sighting,
    assessment: &Assessment,
    ladder: &Ladder,
    now: Timestamp,
) -> Input {
    let proof = Proof::of(identified, facts, ladder, now);
    let remaining = assessment.remaining(&answered(facts, now));
    Input {
        contract: CONTRACT,
        tenant: identified.subject.tenant.clone(),
        subject: subject(identified),
        action: identified.request.action.clone(),
        resource: identified.request.resource.clone(),
        user: user(identified, facts),
        device: device(identified, facts, sighting),
        session: Session { id: identified.session.as_str().to_owned(), acr_satisfied: proof.satisfied, auth_time: proof.auth_time },
        token: token(identified),
        request: request(identified),
        context: context(identified, facts, assessment, remaining, now),
    }
}

/// The digests of the evidence that live grants answer.
pub(crate) fn answered(facts: &Facts, now: Timestamp) -> BTreeSet<Digest> {
    facts.live(now).flat_map(|grant| grant.answers.iter().copied()).collect()
}

/// What this presentation proves, as opposed to what the token says.
struct Proof {
    satisfied: BTreeSet<Acr>,
    auth_time: i64,
}

impl Proof {
    fn of(identified: &Identified, facts: &Facts, ladder: &Ladder, now: Timestamp) -> Self {
        let mut satisfied: BTreeSet<Acr> = facts.live(now).flat_map(|grant| grant.satisfied.iter().cloned()).collect();
        let mut auth_time = facts.live(now).map(|grant| grant.auth_time.secs()).max().unwrap_or(0);
        if token_proves(identified, facts, now) {
            let levels = identified.token.acr.iter().flat_map(|acr| ladder.satisfied_by(acr));
            satisfied.extend(levels.cloned());
            auth_time = auth_time.max(identified.token.auth_time.map_or(0, Timestamp::secs));
        }
        Self { satisfied, auth_time }
    }
}

/// A level inside a token can be stolen with it, unless its key was proved on this request or the login answered our own demand.
///
/// A session cookie stays the same when its owner logs in again: a later login says nothing of who presents it.
fn token_proves(identified: &Identified, facts: &Facts, now: Timestamp) -> bool {
    let fresh = match (identified.token.auth_time, facts.demanded_at) {
        (Some(login), Some(demand)) => login > demand && login <= now,
        _ => false,
    };
    identified.binding == BindingState::Proved || (fresh && identified.by == IdentifiedBy::Token)
}

fn subject(identified: &Identified) -> Entity {
    match &identified.request.asserted_subject {
        Some(asserted) => asserted.clone(),
        None => Entity { kind: "user".to_owned(), id: identified.subject.sub.clone(), properties: serde_json::Map::new() },
    }
}

fn user(identified: &Identified, facts: &Facts) -> User {
    let directory = facts.user.clone().unwrap_or_default();
    let mut roles = directory.roles;
    // Only an operator breaks the glass: the directory cannot grant the role.
    roles.remove(BREAK_GLASS_ROLE);
    if !directory.role.is_empty() {
        roles.insert(directory.role.clone());
    }
    if facts.break_glass {
        roles.insert(BREAK_GLASS_ROLE.to_owned());
    }
    User { id: identified.subject.sub.clone(), role: directory.role, roles }
}

fn device(identified: &Identified, facts: &Facts, sighting: &Sighting) -> Device {
    let inventory = facts.device.inventory.unwrap_or_default();
    let known = [sighting.cookie, sighting.key].into_iter().flatten().any(|device| facts.baseline.knows_device(device));
    Device {
        id: identified.device.as_ref().map_or_else(String::new, |device| device.as_str().to_owned()),
        compliant: inventory.compliant.unwrap_or(false),
        managed: inventory.managed.unwrap_or(false),
        known,
        bound: identified.binding == BindingState::Proved,
    }
}

fn token(identified: &Identified) -> Token {
    let token = &identified.token;
    Token {
        iss: token.iss.clone(),
        sub: token.sub.clone(),
        acr: token.acr.as_ref().map_or_else(String::new, |acr| acr.as_str().to_owned()),
        amr: token.amr.iter().cloned().collect(),
        scopes: token.scopes.iter().cloned().collect(),
        claims: token.claims.clone(),
    }
}

fn request(identified: &Identified) -> Request {
    let Some(http) = &identified.request.http else { return Request::default() };
    Request {
        method: http.method.clone(),
        host: http.host.as_str().to_owned(),
        path: http.path.as_str().to_owned(),
        raw_path: http.raw_path.clone(),
        query: http.query.clone(),
        headers: http.headers.clone(),
    }
}

fn context(identified: &Identified, facts: &Facts, assessment: &Assessment, remaining: RiskScore, now: Timestamp) -> Context {
    let caller = &identified.request.caller;
    let asserted = caller.iter().filter(|(name, _)| !RESERVED_CONTEXT.contains(&name.as_str()));
    Context {
        risk_score: remaining,
        risk: Risk { inherent: assessment.inherent(), level: remaining.level(), reasons: assessment.reasons() },
        ip: identified.request.client_address.map_or_else(String::new, |address| address.to_canonical().to_string()),
        place: facts.place.clone(),
        time: now.0,
        known: known(identified, facts),
        caller: caller.clone(),
        asserted: asserted.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

fn known(identified: &Identified, facts: &Facts) -> BTreeMap<String, bool> {
    let inventory = facts.device.inventory.unwrap_or_default();
    let known = [
        ("baseline", facts.baseline.weight() > 0.0),
        ("device.compliant", inventory.compliant.is_some()),
        ("device.managed", inventory.managed.is_some()),
        ("ip", identified.request.client_address.is_some()),
        ("place", facts.place.known().is_some()),
        ("user", facts.user.is_some()),
    ];
    known.into_iter().map(|(name, known)| (name.to_owned(), known)).collect()
}
