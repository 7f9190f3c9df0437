//! Certificates in headers: what is read is a thumbprint, by the last hop alone. The body lives in `tests/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::client_certificate(bytes));
