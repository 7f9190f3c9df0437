//! Batches of pointer actions: what is accepted is bounded and has one reading. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::pointer_batch(bytes));
