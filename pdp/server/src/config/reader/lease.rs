//! On which terms decisions are leased, and how many may watch.

use countersign_sdk_types::{Millis, RiskScore};

use super::super::LeaseTerms;
use super::super::settings::LeaseSettings;
use super::Reader;

/// Five minutes: what a person did that long ago says little of now.
const LONGEST: u64 = 300_000;
/// Without a watch nothing is pushed, so a lease is no more than an old answer.
const LONGEST_FLOOR: u64 = 30_000;
const MOST_WATCHES: usize = 1_000_000;

impl Reader<'_> {
    pub(super) fn lease(&mut self, settings: LeaseSettings) -> LeaseTerms {
        let LeaseSettings { ttl_ms, floor_ms, heartbeat_ms, risk_below, never, watches } = settings;
        if ttl_ms > LONGEST {
            self.problem("lease.ttl_ms", "it is not a number from 0 to 300000");
        }
        if floor_ms > LONGEST_FLOOR || (ttl_ms > 0 && floor_ms > ttl_ms) {
            self.problem("lease.floor_ms", "it is not a number from 0 to 30000, and to `ttl_ms`");
        }
        if !(1_000..=60_000).contains(&heartbeat_ms) {
            self.problem("lease.heartbeat_ms", "it is not a number from 1000 to 60000");
        }
        if !(1..=MOST_WATCHES).contains(&watches) {
            self.problem("lease.watches", "it is not a number from 1 to 1000000");
        }
        let risk_below = self.noted("lease.risk_below", RiskScore::new(risk_below));
        LeaseTerms {
            ttl: Millis(ttl_ms),
            floor: Millis(floor_ms),
            heartbeat: Millis(heartbeat_ms),
            risk_below: risk_below.unwrap_or_else(|| RiskScore::clamp(0.0)),
            never,
            watches,
        }
    }
}
