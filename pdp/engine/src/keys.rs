//! The keys of issuers.
