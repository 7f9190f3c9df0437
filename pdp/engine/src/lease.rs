//! Leases of decisions: what a lease rests on, by name.

pub mod tag;
