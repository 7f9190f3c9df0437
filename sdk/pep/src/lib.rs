//! Enforces inside an application: a tower layer that asks a decision point on each request, and a guard that only an allow can build.
//!
//! The layer tells the decision point what was presented (`Authorization`, cookies) and lets it find out who that is. A handler takes
//! [`Permitted`] as an axum extractor; without an allow there is none. An error is a 503, never an allow. What outlives its answer, such as a stream or a
//! WebSocket, ends when the decision does.

mod answer;
mod asker;
mod duty;
#[cfg(feature = "embed")]
pub mod edge;
#[cfg(feature = "embed")]
pub mod embed;
#[cfg(test)]
mod fake;
mod guarded;
mod layer;
mod life;
mod permitted;
mod point;
mod question;

pub use duty::Duty;
pub use guarded::{GuardError, Guarded};
pub use layer::{AtLeast, Enforce, EnforceLayer};
pub use life::Ended;
pub use permitted::{NotPermitted, Over, Permitted};
pub use point::DecisionPoint;
pub use question::{ClientAddress, Origin, OriginError};
