//! The demonstration: an issuer, a protected application, a software authenticator, and the story that they play. Nothing else may link it.
//!
//! The decision point is the real one. The demonstration brings the people, the place that they are in, and a made-up table of networks.

pub mod application;
pub mod attack;
pub mod authenticator;
pub mod backstage;
pub mod hand;
pub mod issuer;
pub mod places;
pub mod story;
pub mod timeline;
pub mod visitor;
pub mod why;
