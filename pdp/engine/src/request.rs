//! From what an adapter read to a request without ambiguity.
