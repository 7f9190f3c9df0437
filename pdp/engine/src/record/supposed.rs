//! A recorded session under other circumstances: what another presentation of it would have scored, and been answered. Permits nothing.
//!
//! Identifiers in a record are keyed under a salt that is not in it, so nobody can make those of another network or device here. What is new to a subject
//! needs none: any keyed identifier that the baseline does not hold says the same.

use std::net::IpAddr;

use countersign_risk::{Assessment, Sighting, Trail, Weights};
use countersign_sdk_types::RiskLevel;

use super::{Basis, Reconsidered, Record};
use crate::decide::{Summary, Trace, assess, settle_assessed};
use crate::facts::Facts;
use crate::identify::IdentifiedBy;
use crate::request::Agent;
use crate::snapshot::Snapshot;

/// How a session was presented, to be altered.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What the request shows, keyed; and when.
    pub sighting: Sighting,
    /// What is known.
    pub facts: Facts,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client says of itself.
    pub agent: Agent,
}

/// A recorded session that somebody presents under other circumstances.
#[derive(Debug, Clone)]
pub struct Supposed {
    basis: Basis,
    sighting: Sighting,
    assessment: Assessment,
}

impl Record {
    /// The circumstances as they were, with the trail of the session as it went on from there. `None` where nothing was decided.
    #[must_use]
    pub fn circumstances(&self) -> Option<Circumstances> {
        let (basis, trace) = (self.basis.as_ref()?, self.trace.as_ref()?);
        let request = basis.identified.request();
        Some(Circumstances {
            sighting: trace.sighting.clone(),
            facts: Facts { trail: self.trail(&basis.facts, trace), ..basis.facts.clone() },
            address: request.client_address(),
            agent: request.agent.clone(),
        })
    }

    /// Where the session goes on from: what was let through at low risk, as the server follows it.
    fn trail(&self, facts: &Facts, trace: &Trace) -> Option<Trail> {
        // Nobody's word about subjects has sessions.
        let has_sessions = self.basis.as_ref().is_some_and(|basis| basis.identified.by() != IdentifiedBy::Pep);
        let is_let_through = matches!(self.summary, Summary::Allow(_)) && trace.remaining.level() == RiskLevel::Low;
        if !has_sessions || !is_let_through {
            return facts.trail.clone();
        }
        let mut trail = facts.trail.clone().unwrap_or_else(|| Trail::begin(&trace.sighting));
        if trace.assessment.inherent().level() == RiskLevel::Low {
            trail.pass(&trace.sighting);
        }
        Some(trail)
    }
}

/// Presents a recorded session again: the same question with the same token, under these circumstances. `None` where nothing was decided.
///
/// What the presentation proves is what the sighting says: without a key none is proved, and without a cookie there is no device.
#[must_use]
pub fn suppose(record: &Record, circumstances: Circumstances, weights: &Weights) -> Option<Supposed> {
    let Circumstances { sighting, facts, address, agent } = circumstances;
    let mut identified = record.basis.as_ref()?.identified.clone();
    identified.binding = sighting.binding;
    identified.device = identified.device.filter(|_| sighting.cookie.or(sighting.key).is_some());
    identified.request.client_certificate = identified.request.client_certificate.filter(|_| sighting.key.is_some());
    (identified.request.client_address, identified.request.agent) = (address, agent);
    let assessment = assess(&sighting, &facts, weights);
    Some(Supposed { basis: Basis { identified, facts }, sighting, assessment })
}

impl Supposed {
    /// What a policy answers.
    #[must_use]
    pub fn ask(&self, snapshot: &Snapshot) -> Reconsidered {
        let (Basis { identified, facts }, seen) = (&self.basis, (&self.sighting, &self.assessment));
        let (decision, verdict) = settle_assessed(seen, identified, facts, snapshot, self.sighting.at);
        Reconsidered { summary: decision.summary(), verdict }
    }

    /// The score and its reasons.
    #[must_use]
    pub const fn assessment(&self) -> &Assessment {
        &self.assessment
    }

    /// What the request shows.
    #[must_use]
    pub const fn sighting(&self) -> &Sighting {
        &self.sighting
    }
}
