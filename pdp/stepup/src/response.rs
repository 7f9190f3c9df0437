//! What assertions and registrations have in common when they are screened.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use serde_json::{Map, Value};

pub(crate) const LIMITS: Limits = Limits { bytes: 16 * 1024, depth: 8, values: 200 };

/// Why a response is refused before any signature is looked at. The browser, or who posts in its place, is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not strict JSON, or too large.
    #[error("the response is not acceptable JSON")]
    Json(#[from] strict::StrictError),
    /// A member is absent or of the wrong kind.
    #[error("member `{0}` is missing or malformed")]
    Member(&'static str),
    /// `id` and `rawId`, or the attested data, name two credentials.
    #[error("the credential is named in two ways")]
    TwoIds,
    /// The answer to another kind of challenge.
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

/// Reads the document, and checks that it names one credential.
pub(crate) fn credential(response: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(credential) = strict::value(response, LIMITS)? else {
        return Err(Refusal::Member("credential"));
    };
    if bytes(&credential, "id")? != bytes(&credential, "rawId")? {
        return Err(Refusal::TwoIds);
    }
    if text(&credential, "type")? != "public-key" {
        return Err(Refusal::Kind);
    }
    Ok(credential)
}

/// Checks that no extension has a result but those of `asked`.
pub(crate) fn check_extensions(credential: &Map<String, Value>, asked: &[&str]) -> Result<(), Refusal> {
    ["clientExtensionResults", "extensions"].into_iter().try_for_each(|name| match credential.get(name) {
        None => Ok(()),
        Some(Value::Object(results)) if results.keys().all(|result| asked.contains(&result.as_str())) => Ok(()),
        Some(_) => Err(Refusal::Extensions),
    })
}

pub(crate) fn inner(credential: &Map<String, Value>) -> Result<&Map<String, Value>, Refusal> {
    credential.get("response").and_then(Value::as_object).ok_or(Refusal::Member("response"))
}

/// Checks that the response was made for `kind` on a page of `origin`, which no other page had framed.
pub(crate) fn check_client_data(inner: &Map<String, Value>, kind: &str, origin: &str) -> Result<(), Refusal> {
    let data = strict::value(&bytes(inner, "clientDataJSON")?, LIMITS)?;
    let data = data.as_object().ok_or(Refusal::Member("clientDataJSON"))?;
    if text(data, "type")? != kind {
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

pub(crate) fn text<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(Refusal::Member(name))
}

pub(crate) fn bytes(object: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text(object, name)?).map_err(|_| Refusal::Member(name))
}
