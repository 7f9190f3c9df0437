//! How a person moves the pointer: actions, their features, a person's histograms of them, and a verifier that compares the two.
//!
//! A client cuts its trace into actions and sends [`ActionFeatures`] only; a raw trace never leaves it. What is kept of an action is a
//! [`CountedAction`], and of a verified session a [`PointerLesson`]. [`PointerProfile`] is a fold over lessons and takes [`PointerProfile::BYTES`] bytes. [`PointerVerifier`] turns a window of actions into log-odds with one set of weights for all
//! persons, so that each feature's part can be named. What a client reports can be forged: this evidence may raise a risk and never lowers it.

mod action;
mod counted;
mod feature;
mod lesson;
mod motion;
mod profile;
mod replay;
mod verifier;
mod window;

pub use action::{MAX_POINTS, MIN_POINTS, Point, PointKind, Segmenter};
pub use counted::CountedAction;
pub use feature::{ActionFeatures, FEATURES, Feature, Scale};
pub use lesson::{LessonRefused, PointerLesson};
pub use profile::{PointerProfile, ProfileError};
pub use replay::replayed;
pub use verifier::{MOST_ACTIONS, PointerVerdict, PointerVerifier, PointerWeights, WeightsRefused};
pub use window::{BINS, Background, Comparison, FeatureEvidence, Window};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
