//! The integration tests: one binary, a module a topic.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, with what it saw"
)]

mod behavior;
mod control;
mod demo;
mod doctor;
mod fuzz_replay;
mod hostile_policies;
mod learn_import;
mod nginx;
mod opa;
mod places;
mod proxies;
mod serving;
mod step_up;
mod step_up_hostile;
mod strict_json;
mod tidy;
mod trails;
mod visitor;
