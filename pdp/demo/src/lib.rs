//! The demonstration, so far: an issuer of tokens, a made-up table of places and a software authenticator. Nothing else than the demonstration may link it.

pub mod authenticator;
pub mod issuer;
pub mod places;
