//! The only crate that sees webauthn-rs: ceremonies and what binds them.
//!
//! So far it holds the secrets and the checks of an assertion that come before its signature is verified.

pub mod assertion;
pub mod secret;
