//! What is checked of an assertion before its signature, because webauthn-rs does not check it.
//!
//! A response that passes is well formed and meant for us; it proves nothing until its signature is verified.

use serde_json::{Map, Value};

pub use crate::response::Refusal;
use crate::response::{bytes, check_client_data, check_extensions, credential, inner};

/// Whom an assertion must come from, and where it must have been made.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The exact origin, as a browser writes it.
    pub origin: &'a str,
    /// The bytes of the user handle.
    pub user_handle: &'a [u8],
}

/// Checks a response in the shape of `PublicKeyCredential.toJSON()`.
///
/// # Errors
/// With the first reason to refuse it.
pub fn screen(response: &[u8], expected: Expected<'_>) -> Result<Value, Refusal> {
    let credential = credential(response)?;
    check_extensions(&credential, &[])?;
    let inner = inner(&credential)?;
    check_client_data(inner, "webauthn.get", expected.origin)?;
    check_user(inner, expected.user_handle)?;
    check_authenticator_data(&bytes(inner, "authenticatorData")?)?;
    bytes(inner, "signature")?;
    Ok(Value::Object(credential))
}

fn check_user(inner: &Map<String, Value>, expected: &[u8]) -> Result<(), Refusal> {
    match inner.get("userHandle") {
        None | Some(Value::Null) => Ok(()),
        Some(_) if bytes(inner, "userHandle")? == expected => Ok(()),
        Some(_) => Err(Refusal::OtherUser),
    }
}

/// A hash, flags and a counter, and nothing after them (WebAuthn Level 3 §6.1): webauthn-rs does not look at leftover bytes.
///
/// An assertion attests no credential, and no extension was asked for.
fn check_authenticator_data(data: &[u8]) -> Result<(), Refusal> {
    const ATTESTED: u8 = 0x40;
    const EXTENSIONS: u8 = 0x80;
    match data.get(32) {
        Some(flags) if flags & EXTENSIONS != 0 => Err(Refusal::Extensions),
        Some(flags) if flags & ATTESTED == 0 && data.len() == 37 => Ok(()),
        _ => Err(Refusal::Member("authenticatorData")),
    }
}

#[cfg(test)]
mod tests;
