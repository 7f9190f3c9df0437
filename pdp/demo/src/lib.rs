//! The demonstration, so far: an issuer of tokens and a made-up table of places. Nothing else than the demonstration may link it.

pub mod issuer;
pub mod places;
