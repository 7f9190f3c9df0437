//! Tokens: nothing verifies that was not signed. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::token(bytes));
