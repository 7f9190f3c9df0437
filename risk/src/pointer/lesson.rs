//! What a verified session teaches of its person's pointer, as a journal keeps it: counts, and nothing of single actions but a few digests.

use serde::{Deserialize, Serialize};

use super::counted::CountedAction;
use super::feature::FEATURES;
use super::profile::{PER_LESSON, PER_SESSION, REMEMBERED};
use super::window::BINS;

/// The digests that a lesson may carry: so many that enough are new, however many of them a profile remembers already.
const MOST_DIGESTS: usize = REMEMBERED + PER_LESSON;

/// Histograms of [`PointerLesson::actions`] actions of one session, and the smallest digests of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PointerLesson(Written);

/// A lesson as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    actions: u8,
    counts: [[u8; BINS]; FEATURES],
    digests: Vec<u32>,
}

/// A lesson that no session can have taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pointer lesson counts more than its actions, or holds more than one session may teach")]
pub struct LessonRefused;

impl PointerLesson {
    /// Counts actions, 128 at most.
    pub(super) fn of<'a>(actions: impl Iterator<Item = &'a CountedAction>) -> Self {
        let mut lesson = Written { actions: 0, counts: [[0; BINS]; FEATURES], digests: Vec::new() };
        for action in actions.take(usize::from(PER_SESSION)) {
            lesson.actions += 1;
            for (counts, bin) in lesson.counts.iter_mut().zip(action.bins()) {
                if let Some(count) = bin.and_then(|bin| counts.get_mut(bin)) {
                    *count += 1;
                }
            }
            lesson.digests.extend(action.digest());
        }
        lesson.digests.sort_unstable();
        lesson.digests.dedup();
        lesson.digests.truncate(MOST_DIGESTS);
        Self(lesson)
    }

    /// How many actions it counts, 128 at most.
    #[must_use]
    pub const fn actions(&self) -> u8 {
        self.0.actions
    }

    pub(super) const fn counts(&self) -> &[[u8; BINS]; FEATURES] {
        &self.0.counts
    }

    /// The smallest first.
    pub(super) fn digests(&self) -> &[u32] {
        &self.0.digests
    }
}

impl From<PointerLesson> for Written {
    fn from(lesson: PointerLesson) -> Self {
        lesson.0
    }
}

impl TryFrom<Written> for PointerLesson {
    type Error = LessonRefused;

    fn try_from(written: Written) -> Result<Self, LessonRefused> {
        let counted = |row: &[u8; BINS]| row.iter().map(|count| u32::from(*count)).sum::<u32>();
        let are_counted = written.counts.iter().all(|row| counted(row) <= u32::from(written.actions));
        let are_sorted = written.digests.is_sorted_by(|a, b| a < b) && !written.digests.contains(&0);
        let fits = written.actions <= PER_SESSION && written.digests.len() <= MOST_DIGESTS;
        if are_counted && are_sorted && fits { Ok(Self(written)) } else { Err(LessonRefused) }
    }
}
