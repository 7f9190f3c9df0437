//! The only crate that turns evidence into a number. Pure: no clock, no files, no entropy; floats by `libm`, iteration sorted.
//!
//! [`Sighting`] is what one request shows, with keyed identifiers only; [`observe`] compares it with a [`Baseline`] of verified events and gives
//! [`Evidence`]; [`score`] sums it into an [`Assessment`]. Contributions are natural logarithms of likelihood ratios (nats), each clipped.

mod baseline;
mod compact;
mod evidence;
mod familiarity;
mod fingerprint;
mod keyed;
mod known;
mod learned;
mod organisation;
pub mod pointer;
mod score;
mod sighting;
mod signal;
mod tally;
mod trail;
mod weights;

pub use baseline::{Baseline, BaselineError, Settled, Whereabouts};
pub use evidence::{Evidence, EvidenceItem};
pub use familiarity::Familiarity;
pub use fingerprint::{Components, Fingerprint, Hints, Told};
pub use keyed::{Keyed, Salts, SubjectSalt};
pub use known::Known;
pub use learned::{LearnedEvent, SessionTag, Shared, Strength};
pub use organisation::{Churn, Organisation, Sharing, Thing};
pub use score::{Assessment, score};
pub use sighting::{BindingState, Failures, Posture, RawSighting, Sighting};
pub use signal::behavior::Behavior;
pub use signal::client::{Client, Family};
pub use signal::hour::{Clock, Hours, Zones};
pub use signal::{observe, travel::distance};
pub use trail::{Origin, Trail};
pub use weights::{Calibration, Weights, WeightsError};

#[cfg(test)]
mod tests;
