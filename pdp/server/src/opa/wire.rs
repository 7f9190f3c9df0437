//! Reads requests and writes answers as OPA does: query parameters, compressed bodies, the path of a document, pretty or compressed JSON.

use std::io::{Read as _, Write as _};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use countersign_sdk_types::strict::{self, Limits};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;

/// How often a body may be larger than it was sent, once it is larger than [`GRACE`].
const LARGEST_RATIO: usize = 100;
const GRACE: usize = 64 * 1024;
/// From here on an answer is worth compressing.
const WORTH: usize = 1024;
/// The deepest input document, and the most values in it.
const DEEPEST: usize = 64;
const MOST_VALUES: usize = 200_000;
/// The most steps of a path, and the most parameters of a query.
const LONGEST_PATH: usize = 64;
const MOST_PARAMETERS: usize = 32;

/// The query parameters that change an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) pretty: bool,
    pub(crate) metrics: bool,
    pub(crate) provenance: bool,
    pub(crate) strict_builtin_errors: bool,
    pub(crate) input: Option<String>,
    pub(crate) query: Option<String>,
}

/// All query parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawParams(Vec<(String, String)>);

impl RawParams {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        let text = uri.query().unwrap_or_default().replace('+', " ");
        let parts: Vec<&str> = text.split('&').filter(|part| !part.is_empty()).collect();
        if parts.len() > MOST_PARAMETERS {
            return Err(Failure::parameter("too many query parameters"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let pair = |part: &&str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(name)?, decoded(value)?))
        };
        let pairs: Result<Vec<_>, std::str::Utf8Error> = parts.iter().map(pair).collect();
        pairs.map(Self).map_err(|_| Failure::parameter("a query parameter is not UTF-8"))
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may be given several times; one without a value says nothing.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.all(name).filter(|value| !value.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// A flag: there without a value, or once `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let all: Vec<_> = self.all(name).collect();
        all == [""] || all.iter().any(|value| value.eq_ignore_ascii_case("true"))
    }

    fn last(&self, name: &str) -> Option<String> {
        self.all(name).last().map(ToOwned::to_owned)
    }
}

impl Params {
    /// # Errors
    /// When something is asked for that this cannot tell.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        let raw = RawParams::of(uri)?;
        if raw.list("explain").iter().any(|mode| mode != "off") {
            return Err(Failure::parameter("traces are not recorded here: leave `explain` out"));
        }
        Ok(Self {
            pretty: raw.flag("pretty"),
            metrics: raw.flag("metrics") || raw.flag("instrument"),
            provenance: raw.flag("provenance"),
            strict_builtin_errors: raw.flag("strict-builtin-errors"),
            input: raw.last("input"),
            query: raw.last("q"),
        })
    }
}

/// The steps of a path below a prefix. A step is a name and never syntax.
pub(crate) fn steps(uri: &Uri, prefix: &str) -> Result<Vec<String>, Failure> {
    let rest = uri.path().strip_prefix(prefix).unwrap_or_default();
    let decoded = |step: &str| {
        let step = percent_decode_str(step).decode_utf8().map_err(|_| Failure::parameter("invalid path: it is not UTF-8"))?;
        let odd = step.contains('"') || step.chars().any(char::is_control);
        if odd { Err(Failure::parameter(format!("invalid path: invalid ref term '{step}'"))) } else { Ok(step.into_owned()) }
    };
    let steps: Vec<_> = rest.split('/').filter(|step| !step.is_empty()).map(decoded).collect::<Result<_, _>>()?;
    if steps.len() > LONGEST_PATH { Err(Failure::parameter("invalid path: it has too many steps")) } else { Ok(steps) }
}

/// The path as Rego writes it.
pub(crate) fn reference(steps: &[String]) -> String {
    let is_name = |step: &str| {
        let mut characters = step.chars();
        let first = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        first && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    let written = steps.iter().map(|step| match step {
        step if is_name(step) => format!(".{step}"),
        step if step.parse::<i64>().is_ok() => format!("[{step}]"),
        step => format!("[{}]", Value::from(step.as_str())),
    });
    std::iter::once("data".to_owned()).chain(written).collect()
}

/// The body of a request, inflated where it is compressed, bounded in both states.
pub(crate) async fn body(request: Request, most: usize) -> Result<Bytes, Failure> {
    let (parts, body) = request.into_parts();
    if header_says(&parts.headers, &header::CONTENT_TYPE, "yaml") {
        return Err(Failure::parameter("body contains malformed input document: YAML is not read here, send JSON"));
    }
    let bytes = to_bytes(body, most).await.map_err(|_| Failure::parameter("request body too large"))?;
    match parts.headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()) {
        None => Ok(bytes),
        Some(encoding) if encoding == b"identity" => Ok(bytes),
        Some(encoding) if encoding == b"gzip" => inflate(&bytes, most),
        Some(_) => Err(Failure::parameter("could not decompress the body: `gzip` is the one encoding that is read here")),
    }
}

fn inflate(compressed: &[u8], most: usize) -> Result<Bytes, Failure> {
    let most = compressed.len().saturating_mul(LARGEST_RATIO).max(GRACE).min(most);
    let mut inflated = Vec::new();
    let mut decoder = GzDecoder::new(compressed);
    let read = decoder.by_ref().take(most as u64 + 1).read_to_end(&mut inflated);
    read.map_err(|error| Failure::parameter(format!("could not decompress the body: {error}")))?;
    match () {
        () if inflated.len() > most => Err(Failure::parameter("compressed request body too large")),
        () if !decoder.get_ref().is_empty() => Err(Failure::parameter("could not decompress the body: something follows it")),
        () => Ok(inflated.into()),
    }
}

/// A document of a caller; none where there are no bytes.
pub(crate) fn document(bytes: &[u8], what: &str) -> Result<Option<Value>, Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let limits = Limits { bytes: usize::MAX, depth: DEEPEST, values: MOST_VALUES };
    strict::value(bytes, limits).map(Some).map_err(|error| Failure::parameter(format!("{what} contains malformed input document: {error}")))
}

fn header_says(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers.get_all(name).iter().any(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase().contains(word))
}

/// How the caller wants its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    pretty: bool,
    gzip: bool,
}

impl Form {
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let pretty = RawParams::of(uri).is_ok_and(|params| params.flag("pretty"));
        let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        Self { pretty, gzip: accepted.flat_map(|value| value.split(',')).any(takes_gzip) }
    }

    /// The answer as JSON, on a line of its own.
    pub(crate) fn answer(self, content: &impl Serialize) -> Response {
        let written = if self.pretty { serde_json::to_vec_pretty(content) } else { serde_json::to_vec(content) };
        let Ok(mut json) = written else { return Failure::internal("answer could not be written").into_response() };
        json.push(b'\n');
        let kind = (header::CONTENT_TYPE, "application/json");
        if self.gzip && json.len() >= WORTH {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            if encoder.write_all(&json).is_ok()
                && let Ok(compressed) = encoder.finish()
            {
                let how = [kind, (header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
                return (StatusCode::OK, how, Body::from(compressed)).into_response();
            }
        }
        (StatusCode::OK, [kind], Body::from(json)).into_response()
    }
}

/// `gzip`, unless it is said to be worth nothing (RFC 9110 §12.5.3).
fn takes_gzip(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
    let refused =
        parts.any(|weight| matches!(weight.replace(' ', "").to_ascii_lowercase().as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
    named && !refused
}

#[cfg(test)]
mod tests;
