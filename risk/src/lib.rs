//! The only crate that turns evidence into a number.
