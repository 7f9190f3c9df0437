//! The doors of the proxies: under a policy that denies, nothing passes. The body lives in `tests/src/fuzz/adapters.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::adapters(bytes));
