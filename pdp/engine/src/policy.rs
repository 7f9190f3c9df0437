//! Loads policies and asks them.
