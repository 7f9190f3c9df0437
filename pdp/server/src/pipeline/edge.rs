//! A decision for an edge: the same as every other, with what its facts were.

use std::sync::Arc;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::capsule::{Capsule, Granted};
use countersign_pdp_engine::decide::{Decided, Decision};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::lease::tag;
use countersign_pdp_engine::request::{Credentials, RawCheck};
use countersign_risk::Sighting;
use countersign_sdk_types::{Epoch, Lease, Millis, RiskScore, Tag};

use super::batch::Batch;
use super::{Answer, Patient, Pdp};
use crate::clock::Stopwatch;
use crate::metrics::Door;

/// What a decision was made of.
#[derive(Debug)]
pub struct Shown {
    /// Who asked.
    pub identified: Identified,
    /// What the request showed, keyed.
    pub sighting: Sighting,
    credentials: Credentials,
    facts: Arc<Facts>,
    remaining: RiskScore,
}

impl Shown {
    pub(super) fn new(identified: &Identified, credentials: &Credentials, facts: &Arc<Facts>, decided: &Decided) -> Self {
        Self {
            identified: identified.clone(),
            sighting: decided.trace.sighting.clone(),
            credentials: credentials.clone(),
            facts: Arc::clone(facts),
            remaining: decided.trace.remaining,
        }
    }
}

impl Pdp {
    /// Decides as [`Pdp::check`] does. With an allow at low risk come the facts that it rests on, unless they are not for keeping.
    pub async fn check_for_edge(
        &self,
        door: Door,
        raw: Result<RawCheck, Denial>,
        within: Millis,
    ) -> (Answer, Option<(Granted, Box<Shown>)>) {
        let patience = Patient { watch: Stopwatch::start(), deadline: self.deadline };
        // INVARIANT: taken before any fact is read, so that whatever is told later ends what is granted here.
        let epoch = self.hub.epoch();
        let mut batch = Batch::shown();
        let pending = self.settle(raw, patience, &mut batch).await;
        let answer = self.finish(door, pending, patience).await;
        let granted = batch.take_shown().and_then(|shown| Some((self.granted(&answer, &shown, epoch, within)?, shown)));
        (answer, granted)
    }

    fn granted(&self, answer: &Answer, shown: &Shown, epoch: Epoch, within: Millis) -> Option<Granted> {
        let Decision::Allow(permit) = &answer.decision else { return None };
        let is_leased = self.lease.ttl > Millis(0) && shown.remaining < self.lease.risk_below;
        // The trail as it goes on from here: the next request of the session finds it so.
        let facts = Facts { trail: self.trails.of(&shown.identified), ..Facts::clone(&shown.facts) };
        let capsule = Capsule::of(&shown.identified, &shown.credentials, &facts, &shown.sighting).filter(|_| is_leased)?;
        let lease = Lease {
            ttl: within,
            epoch,
            revision: permit.revision().clone(),
            risk_below: self.lease.risk_below,
            depends_on: tags(&shown.identified),
        };
        Some(Granted { lease, capsule })
    }
}

/// What the facts of a request are about.
fn tags(identified: &Identified) -> Vec<Tag> {
    let (subject, token) = (identified.subject(), identified.token());
    let tenant = &subject.tenant;
    let mut tags = vec![tag::subject(subject), tag::session(tenant, identified.session()), tag::user(tenant, &subject.sub)];
    tags.extend(identified.device().map(|device| tag::device(tenant, device)));
    tags.extend(token.digest.as_ref().map(|digest| tag::token(tenant, digest)));
    tags.extend(token.jti.as_deref().map(|jti| tag::token_id(tenant, &token.iss, jti)));
    tags.extend(identified.request().client_address().map(|address| tag::address(tenant, address)));
    tags
}
