//! Proves who asks.
