//! Rego: rewriting and compiling never panic, and lines stay where they are. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::rego(bytes));
