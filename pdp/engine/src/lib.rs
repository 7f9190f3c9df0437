//! The only crate that decides: pure, without clock, files or network.
