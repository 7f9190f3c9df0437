//! The only crate of the decision point that knows wire formats, files and the clock.

pub mod adapter;
pub mod attempts;
pub mod behavior;
pub mod breakdown;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod directory;
pub mod evaluation;
mod files;
pub mod front_door;
pub mod jail;
pub mod key_sets;
pub mod metrics;
pub mod operations;
pub mod pages;
pub mod picture;
pub mod pipeline;
pub mod places;
pub mod policies;
pub mod public;
pub mod serve;
pub mod step_up;
pub mod tls;
pub mod trails;
