//! Names whose risk may have risen, gathered: each is told at most once a second, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use countersign_sdk_types::{Millis, Tag};

/// Between two events for one name.
const APART: Millis = Millis(1_000);
/// Names that wait at once. Beyond, every lease ends instead.
const MOST: usize = 8_192;

#[derive(Debug, Default)]
pub(super) struct Stirred {
    waiting: BTreeSet<Tag>,
    /// When names were told, as far as that was within a second.
    told: BTreeMap<Tag, Millis>,
    /// More wait than are remembered.
    overflows: bool,
    /// When every lease was ended instead.
    reset: Option<Millis>,
}

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Tags(Vec<Tag>),
    /// Too many to name.
    TooMany,
}

impl Stirred {
    pub(super) fn add(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.waiting.extend(tags);
        if self.waiting.len() > MOST {
            // The event that names nothing ends those as well.
            self.waiting.clear();
            self.overflows = true;
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.overflows || !self.waiting.is_empty()
    }

    pub(super) fn due(&mut self, now: Millis) -> Due {
        let is_recent = |at: Millis| now.0.saturating_sub(at.0) < APART.0;
        self.told.retain(|_, at| is_recent(*at));
        if self.overflows && !self.reset.is_some_and(is_recent) {
            self.overflows = false;
            self.reset = Some(now);
            self.waiting.clear();
            return Due::TooMany;
        }
        let due: Vec<Tag> = self.waiting.iter().copied().filter(|tag| !self.told.contains_key(tag)).collect();
        for tag in &due {
            self.waiting.remove(tag);
            self.told.insert(*tag, now);
        }
        Due::Tags(due)
    }
}

#[cfg(test)]
mod tests {
    //! One event a second for a name, none lost, and a bound.

    use super::*;

    fn tag(n: u32) -> Tag {
        let mut tag = [0; 16];
        tag.iter_mut().zip(n.to_le_bytes()).for_each(|(to, from)| *to = from);
        Tag(tag)
    }

    #[test]
    fn a_name_is_told_once_a_second_and_what_came_between_is_told_then() {
        let mut stirred = Stirred::default();
        stirred.add([tag(1)]);
        assert_eq!(stirred.due(Millis(0)), Due::Tags(vec![tag(1)]));
        assert!(!stirred.waits());
        stirred.add([tag(1), tag(2)]);
        assert_eq!(stirred.due(Millis(500)), Due::Tags(vec![tag(2)]));
        assert!(stirred.waits(), "the second of the first name is not over");
        assert_eq!(stirred.due(Millis(1_000)), Due::Tags(vec![tag(1)]));
        assert!(!stirred.waits());
    }

    #[test]
    fn a_storm_of_one_name_is_one_event_a_second() {
        let mut stirred = Stirred::default();
        let told = (0..10_000).filter(|now| {
            stirred.add([tag(1)]);
            stirred.due(Millis(*now)) != Due::Tags(Vec::new())
        });
        assert_eq!(told.count(), 10);
    }

    #[test]
    fn a_storm_of_many_names_ends_all_leases_once_a_second() {
        let mut stirred = Stirred::default();
        let mut resets = 0;
        for now in 0..50 {
            stirred.add((0..20_000).map(|n| tag(n + now * 20_000)));
            assert!(stirred.waiting.len() <= MOST);
            resets += usize::from(stirred.due(Millis(u64::from(now) * 100)) == Due::TooMany);
        }
        assert_eq!(resets, 5);
        assert_eq!(stirred.due(Millis(6_000)), Due::TooMany, "what came since the last is not lost");
    }
}
