//! How long an allow may be repeated after it was given, and what it rests on.
//!
//! What changes is told to whoever holds a lease; what only time changes is found out before: the same question with the same facts is decided again for
//! the end of the lease, and for every minute that begins within it, because minutes and hours are what policies look at. A policy that says no only
//! between two of these instants, and yes at both, is not noticed.

pub mod tag;

use std::collections::BTreeSet;

use countersign_sdk_types::{Millis, Obligation, RiskScore, Tag, Timestamp};

use crate::decide::{Decided, Decision, allowed};
use crate::facts::Facts;
use crate::identify::Identified;
use crate::request::{Credentials, Scheme};
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// Beginnings of minutes that are looked at: no lease is longer than so many minutes.
const MOST_MINUTES: i64 = 10;
/// How often a lease is halved before there is none.
const HALVINGS: u32 = 3;
/// A shorter lease is of no use.
const SHORTEST: i64 = 100;

/// On which terms leases are given.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The longest.
    pub ttl: Millis,
    /// The risk is below this, now and to the end.
    pub risk_below: RiskScore,
    /// Actions that are asked about every time.
    pub never: &'a BTreeSet<String>,
    /// When something ends that the decision does not know of, such as how long an issuer's word about a token counts.
    pub until: Option<Timestamp>,
    /// What else the decision rests on that is not in it.
    pub also: &'a [Tag],
}

/// A decision, with everything that it was made of.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// Who asked.
    pub identified: &'a Identified,
    /// What was presented.
    pub credentials: &'a Credentials,
    /// What was known.
    pub facts: &'a Facts,
    /// Who was asked.
    pub snapshot: &'a Snapshot,
    /// When.
    pub now: Timestamp,
    /// What came of it.
    pub decided: &'a Decided,
}

/// What may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// How long, from when the question was asked.
    pub ttl: Millis,
    /// What ends it: the subject, its session, device and token, the user of the directory, and the client's address and network.
    pub depends_on: Vec<Tag>,
}

/// The lease of an allow. `None` where the next request must be asked about: what is no allow, an emergency, a risk that is not low enough, an action of
/// [`Terms::never`], a proof that is good for one request, and an allow that ends at once.
#[must_use]
pub fn mint(made: &Made<'_>, terms: &Terms<'_>) -> Option<Leased> {
    let Decision::Allow(permit) = &made.decided.decision else { return None };
    let is_plain = !made.facts.break_glass && made.decided.trace.remaining < terms.risk_below && !presents_once(made.credentials);
    if !is_plain || terms.never.contains(&made.identified.request.action.name) {
        return None;
    }
    let end = longest(made, terms);
    let ttl = hold(made.now, end, |at| allows(made, terms, permit.obligations(), at))?;
    Some(Leased { ttl, depends_on: tags(made.identified).into_iter().chain(terms.also.iter().copied()).collect() })
}

/// A proof of possession is made for one request: to repeat the answer would be to repeat the proof.
const fn presents_once(credentials: &Credentials) -> bool {
    credentials.proof.is_some() || matches!(credentials.token, Some((Scheme::Dpop, _)))
}

/// When anything ends whose end is known.
fn longest(made: &Made<'_>, terms: &Terms<'_>) -> Timestamp {
    let Made { identified, facts, now, .. } = made;
    let grants = facts.live(*now).map(|grant| grant.expires);
    let known = identified.token.expires.into_iter().chain(terms.until).chain(grants);
    known.fold(now.after(terms.ttl), Timestamp::min)
}

/// Whether the same question is allowed at another instant just as it was: at no less obligations, and still at low risk.
fn allows(made: &Made<'_>, terms: &Terms<'_>, obligations: &[Obligation], at: Timestamp) -> bool {
    let allowed = allowed(made.identified, made.facts, made.snapshot, at);
    allowed.is_some_and(|(risk, then)| risk < terms.risk_below && then == obligations)
}

const MINUTE: i64 = 60_000;

/// How long something holds from `now`, to `end` at most, as far as its instants that are looked at tell.
fn hold(now: Timestamp, end: Timestamp, holds: impl Fn(Timestamp) -> bool) -> Option<Millis> {
    let next = (now.0.div_euclid(MINUTE)).saturating_add(1).saturating_mul(MINUTE);
    let minutes = (0..MOST_MINUTES).map(|minute| next.saturating_add(minute * MINUTE));
    let last = next.saturating_add((MOST_MINUTES - 1) * MINUTE);
    let end = end.0.min(last);
    let broken = minutes.take_while(|minute| *minute <= end).find(|minute| !holds(Timestamp(*minute)));
    let end = broken.map_or(end, |minute| minute - 1);
    let mut left = end.saturating_sub(now.0);
    for _ in 0..=HALVINGS {
        if left < SHORTEST {
            return None;
        }
        if holds(Timestamp(now.0.saturating_add(left))) {
            return Some(Millis(left.unsigned_abs()));
        }
        left /= 2;
    }
    None
}

/// The names of everything that is told of when it changes.
#[must_use]
pub fn tags(identified: &Identified) -> Vec<Tag> {
    let (subject, tenant, token) = (&identified.subject, &identified.subject.tenant, &identified.token);
    let jti = token.jti.as_deref().map(|jti| tag::token_id(tenant, &token.iss, jti));
    let digest = token.digest.as_ref().map(|digest| tag::token(tenant, digest));
    let device = identified.device.as_ref().map(|device| tag::device(tenant, device));
    let addresses = identified.request.client_address.map(|address| [tag::address(tenant, address), tag::network(tenant, address)]);
    let always = [tag::subject(subject), tag::session(tenant, &identified.session), tag::user(tenant, &subject.sub)];
    always.into_iter().chain(device).chain(jti).chain(digest).chain(addresses.into_iter().flatten()).collect()
}
