//! The body, where it is JSON or a form and all there. A part of a body is never shown as if it were the whole.

use countersign_sdk_types::strict::{self, Limits};
use serde_json::{Map, Value};

use super::{Refused, malformed, pairs, text};
use crate::ext_authz::HttpRequest;

/// What the body says, and whether a part of it is missing. `null` where it is neither JSON nor a form, empty, or cut short.
pub(super) fn parsed(http: &HttpRequest, headers: &Map<String, Value>) -> Result<(Value, bool), Refused> {
    let header = |name: &str| headers.get(name).and_then(Value::as_str);
    let body = if http.body.is_empty() { &http.raw_body } else { &http.body };
    // Envoy says so, or the client said that more would come.
    let announced = header("content-length").map(str::parse::<u64>).transpose().map_err(|_| malformed("content-length is no number"))?;
    let is_short = !body.is_empty() && announced.is_some_and(|announced| u64::try_from(body.len()).is_ok_and(|length| announced > length));
    if header("x-envoy-auth-partial-body") == Some("true") || is_short {
        return Ok((Value::Null, true));
    }
    let kind = header("content-type").unwrap_or_default();
    let parsed = match () {
        () if body.is_empty() => Value::Null,
        () if kind.contains("application/json") => {
            strict::value(body, Limits { bytes: body.len(), ..Limits::REQUEST }).map_err(|error| malformed(&error.to_string()))?
        }
        () if kind.contains("application/x-www-form-urlencoded") => Value::Object(pairs(text(body)?)?),
        () => Value::Null,
    };
    Ok((parsed, false))
}
