//! The only crate that sees webauthn-rs: ceremonies and what binds them to a subject, a browser, a host and a denied request.
//!
//! Entropy aside it is pure: time is a parameter, everything is in memory, bounded, and expires. A way through it is
//! [`demand`](Ceremonies::demand) (a request was denied), [`open`](Ceremonies::open) (a browser follows the link, on the protected host),
//! [`challenge`](Ceremonies::challenge) and [`prove`](Ceremonies::prove) (on the auth origin), [`release`](Ceremonies::release) (the
//! proof was journaled) and [`redeem`](Ceremonies::redeem) (the same browser, on the protected host again). Nothing in here grants
//! anything: the server decides anew with what was redeemed.

pub mod assertion;
mod cbor;
mod ceremonies;
mod failure;
mod registration;
mod relying_party;
mod response;
pub mod secret;
mod table;

pub use ceremonies::{
    Authorization, Ceremonies, Demanded, Enrolled, Enrolment, Holder, Limits, MOST_PASSKEYS, NewCredential, Page, Proved, Redeemed,
};
pub use failure::{Failure, StepUpError};
pub use relying_party::{RelyingParty, RelyingPartyError};
pub use response::Refusal;
