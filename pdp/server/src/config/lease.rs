//! On which terms decisions may be believed after they were given.

use std::collections::BTreeSet;

use countersign_sdk_types::{Millis, RiskScore};

/// The terms of leases and watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The longest lease; zero gives none.
    pub ttl: Millis,
    /// How long an enforcement point may use a lease without a living watch.
    pub floor: Millis,
    /// A watch hears something at least this often.
    pub heartbeat: Millis,
    /// Only an allow with less risk than this is leased.
    pub risk_below: RiskScore,
    /// Actions whose allows are never leased.
    pub never: BTreeSet<String>,
    /// The most watches at once.
    pub watches: usize,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self {
            ttl: Millis(30_000),
            floor: Millis(2_000),
            heartbeat: Millis(3_000),
            // Where the low band ends.
            risk_below: RiskScore::clamp(30.0),
            never: BTreeSet::new(),
            watches: 10_000,
        }
    }
}
