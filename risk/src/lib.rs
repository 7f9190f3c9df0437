//! The only crate that turns evidence into a number. Pure: no clock, no files, no entropy; floats by `libm`, iteration sorted.
//!
//! [`Sighting`] is what one request shows, with keyed identifiers only; [`observe`] compares it with a [`Baseline`] of verified events and gives
//! [`Evidence`]; [`score`] sums it into an [`Assessment`]. Contributions are natural logarithms of likelihood ratios (nats), each clipped.

mod baseline;
mod evidence;
mod keyed;
pub mod pointer;
mod score;
mod sighting;
mod signal;
mod weights;

pub use baseline::{Baseline, LearnedEvent, Strength, VerifiedPoint};
pub use evidence::{Evidence, EvidenceItem};
pub use keyed::{Keyed, SubjectSalt};
pub use score::{Assessment, score};
pub use sighting::{BindingState, DevicePresented, Failures, Posture, RawSighting, Sighting};
pub use signal::{client::Family, observe, travel::distance};
pub use weights::{Weights, WeightsError};

#[cfg(test)]
mod tests;
