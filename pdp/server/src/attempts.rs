//! Recent demands and failures, in memory: bounded, fading, and lost at a restart by design. They raise a score or lock a session; they never lower
//! anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use countersign_pdp_store::StoredCredential;
use countersign_risk::Failures;
use countersign_sdk_types::{CredentialId, DeviceId, Digest, GrantId, Millis, SessionId, SubjectId, Tenant, Timestamp};
use ipnet::IpNet;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

/// A failure counts half after this time.
const HALF_LIFE: f64 = 10.0 * 60_000.0;
/// Demands from this many distinct contexts lock a session, when they come within [`WINDOW`].
pub const MOST_CONTEXTS: usize = 5;
/// Locks that the sessions of one subject may cause within an hour. Without a bound, a stolen token with ever new device cookies would fill the journal;
/// a demand is refused without a lock too.
pub const MOST_LOCKS: u32 = 32;
/// How long a context is remembered.
const WINDOW: Millis = Millis(10 * 60_000);
/// How long a demand may be answered by a grant and come again before it counts as going in circles.
const CIRCLE: Millis = Millis(120_000);
/// How long a network is remembered for having tried a subject, and how many it is remembered for: more say nothing more.
const SPRAYED_WITHIN: Millis = Millis(3_600_000);
const MOST_SPRAYED: usize = 16;
/// Entries of each kind that are remembered.
const MOST: u64 = 100_000;

/// What is remembered.
#[derive(Debug)]
pub struct Attempts {
    subjects: Cache<SubjectId, Count>,
    addresses: Cache<IpAddr, Count>,
    devices: Cache<DeviceId, Count>,
    refusals: Cache<SubjectId, Count>,
    networks: Cache<IpNet, Tried>,
    demands: Cache<(Tenant, SessionId), Demands>,
    regressed: Cache<SubjectId, CredentialId>,
    answered: Cache<GrantId, Digest>,
    locks: Cache<SubjectId, u32>,
}

/// Subjects whose proofs failed from one network, with the last time.
type Tried = BTreeMap<Digest, Timestamp>;

/// By which failures are gathered: leases rest on the same.
pub(crate) use countersign_pdp_engine::lease::tag::network_of as network;

#[derive(Debug, Clone, Copy)]
struct Count {
    weight: f64,
    at: Timestamp,
}

#[derive(Debug, Clone)]
struct Demands {
    last: Timestamp,
    since: Timestamp,
    contexts: BTreeSet<Digest>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            subjects: remembered(Duration::from_secs(3600)),
            addresses: remembered(Duration::from_secs(3600)),
            devices: remembered(Duration::from_secs(3600)),
            refusals: remembered(Duration::from_secs(3600)),
            networks: remembered(Duration::from_secs(3600)),
            demands: remembered(Duration::from_secs(3600)),
            regressed: remembered(Duration::from_secs(90 * 24 * 3600)),
            answered: remembered(Duration::from_secs(3600)),
            locks: remembered(Duration::from_secs(3600)),
        }
    }
}

fn remembered<K: Eq + std::hash::Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static>(life: Duration) -> Cache<K, V> {
    Cache::builder().max_capacity(MOST).time_to_live(life).build()
}

impl Attempts {
    /// A well-formed proof of this subject did not hold, and it came from this address.
    pub fn failed(&self, subject: &SubjectId, address: Option<IpAddr>, now: Timestamp) {
        count(&self.subjects, subject.clone(), now);
        let Some(address) = address else { return };
        count(&self.addresses, address, now);
        let tried = Digest(*blake3::hash(format!("{}\n{}\n{}", subject.tenant, subject.iss, subject.sub).as_bytes()).as_bytes());
        self.networks.entry(network(address)).and_compute_with(|old| {
            let mut subjects = old.map_or_else(BTreeMap::new, moka::Entry::into_value);
            subjects.retain(|_, at| now.since(*at) < SPRAYED_WITHIN);
            if subjects.len() < MOST_SPRAYED {
                subjects.insert(tried, now);
            }
            Op::Put(subjects)
        });
    }

    /// A token from this address and device was refused as a forgery; whose it would have been is not known.
    pub fn forged(&self, address: Option<IpAddr>, device: Option<&DeviceId>, now: Timestamp) {
        address.into_iter().for_each(|address| count(&self.addresses, address, now));
        device.into_iter().for_each(|device| count(&self.devices, device.clone(), now));
    }

    /// A policy refused this subject something.
    pub fn refused(&self, subject: &SubjectId, now: Timestamp) {
        count(&self.refusals, subject.clone(), now);
    }

    /// The failures that still count.
    #[must_use]
    pub fn failures(&self, subject: &SubjectId, address: Option<IpAddr>, device: Option<&DeviceId>, now: Timestamp) -> Failures {
        let still = |count: Option<Count>| count.map_or(0, |count| count.faded(now));
        let sprayed = address.and_then(|address| self.networks.get(&network(address)));
        let sprayed = sprayed.map_or(0, |subjects| subjects.values().filter(|at| now.since(**at) < SPRAYED_WITHIN).count());
        Failures {
            subject: still(self.subjects.get(subject)),
            address: still(address.and_then(|address| self.addresses.get(&address))),
            device: still(device.and_then(|device| self.devices.get(device))),
            denials: still(self.refusals.get(subject)),
            sprayed: u32::try_from(sprayed).unwrap_or(u32::MAX),
        }
    }

    /// A session was asked for a proof in some context. Returns from how many distinct contexts it was asked within the last minutes.
    pub fn demanded(&self, tenant: &Tenant, session: &SessionId, context: Digest, now: Timestamp) -> usize {
        let entry = self.demands.entry((tenant.clone(), session.clone())).and_upsert_with(|old| {
            let fresh = Demands { last: now, since: now, contexts: BTreeSet::new() };
            let mut demands = old.map(moka::Entry::into_value).filter(|old| now.since(old.since) < WINDOW).unwrap_or(fresh);
            demands.last = now;
            // One more than the limit is never needed.
            if demands.contexts.len() <= MOST_CONTEXTS {
                demands.contexts.insert(context);
            }
            demands
        });
        entry.into_value().contexts.len()
    }

    /// Whether one more session of this subject may be locked. Counts it; what is refused does not prolong the hour.
    pub fn may_lock(&self, subject: &SubjectId) -> bool {
        let counted = self.locks.entry(subject.clone()).and_compute_with(|old| match old.map_or(0, moka::Entry::into_value) {
            locks if locks >= MOST_LOCKS => Op::Nop,
            locks => Op::Put(locks + 1),
        });
        !matches!(counted, CompResult::Unchanged(_))
    }

    /// When the session was last asked for a proof.
    #[must_use]
    pub fn demanded_at(&self, tenant: &Tenant, session: &SessionId) -> Option<Timestamp> {
        self.demands.get(&(tenant.clone(), session.clone())).map(|demands| demands.last)
    }

    /// A passkey's counter went backwards. It stays suspect until an operator removes the passkey.
    pub fn regressed(&self, subject: &SubjectId, credential: CredentialId) {
        self.regressed.insert(subject.clone(), credential);
    }

    /// Whether a passkey that is still enrolled is suspect.
    #[must_use]
    pub fn is_regressed(&self, subject: &SubjectId, enrolled: &[StoredCredential]) -> bool {
        self.regressed.get(subject).is_some_and(|suspect| enrolled.iter().any(|one| one.id == suspect))
    }

    /// A grant was given in answer to the demand for this request.
    pub fn answered(&self, grant: GrantId, request: Digest) {
        self.answered.insert(grant, request);
    }

    /// Whether this grant was given for this very request a moment ago: demanding again would go in circles.
    #[must_use]
    pub fn is_answered(&self, grant: &GrantId, request: Digest, given: Timestamp, now: Timestamp) -> bool {
        now.since(given) < CIRCLE && self.answered.get(grant) == Some(request)
    }
}

fn count<K: Eq + std::hash::Hash + Send + Sync + Clone + 'static>(counts: &Cache<K, Count>, key: K, now: Timestamp) {
    counts.entry(key).and_compute_with(|old| {
        let weight = old.map_or(0.0, |old| old.into_value().weight_at(now));
        Op::Put(Count { weight: weight + 1.0, at: now })
    });
}

impl Count {
    fn weight_at(self, now: Timestamp) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of an hour are exact")]
        let age = now.since(self.at).0 as f64;
        self.weight * (-age / HALF_LIFE).exp2()
    }

    fn faded(self, now: Timestamp) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded in the same expression")]
        let rounded = self.weight_at(now).round().clamp(0.0, 1_000.0) as u32;
        rounded
    }
}

#[cfg(test)]
mod tests;
