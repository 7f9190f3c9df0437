//! Logs of providers: every record is counted once. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::past_log(bytes));
