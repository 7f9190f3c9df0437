//! The bodies of the fuzz targets, so that stable `cargo test` replays what a fuzzer found.

use countersign_sdk_types::strict::{self, Limits};

/// Strict JSON: what is accepted has a second reading that is equal, and nothing is accepted that repeats a member name.
///
/// # Panics
/// When the property does not hold.
pub fn strict_json(bytes: &[u8]) {
    let Ok(value) = strict::value(bytes, Limits::REQUEST) else { return };
    let text = value.to_string();
    let again = strict::value(text.as_bytes(), Limits { bytes: text.len(), ..Limits::REQUEST });
    assert_eq!(again.ok().as_ref(), Some(&value), "a second reading differs");
}
