//! The integration tests: one binary, a module a topic.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, with what it saw"
)]

mod authzen;
mod axum_app;
mod behavior;
mod browser_sdk;
mod client;
mod control;
mod demo;
mod doctor;
mod edge;
mod embedded;
mod fuzz_replay;
mod git_host;
mod grpc_decision_point;
mod hostile_policies;
mod learn_import;
mod leases;
mod nginx;
mod opa;
mod opa_builtins;
mod opa_negation;
mod opa_oracle;
mod openapi;
mod pep;
mod places;
mod policy_diff;
mod policy_explain;
mod policy_inject;
mod policy_lifecycle;
mod policy_rollout;
mod policy_source;
mod policy_swap;
mod policy_tools;
mod proxies;
mod public_api;
mod rego_suite;
mod risk_forecast;
mod serving;
mod step_up;
mod step_up_hostile;
mod strict_json;
mod tidy;
mod tokens;
mod trails;
mod visitor;
mod watch;
