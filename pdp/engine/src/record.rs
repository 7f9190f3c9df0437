//! What is kept of a decision, and how it is replayed and explained.
