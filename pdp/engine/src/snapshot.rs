//! Everything that decides and is swapped whole.
