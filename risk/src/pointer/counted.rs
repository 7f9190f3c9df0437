//! An action as it is counted and kept: bins in place of values.

use super::feature::{ActionFeatures, FEATURES};
use super::replay;
use super::window::BINS;

/// The bin of an absent feature: none.
const ABSENT: u8 = u8::MAX;

/// What is kept of an action: the bin of each feature, and a digest of all values by which an exact repetition shows. 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedAction {
    bins: [u8; FEATURES],
    /// Zero is none.
    digest: u32,
}

impl CountedAction {
    /// Each feature's bin, below [`BINS`].
    pub(super) fn bins(&self) -> impl Iterator<Item = Option<usize>> {
        self.bins.iter().map(|bin| Some(usize::from(*bin)).filter(|bin| *bin < BINS))
    }

    /// The digest; none where so simple an action can repeat by chance.
    pub(super) fn digest(&self) -> Option<u32> {
        Some(self.digest).filter(|digest| *digest != 0)
    }
}

impl From<&ActionFeatures> for CountedAction {
    fn from(action: &ActionFeatures) -> Self {
        let mut bins = [ABSENT; FEATURES];
        for (kept, bin) in bins.iter_mut().zip(action.bins()) {
            *kept = bin.and_then(|bin| u8::try_from(bin).ok()).unwrap_or(ABSENT);
        }
        Self { bins, digest: replay::digest(action).unwrap_or(0) }
    }
}

impl From<ActionFeatures> for CountedAction {
    fn from(action: ActionFeatures) -> Self {
        Self::from(&action)
    }
}
