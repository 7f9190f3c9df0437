//! The only crate that sees webauthn-rs: ceremonies and what binds them.
