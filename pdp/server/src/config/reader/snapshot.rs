//! `[snapshot]`, and what edges need of it.

use super::Reader;
use crate::config::settings::SnapshotSettings;
use crate::config::{AuthzenUse, Enforcer, SnapshotTerms};
use countersign_sdk_types::{Millis, Seconds};

impl Reader<'_> {
    pub(super) fn snapshot(&mut self, settings: Option<SnapshotSettings>, enforcers: &[Enforcer]) -> SnapshotTerms {
        for edge in enforcers.iter().filter(|enforcer| enforcer.is_edge) {
            if settings.is_none() {
                self.problem("snapshot", &format!("`{}` is an edge, and there is no key to sign its snapshots with", edge.pep.id));
            }
            if edge.authzen < AuthzenUse::Evaluate {
                self.problem("pep.edge", &format!("`{}` is an edge that may not ask: `pep.authzen` says so", edge.pep.id));
            }
        }
        let Some(SnapshotSettings { signing_key_file, life_seconds, facts_ttl_ms }) = settings else { return SnapshotTerms::default() };
        if !(60..=7 * 24 * 3600).contains(&life_seconds) {
            self.problem("snapshot.life_seconds", "it is not a number from 60 to 604800");
        }
        if !(1_000..=3_600_000).contains(&facts_ttl_ms) {
            self.problem("snapshot.facts_ttl_ms", "it is not a number from 1000 to 3600000");
        }
        let signing_key = self.signing_key("snapshot.signing_key_file", &signing_key_file);
        SnapshotTerms { signing_key, life: Seconds(life_seconds), facts: Millis(facts_ttl_ms) }
    }
}
