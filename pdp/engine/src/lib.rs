//! The only crate that decides: pure, without clock, files or network.
//!
//! The stages are types that only the stage before can build: `request` normalizes, `identify` proves who asks, `decide` asks the risk model and
//! the policy and settles. An allow carries a [`Permit`], which nobody else can make.

pub mod capsule;
pub mod claimed;
pub mod decide;
pub mod denial;
pub mod entities;
pub mod facts;
pub mod identify;
pub mod input;
pub mod keys;
pub mod lease;
pub mod matrix;
pub mod path;
pub mod policy;
pub mod record;
pub mod rego;
pub mod remedy;
pub mod request;
pub mod sealed;
pub mod signing;
pub mod snapshot;
pub mod standing;
pub mod yaml;

pub use decide::{Decided, Decision, Demand, Permit, Witness, decide, witness};
pub use denial::Denial;
