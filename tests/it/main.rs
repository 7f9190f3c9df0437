//! The integration tests: one binary, a module a topic.

mod fuzz_replay;
mod strict_json;
mod tidy;
