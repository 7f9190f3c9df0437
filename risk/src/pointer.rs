//! How a person moves the pointer: actions, their features, a person's histograms of them, and a verifier that compares the two.
//!
//! A client cuts its trace into actions and sends [`ActionFeatures`] only; a raw trace never leaves it. [`PointerProfile`] is a fold over verified
//! sessions and takes [`PointerProfile::BYTES`] bytes. [`PointerVerifier`] turns a window of actions into log-odds with one set of weights for all
//! persons, so that each feature's part can be named. What a client reports can be forged: this evidence may raise a risk and never lowers it.

mod action;
mod feature;
mod motion;
mod profile;
mod replay;
mod verifier;
mod window;

pub use action::{MAX_POINTS, MIN_POINTS, Point, PointKind, Segmenter};
pub use feature::{ActionFeatures, FEATURES, Feature, Scale};
pub use profile::{PointerProfile, ProfileError};
pub use replay::replayed;
pub use verifier::{PointerVerdict, PointerVerifier, PointerWeights, WeightsRefused};
pub use window::{BINS, Background, Comparison, FeatureEvidence, Window};

#[cfg(test)]
mod tests;
