//! Settles a request: evidence, score, policy, remedy, and the one maker of a `Permit`.
