//! What changed is counted as it changed.
