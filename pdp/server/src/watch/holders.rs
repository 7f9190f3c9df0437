//! Who may hold a lease on what: exactly enough to tell them first, and, without a false no, whether anybody may.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_sdk_types::{Millis, Tag};

use super::lock;

/// Cells of the filter. More leases than this at once make it say yes too often, and never no.
const CELLS: usize = 1 << 18;
const SHARDS: usize = 64;
/// Names a shard remembers holders of; beyond, holders are told with everybody else.
const MOST: usize = 4_096;
/// A full shard is looked through this often.
const REST: Millis = Millis(1_000);
/// Holders of one name that are told first.
const MOST_IDS: usize = 8;
/// Beyond the end of a lease: its holder's clock and ours do not start at one instant.
const MARGIN: Millis = Millis(5_000);

#[derive(Debug)]
pub(super) struct Holders {
    longest: Millis,
    /// Until when somebody may hold a lease on a name that falls into the cell, in seconds since the stream began, rounded up; zero is never.
    cells: Box<[AtomicU32]>,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    held: HashMap<Tag, Held>,
    /// Until when nobody looks through it for what ended: to look takes as long as it is full.
    rests: Millis,
}

#[derive(Debug, Default)]
struct Held {
    until: Millis,
    ids: Vec<u64>,
}

impl Holders {
    pub(super) fn new(longest: Millis) -> Self {
        let cells = (0..CELLS).map(|_| AtomicU32::new(0)).collect();
        Self { longest, cells, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// A lease was granted on these, for so long.
    pub(super) fn granted(&self, id: Option<u64>, tags: &[Tag], lasts: Millis, now: Millis) {
        // At least as long as any lease lasts: the wall clock that `lasts` was computed by may have been set back.
        let until = Millis(now.0.saturating_add(lasts.0.max(self.longest.0)).saturating_add(MARGIN.0));
        let seconds = u32::try_from(until.0 / 1_000 + 1).unwrap_or(u32::MAX);
        for tag in tags {
            if let Some(cell) = self.cell(tag) {
                cell.fetch_max(seconds, Ordering::AcqRel);
            }
            if let (Some(id), Some(shard)) = (id, self.shard(tag)) {
                hold(&mut lock(shard), *tag, id, until, now);
            }
        }
    }

    /// Whether a lease on this may be held.
    pub(super) fn may_hold(&self, tag: &Tag, now: Millis) -> bool {
        // INVARIANT: no cell for a name is a yes, never a no.
        self.cell(tag).is_none_or(|cell| u64::from(cell.load(Ordering::Acquire)).saturating_mul(1_000) > now.0)
    }

    /// The watches to tell first.
    pub(super) fn of(&self, tags: &[Tag]) -> BTreeSet<u64> {
        let held = |tag: &Tag| self.shard(tag).map(|shard| lock(shard).held.get(tag).map(|held| held.ids.clone()).unwrap_or_default());
        tags.iter().filter_map(held).flatten().collect()
    }

    /// A tag is a hash already: its first bytes are as good as any.
    fn cell(&self, tag: &Tag) -> Option<&AtomicU32> {
        let [a, b, c, ..] = tag.0;
        self.cells.get(usize::from(a) | usize::from(b) << 8 | (usize::from(c) & 3) << 16)
    }

    fn shard(&self, tag: &Tag) -> Option<&Mutex<Shard>> {
        let [.., last] = tag.0;
        self.shards.get(usize::from(last) % SHARDS)
    }
}

fn hold(shard: &mut Shard, tag: Tag, id: u64, until: Millis, now: Millis) {
    if shard.held.len() >= MOST && !shard.held.contains_key(&tag) {
        if now < shard.rests {
            return;
        }
        shard.rests = Millis(now.0.saturating_add(REST.0));
        shard.held.retain(|_, held| held.until > now);
        if shard.held.len() >= MOST {
            return;
        }
    }
    let held = shard.held.entry(tag).or_default();
    held.until = until;
    if !held.ids.contains(&id) {
        if held.ids.len() >= MOST_IDS {
            held.ids.remove(0);
        }
        held.ids.push(id);
    }
}

#[cfg(test)]
mod tests {
    //! Bounds, ends, and that the filter never says no where somebody may hold a lease.

    use super::*;

    fn tag(n: u32) -> Tag {
        let mut tag = [0; 16];
        tag.copy_from_slice(blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk::<16>().unwrap());
        Tag(tag)
    }

    #[test]
    fn what_was_granted_may_be_held_until_it_ended_everywhere() {
        let holders = Holders::new(Millis(30_000));
        assert!(!holders.may_hold(&tag(1), Millis(0)));
        holders.granted(None, &[tag(1)], Millis(30_000), Millis(1_000));
        assert!(holders.may_hold(&tag(1), Millis(31_000)));
        assert!(!holders.may_hold(&tag(1), Millis(40_000)));
        assert!(holders.of(&[tag(1)]).is_empty(), "nobody named a watch");
    }

    #[test]
    fn a_wall_clock_that_was_set_back_shortens_nothing() {
        let holders = Holders::new(Millis(30_000));
        holders.granted(None, &[tag(1)], Millis(0), Millis(0));
        assert!(holders.may_hold(&tag(1), Millis(30_000)));
    }

    #[test]
    fn a_shorter_lease_ends_no_longer_one() {
        let holders = Holders::new(Millis(1_000));
        holders.granted(None, &[tag(1)], Millis(60_000), Millis(0));
        holders.granted(None, &[tag(1)], Millis(1_000), Millis(0));
        assert!(holders.may_hold(&tag(1), Millis(60_000)));
    }

    #[test]
    fn never_a_false_no_and_never_without_bounds() {
        let holders = Holders::new(Millis(30_000));
        let count = 600_000;
        (0..count).for_each(|n| holders.granted(Some(u64::from(n)), &[tag(n)], Millis(30_000), Millis(0)));
        assert!((0..count).all(|n| holders.may_hold(&tag(n), Millis(30_000))));
        assert!(holders.shards.iter().all(|shard| lock(shard).held.len() <= MOST));
        assert!(!holders.of(&(0..1_000).map(tag).collect::<Vec<_>>()).is_empty());
    }

    #[test]
    fn of_one_name_the_newest_holders_are_remembered() {
        let holders = Holders::new(Millis(30_000));
        (0..20).for_each(|id| holders.granted(Some(id), &[tag(1)], Millis(1), Millis(0)));
        assert_eq!(holders.of(&[tag(1)]), (12..20).collect());
    }

    #[test]
    fn a_full_shard_makes_room_by_what_ended() {
        let holders = Holders::new(Millis(1_000));
        (0..400_000).for_each(|n| holders.granted(Some(1), &[tag(n)], Millis(1_000), Millis(0)));
        holders.granted(Some(2), &[tag(500_000)], Millis(1_000), Millis(1_000_000));
        assert_eq!(holders.of(&[tag(500_000)]), BTreeSet::from([2]));
    }
}
