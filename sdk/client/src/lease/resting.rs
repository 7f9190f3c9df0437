//! Which leases rest on what.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use countersign_sdk_types::{Epoch, Lease, Tag};

use super::Held;

/// Leases that somebody holds: a cache, or whoever waits for their end. What nobody holds any more is swept out now and then.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    all: Vec<Weak<Held>>,
    by_tag: HashMap<Tag, Vec<Weak<Held>>>,
    sweep_at: usize,
}

/// Sweeping is not worth it below this many.
const FEW: usize = 256;

impl Resting {
    pub(crate) fn add(&mut self, held: &Arc<Held>, lease: &Lease) {
        if self.all.len() >= self.sweep_at.max(FEW) {
            self.sweep();
        }
        self.all.push(Arc::downgrade(held));
        for tag in &lease.depends_on {
            self.by_tag.entry(*tag).or_default().push(Arc::downgrade(held));
        }
    }

    /// Ends what rests on this and was decided before.
    pub(crate) fn end_tagged(&mut self, tag: &Tag, at: Epoch) {
        let Some(resting) = self.by_tag.get_mut(tag) else { return };
        end_each(resting, |lease| lease.epoch.life == at.life && lease.epoch.seq < at.seq);
        if resting.is_empty() {
            self.by_tag.remove(tag);
        }
    }

    /// Ends each lease of which this holds.
    pub(crate) fn end(&mut self, ends: impl Fn(&Lease) -> bool) {
        end_each(&mut self.all, ends);
        self.sweep();
    }

    /// Does this to each that somebody holds.
    pub(crate) fn each(&self, what: impl Fn(&Held)) {
        self.all.iter().filter_map(Weak::upgrade).for_each(|held| what(&held));
    }

    fn sweep(&mut self) {
        let stands = |held: &Weak<Held>| held.upgrade().is_some_and(|held| !held.is_over());
        self.all.retain(stands);
        self.by_tag.retain(|_, resting| {
            resting.retain(stands);
            !resting.is_empty()
        });
        self.sweep_at = self.all.len().saturating_mul(2);
    }
}

/// Keeps those that stand.
fn end_each(resting: &mut Vec<Weak<Held>>, ends: impl Fn(&Lease) -> bool) {
    resting.retain(|held| {
        let Some(held) = held.upgrade().filter(|held| !held.is_over()) else { return false };
        let is_ended = held.lease().is_none_or(&ends);
        if is_ended {
            held.end();
        }
        !is_ended
    });
}

#[cfg(test)]
impl Resting {
    /// How many are remembered.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }
}
