//! The plugin's input: the attributes as protobuf's JSON writes them, and beside them what policies would have to take apart themselves.

mod attributes;
mod body;

use std::borrow::Cow;

use bytes::Bytes;
use countersign_pdp_engine::path::CanonicalPath;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Refused;
use crate::ext_authz::{CheckRequest, HttpRequest};

/// # Errors
/// When the request is about no path, the path is ambiguous, or a text is none.
pub(super) fn input(message: CheckRequest) -> Result<Value, Refused> {
    let attributes = message.attributes.ok_or_else(|| malformed("the call has no attributes"))?;
    let http = attributes.request.as_ref().and_then(|request| request.http.clone());
    let http = http.ok_or_else(|| malformed("the call is not about an HTTP request"))?;
    let principal = attributes.source.as_ref().map(|source| source.principal.clone()).unwrap_or_default();
    let path = text(&http.path)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = headers(&http)?;
    let (parsed_body, truncated_body) = body::parsed(&http, &headers)?;
    let mut input = json!({
        "attributes": attributes::json(&attributes)?,
        "version": {"ext_authz": "v3", "encoding": "protojson"},
        "parsed_path": segments(path)?,
        "parsed_query": pairs(query)?,
        "parsed_body": parsed_body,
        "truncated_body": truncated_body,
    });
    if !principal.is_empty() {
        input["source_principal"] = text(&principal)?.into();
    }
    Ok(input)
}

fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Refused> {
    CanonicalPath::parse(path).map_err(|why| malformed(&why.to_string()))?;
    // No segment holds a hidden separator now, so that splitting first and decoding first are the same.
    path.trim_start_matches('/').split('/').map(decoded).collect()
}

/// A form's pairs, each name with all of its values. What some readers skip and others do not is refused: a broken escape, a `;`.
fn pairs(form: &str) -> Result<Map<String, Value>, Refused> {
    let mut pairs = Map::new();
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return Err(malformed("a semicolon separates parameters for some and not for others"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let unplussed = |text: &str| decoded(&text.replace('+', " ")).map(Cow::into_owned);
        let (name, value) = (unplussed(name)?, unplussed(value)?);
        if let Value::Array(values) = pairs.entry(name).or_insert_with(|| json!([])) {
            values.push(value.into());
        }
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Refused> {
    let whole = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(whole) {
        return Err(malformed("an escape is broken"));
    }
    percent_decode_str(text).decode_utf8().map_err(|_| malformed("an escape is no UTF-8"))
}

/// The headers by their names, joined as Envoy joins them where it sent them raw.
fn headers(http: &HttpRequest) -> Result<Map<String, Value>, Refused> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let raw = raw.map(|one| (&one.key, one.bytes()));
    let mut headers = Map::new();
    for (name, value) in http.headers.iter().map(|entry| (&entry.key, &entry.value)).chain(raw) {
        let (name, value) = (text(name)?.to_ascii_lowercase(), text(value)?);
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(first) => format!("{first},{value}"),
            None => value.to_owned(),
        };
        headers.insert(name, joined.into());
    }
    Ok(headers)
}

fn text(bytes: &Bytes) -> Result<&str, Refused> {
    std::str::from_utf8(bytes).map_err(|_| malformed("a text is no UTF-8"))
}

fn malformed(why: &str) -> Refused {
    Refused::Malformed(why.to_owned())
}
