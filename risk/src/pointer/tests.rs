//! The laws of the verifier.
