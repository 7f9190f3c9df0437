//! A trace that was seen before: a hand never moves twice alike, a recording does.

use std::collections::BTreeSet;

use super::counted::CountedAction;
use super::feature::ActionFeatures;
use super::profile::PointerProfile;

/// Shorter actions can repeat by chance.
const SHORTEST_SECONDS: f32 = 1.0;

/// A digest of all features of an action; none where so simple an action can repeat by chance. Never zero.
pub(super) fn digest(action: &ActionFeatures) -> Option<u32> {
    let values = action.values();
    let is_long = values.first().copied().flatten().is_some_and(|duration| duration >= SHORTEST_SECONDS);
    // Fewer than three quarters of the features: hardly any movement.
    if !is_long || values.iter().flatten().count() * 4 < values.len() * 3 {
        return None;
    }
    let mut hasher = blake3::Hasher::new_derive_key("countersign pointer replay 1");
    for value in values {
        hasher.update(&[u8::from(value.is_some())]).update(&value.unwrap_or(0.0).to_le_bytes());
    }
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    Some(u32::from_le_bytes([a, b, c, d]).max(1))
}

/// How many actions of a window were seen before, in verified sessions of the person or earlier in the window itself. Exact repetition only: a
/// replay with noise added is not seen.
#[must_use]
pub fn replayed(profile: &PointerProfile, actions: &[CountedAction]) -> usize {
    let mut seen = BTreeSet::new();
    actions.iter().filter_map(CountedAction::digest).filter(|digest| profile.remembers(*digest) || !seen.insert(*digest)).count()
}
