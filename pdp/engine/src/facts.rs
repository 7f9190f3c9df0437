//! What the server looked up for a decision, as plain values.
