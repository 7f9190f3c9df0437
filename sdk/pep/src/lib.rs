//! Enforces inside an application: a tower layer that asks a decision point on each request, and a guard that only an allow can build.
//!
//! The layer tells the decision point what was presented (`Authorization`, cookies) and lets it find out who that is. A handler takes
//! [`Permitted`] as an axum extractor; without an allow there is none. An error is a 503, never an allow.

mod answer;
#[cfg(feature = "embed")]
pub mod edge;
#[cfg(feature = "embed")]
pub mod embed;
mod layer;
mod permitted;
mod point;
mod question;

pub use layer::{Enforce, EnforceLayer};
pub use permitted::{NotPermitted, Permitted};
pub use point::DecisionPoint;
pub use question::{ClientAddress, Origin, OriginError};
