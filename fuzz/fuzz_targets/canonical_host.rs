//! Hosts: one form each. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::canonical_host(bytes));
