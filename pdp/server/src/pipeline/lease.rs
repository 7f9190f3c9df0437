//! What may be done with an answer after it was given: how fresh it is, and for how long it may be repeated.

use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::identify::{Check, Identified, IdentifiedBy};
use countersign_pdp_engine::lease::{Made, Terms, mint, tag, tags};
use countersign_sdk_types::{Consistency, DenialCode, Epoch, Lease, Millis, Tag, Timestamp, Wanted};
use tokio::time::timeout;

use super::identify::session_digest;
use super::{Pdp, Turn};

/// A lease costs about a decision for each instant that is looked at. There must be time for as many.
const LOOKS: u32 = 8;

/// What a decision has seen at least: taken before any of its facts is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) epoch: Epoch,
    pub(super) consistency: Consistency,
}

impl Pdp {
    /// How much of the log of changes a decision sees that is made now.
    #[must_use]
    pub fn position(&self) -> Consistency {
        Consistency { chain: self.chain, seq: self.store.position() }
    }

    // INVARIANT: what is told or written after this may be missed by the facts that are read next, and never by this.
    pub(super) fn seen(&self) -> Seen {
        Seen { epoch: self.hub.epoch(), consistency: self.position() }
    }

    /// Waits until decisions are at least this fresh.
    ///
    /// # Errors
    /// When they are not in time, and at once for the log of another store, which is never seen here.
    pub async fn reach(&self, floor: Consistency, within: Duration) -> Result<(), Denial> {
        if floor.chain != self.chain {
            return Err(Denial::new(DenialCode::FactsUnavailable, "the question asks for the state of another store"));
        }
        let behind = |_| Denial::new(DenialCode::FactsUnavailable, "the question asks for a later state than is known here");
        timeout(within, self.store.reached(floor.seq)).await.map_err(behind)
    }

    /// Says that a lease may be granted to this subject, so that what only raises a risk is told from now on. Before its facts are read: what comes later
    /// ends the lease.
    pub(super) fn may_lease(&self, identified: &Identified, within: Option<Duration>) {
        if let Some(within) = within {
            let until = self.clock.now().after(Millis(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)));
            self.hub.leased(None, &tags(identified), until);
        }
    }

    /// How long a lease of one of these may be held, from now, with the time that the answer may take.
    pub(super) fn leases<'a>(&self, wanted: impl Iterator<Item = &'a Wanted>, deadline: Duration) -> Option<Duration> {
        let longest = wanted.filter_map(|wanted| wanted.lease.as_ref()).map(|lease| lease.ttl.min(self.lease.ttl)).max()?;
        Some(Duration::from_millis(longest.0).saturating_add(deadline)).filter(|_| longest > Millis(0))
    }

    /// The lease of a decision that took this long, where one is asked for and may be given.
    pub(super) fn lease(&self, turn: Turn<'_>, took: Duration, made: &Made<'_>, seen: Seen) -> Option<Lease> {
        let (ttl, risk_below) = (self.lease.ttl.min(turn.wanted?.ttl), self.lease.risk_below);
        if took.saturating_mul(LOOKS) > turn.patience.left() {
            // The answer is worth more than its lease.
            return None;
        }
        let until = self.until(made).ok()?;
        let also: Vec<Tag> = linked(made).into_iter().collect();
        let leased = mint(made, &Terms { ttl, risk_below, never: &self.lease.never, until, also: &also })?;
        let revision = made.snapshot.revision.clone();
        Some(Lease { ttl: leased.ttl, epoch: seen.epoch, revision, risk_below, depends_on: leased.depends_on })
    }

    /// How long the issuer's word about the token counts, if it was asked.
    fn until(&self, made: &Made<'_>) -> Result<Option<Timestamp>, ()> {
        let Some((_, token)) = made.credentials.token.as_ref().filter(|_| made.identified.by() == IdentifiedBy::Token) else {
            return Ok(None);
        };
        let issuers = self.key_sets.current();
        match issuers.by_iss.get(&made.identified.token().iss).ok_or(())?.check {
            Check::Signature => Ok(None),
            // What was answered may have been forgotten, or taken back, since it was read.
            Check::SignatureAndIntrospection | Check::Introspection => self.introspection.active_until(token, made.now).map(Some).ok_or(()),
        }
    }
}

/// The link by which a session cookie says who it is.
fn linked(made: &Made<'_>) -> Option<Tag> {
    let (identified, cookie) = (made.identified, made.credentials.session_cookie.as_ref()?);
    let host = &identified.request().http().filter(|_| identified.by() == IdentifiedBy::Session)?.host;
    Some(tag::link(identified.request().tenant(), host, &session_digest(cookie)))
}
