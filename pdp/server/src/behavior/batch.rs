//! What a browser sends: names of features once, and then a row of numbers an action. Strict, small and flat.

use countersign_risk::pointer::{ActionFeatures, CountedAction, FEATURES, Feature};
use countersign_sdk_types::strict::{self, Limits, StrictError};
use serde::Deserialize;

/// Actions of a batch, at most.
const MOST_ACTIONS: usize = 50;
/// 50 rows of 28 numbers and the names, with room for white space.
const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 4, values: 1_600 };

/// Actions, counted: the numbers themselves are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch(Vec<CountedAction>);

/// Why a batch was refused.
#[derive(Debug, thiserror::Error)]
pub enum BatchRefused {
    /// Not strict JSON of this shape.
    #[error(transparent)]
    Json(#[from] StrictError),
    /// A name is not a feature's, or is there twice.
    #[error("`{0}` is no feature, or is named twice")]
    Name(String),
    /// There is no action, or there are too many.
    #[error("a batch has 1 to {MOST_ACTIONS} actions")]
    Actions,
    /// A row is not as long as the names, holds what is no number of 32 bits, or has no duration.
    #[error("action {0} has not one number or null a feature, or no duration")]
    Row(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    features: Vec<String>,
    actions: Vec<Vec<Option<f32>>>,
}

impl Batch {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not what the script sends.
    pub fn read(body: &[u8]) -> Result<Self, BatchRefused> {
        let Written { features, actions } = strict::from_slice(body, LIMITS)?;
        let mut places = Vec::with_capacity(FEATURES);
        for name in features {
            let place = Feature::ALL.iter().position(|feature| feature.name == name).filter(|place| !places.contains(place));
            places.push(place.ok_or(BatchRefused::Name(name))?);
        }
        if !(1..=MOST_ACTIONS).contains(&actions.len()) {
            return Err(BatchRefused::Actions);
        }
        let counted = actions.iter().enumerate().map(|(nth, row)| action(&places, row).ok_or(BatchRefused::Row(nth)));
        counted.collect::<Result<_, _>>().map(Self)
    }

    /// The actions, in order.
    #[must_use]
    pub fn actions(&self) -> &[CountedAction] {
        &self.0
    }
}

fn action(places: &[usize], row: &[Option<f32>]) -> Option<CountedAction> {
    let mut values = [None; FEATURES];
    if row.len() != places.len() || row.iter().flatten().any(|value| !value.is_finite()) {
        return None;
    }
    for (place, value) in places.iter().zip(row) {
        *values.get_mut(*place)? = *value;
    }
    // Every action takes its time: the first feature.
    values.first().copied().flatten()?;
    Some(CountedAction::from(ActionFeatures::from(values)))
}
