//! JSON at every ingress: repeated names, depth, size and number of values.

use countersign_sdk_types::strict::{self, Limits};
use proptest::prelude::*;

#[track_caller]
fn refused(text: &str) {
    assert!(strict::value(text.as_bytes(), Limits::REQUEST).is_err(), "accepted: {text}");
}

#[track_caller]
fn accepted(text: &str) {
    let value = strict::value(text.as_bytes(), Limits::REQUEST).unwrap();
    assert_eq!(value, serde_json::from_str::<serde_json::Value>(text).unwrap());
}

#[test]
fn repeated_names_are_refused_at_every_depth() {
    refused(r#"{"role":"user","role":"admin"}"#);
    refused(r#"{"a":[{"role":1,"role":1}]}"#);
    refused(r#"{"role":1,"\u0072ole":2}"#);
}

#[test]
fn what_is_not_one_document_is_refused() {
    ["", "nul", "{", "{}{}", "[1,]", "{\"a\":1e999}", "\u{feff}{}", "'a'"].into_iter().for_each(refused);
}

#[test]
fn documents_within_the_limits_are_read_as_they_are() {
    ["null", "-0.5", "18446744073709551615", "[[],{}]", r#"{"a":{"a":1},"b":["\u00e9",true]}"#].into_iter().for_each(accepted);
}

#[test]
fn depth_size_and_count_are_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    accepted(&nested(32));
    refused(&nested(34));
    refused(&nested(100_000));
    refused(&format!("[{}1]", "1,".repeat(20_000)));
    refused(&format!("\"{}\"", "a".repeat(256 * 1024)));
}

proptest! {
    #[test]
    fn any_bytes_hold_the_property(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        countersign_tests::fuzz::strict_json(&bytes);
    }
}
