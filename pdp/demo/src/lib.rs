//! The demonstration: issuer, protected application and software authenticator.
