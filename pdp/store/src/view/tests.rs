//! The view: sealed values, and refolding from events.

use super::kv::{seal, unseal};
use super::*;

#[test]
fn a_sealed_value_is_believed_under_its_own_key_only() {
    let stored = seal(b"key", b"value");
    assert_eq!(unseal(b"key", &stored), Ok(b"value".as_slice()));
    assert_eq!(unseal(b"other", &stored), Err(ViewError::Damaged));
    for at in 0..stored.len() {
        let mut flipped = stored.clone();
        flipped[at] ^= 1;
        assert_eq!(unseal(b"key", &flipped), Err(ViewError::Damaged));
    }
    assert_eq!(unseal(b"key", b"short"), Err(ViewError::Damaged));
}

#[test]
fn a_half_written_snapshot_of_the_engine_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    drop(View::open(folder.path()).unwrap());
    std::fs::write(folder.path().join("snap.0000000000000000.generating"), b"half").unwrap();
    assert_eq!(View::open(folder.path()).unwrap().head(), Ok(Head::EMPTY));
}
