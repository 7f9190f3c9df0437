//! What is checked of an assertion before its signature, because webauthn-rs does not check it.
//!
//! A response that passes is well formed and meant for us; it proves nothing until its signature is verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use serde_json::{Map, Value};

const LIMITS: Limits = Limits { bytes: 16 * 1024, depth: 8, values: 200 };

/// Why a response is refused before its signature is looked at.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not strict JSON, or too large.
    #[error("the response is not acceptable JSON")]
    Json(#[from] strict::StrictError),
    /// A member is absent or of the wrong kind.
    #[error("member `{0}` is missing or malformed")]
    Member(&'static str),
    /// `id` and `rawId` name two credentials.
    #[error("the credential is named in two ways")]
    TwoIds,
    /// Not the answer to the challenge of an assertion.
    #[error("the response is of another kind")]
    Kind,
    /// Made on another origin.
    #[error("the response was made on another origin")]
    Origin,
    /// Made inside a frame of another origin.
    #[error("the response was made inside another page")]
    Framed,
    /// The passkey belongs to somebody else.
    #[error("the passkey belongs to another user")]
    OtherUser,
    /// Results of extensions that nobody asked for.
    #[error("the response has results of extensions that were not asked for")]
    Extensions,
}

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
    let document = strict::value(response, LIMITS)?;
    let credential = document.as_object().ok_or(Refusal::Member("credential"))?;
    check_identity(credential)?;
    check_extensions(credential)?;
    let inner = credential.get("response").and_then(Value::as_object).ok_or(Refusal::Member("response"))?;
    check_client_data(inner, expected.origin)?;
    check_user(inner, expected.user_handle)?;
    bytes(inner, "authenticatorData")?;
    bytes(inner, "signature")?;
    Ok(document)
}

fn check_identity(credential: &Map<String, Value>) -> Result<(), Refusal> {
    let id = bytes(credential, "id")?;
    if id != bytes(credential, "rawId")? {
        return Err(Refusal::TwoIds);
    }
    if text(credential, "type")? != "public-key" {
        return Err(Refusal::Kind);
    }
    Ok(())
}

fn check_extensions(credential: &Map<String, Value>) -> Result<(), Refusal> {
    ["clientExtensionResults", "extensions"].into_iter().try_for_each(|name| match credential.get(name) {
        None => Ok(()),
        Some(Value::Object(results)) if results.is_empty() => Ok(()),
        Some(_) => Err(Refusal::Extensions),
    })
}

fn check_client_data(inner: &Map<String, Value>, origin: &str) -> Result<(), Refusal> {
    let data = strict::value(&bytes(inner, "clientDataJSON")?, LIMITS)?;
    let data = data.as_object().ok_or(Refusal::Member("clientDataJSON"))?;
    if text(data, "type")? != "webauthn.get" {
        return Err(Refusal::Kind);
    }
    if text(data, "origin")? != origin {
        return Err(Refusal::Origin);
    }
    bytes(data, "challenge")?;
    match data.get("crossOrigin") {
        None | Some(Value::Bool(false)) if !data.contains_key("topOrigin") => Ok(()),
        _ => Err(Refusal::Framed),
    }
}

fn check_user(inner: &Map<String, Value>, expected: &[u8]) -> Result<(), Refusal> {
    match inner.get("userHandle") {
        None | Some(Value::Null) => Ok(()),
        Some(_) if bytes(inner, "userHandle")? == expected => Ok(()),
        Some(_) => Err(Refusal::OtherUser),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(Refusal::Member(name))
}

fn bytes(object: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text(object, name)?).map_err(|_| Refusal::Member(name))
}

#[cfg(test)]
mod tests;
