//! Envoy's gRPC messages: one request or a refusal. The body lives in `tests/src/fuzz/check_request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_tests::fuzz::check_request(bytes));
