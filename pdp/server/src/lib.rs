//! The only crate of the decision point that knows wire formats, files and the clock.
