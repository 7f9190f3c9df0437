//! Secrets: fresh, redacted, compared by digest.

use super::*;

#[test]
fn two_secrets_differ_and_have_256_bits() {
    let (a, b) = (Secret::fresh().unwrap(), Secret::fresh().unwrap());
    assert_ne!(a.reveal(), b.reveal());
    assert_ne!(a.digest(), b.digest());
    assert_eq!(URL_SAFE_NO_PAD.decode(a.reveal()).unwrap().len(), 32);
}

#[test]
fn debug_does_not_show_it() {
    let secret = Secret::fresh().unwrap();
    assert!(!format!("{secret:?}").contains(secret.reveal()));
}

#[test]
fn what_is_presented_is_known_by_its_digest() {
    let secret = Secret::fresh().unwrap();
    assert_eq!(SecretDigest::of(secret.reveal()), secret.digest());
    assert_ne!(SecretDigest::of(""), secret.digest());
}
