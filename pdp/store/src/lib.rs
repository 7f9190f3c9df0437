//! The only crate that persists: the journal, and the view that is rebuilt from it.
