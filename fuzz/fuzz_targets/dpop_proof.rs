//! DPoP proofs: nothing proves a key that did not sign for this request. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::dpop_proof(bytes));
