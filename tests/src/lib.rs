//! The harness: the real programs that the integration tests drive, each started on free loopback ports and ended with its handle.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking, with what it saw"
)]

pub mod authzen;
pub mod browser;
pub mod decision_points;
pub mod decisions;
pub mod direct;
pub mod dpop;
pub mod edge_day;
pub mod fuzz;
pub mod git_host;
pub mod http;
pub mod inputs;
pub mod introspection;
pub mod issuer;
pub mod mtls;
pub mod network;
pub mod opa;
pub mod oracle;
pub mod page;
pub mod process;
pub mod proxy;
pub mod public_api;
pub mod stage;
pub mod storm;
pub mod swap;
pub mod upstream;
pub mod watched;

pub use proxy::nginx;
