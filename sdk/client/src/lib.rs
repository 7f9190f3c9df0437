//! The only crate that talks to a decision point: deadlines, and failure is a denial.
