//! Key binding: a token that declares a key and does not come with it is a stolen token (RFC 9449 §7, RFC 8705 §3). Hard rules, no score.

use countersign_sdk_types::Signal;

use crate::{BindingState, EvidenceItem, Sighting};

/// A declared key that is absent or different.
pub(crate) fn observe(sighting: &Sighting) -> Option<EvidenceItem> {
    match sighting.binding {
        BindingState::NotDeclared | BindingState::Proved => None,
        BindingState::Missing => Some(EvidenceItem::hard(Signal::Binding, b"missing", "the token is bound to a key that was not proved")),
        BindingState::Mismatch => Some(EvidenceItem::hard(Signal::Binding, b"mismatch", "the token is bound to another key")),
    }
}

/// An authenticator whose counter went backwards may have a clone (WebAuthn Level 3 §6.1.1).
pub(crate) fn counter(sighting: &Sighting) -> Option<EvidenceItem> {
    let item = || EvidenceItem::hard(Signal::Counter, b"regressed", "the passkey's counter went backwards, so it may have been cloned");
    sighting.counter_regressed.then(item)
}
