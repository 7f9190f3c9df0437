//! `providers.aws.sign_req`: a request with the headers of AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests").

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use regorus::Value;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::call::{Builtin, Call, Failure};
use super::hash::hex;
use crate::policy::json::json;

/// Headers that proxies may change, and the answer itself.
const UNSIGNED: [&str; 3] = ["authorization", "user-agent", "x-amzn-trace-id"];

pub(super) const TABLE: &[Builtin] = &[Builtin::new("providers.aws.sign_req", 3, sign_request)];

type Headers = BTreeMap<String, String>;

fn sign_request(call: &Call<'_>) -> Result<Value, Failure> {
    call.bounded()?;
    let (method, url) = (member(call, 0, "method")?, member(call, 0, "url")?);
    let scope = Scope::read(call)?;
    let headers = headers(call)?;
    let payload = if scope.signs_payload { hex(&Sha256::digest(body(call)?)) } else { "UNSIGNED-PAYLOAD".to_owned() };
    let place = Place::read(&url).ok_or_else(|| call.operand("`url` cannot be read"))?;
    let mut added = Headers::from([("host".to_owned(), place.host.clone()), ("x-amz-date".to_owned(), scope.instant.clone())]);
    if matches!(scope.service.as_str(), "s3" | "glacier") {
        added.insert("x-amz-content-sha256".to_owned(), payload.clone());
    }
    if let Some(token) = &scope.token {
        added.insert("x-amz-security-token".to_owned(), token.clone());
    }
    let mut signed = added.clone();
    let chosen = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    signed.extend(chosen.filter(|(name, _)| !UNSIGNED.contains(&name.as_str())));
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = signed.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let canonical = format!("{}\n{}\n{}\n{lines}\n{names}\n{payload}", method, place.path, place.query);
    added.insert("Authorization".to_owned(), scope.authorize(&names, &canonical));
    let all: BTreeMap<Value, Value> = headers.into_iter().chain(added).map(|(name, value)| (name.into(), value.into())).collect();
    let members = call.object(0)?.iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok(Value::from(members.chain([(Value::from("headers"), Value::from(all))]).collect::<BTreeMap<_, _>>()))
}

fn optional<'a>(call: &Call<'a>, at: usize, name: &str) -> Result<Option<&'a Value>, Failure> {
    Ok(call.object(at)?.get(&Value::from(name)))
}

fn member(call: &Call<'_>, at: usize, name: &str) -> Result<String, Failure> {
    let value = optional(call, at, name)?.ok_or_else(|| call.operand(format!("`{name}` is missing")))?;
    value.as_string().map(ToString::to_string).map_err(|_| call.operand(format!("`{name}` must be a string")))
}

fn headers(call: &Call<'_>) -> Result<Headers, Failure> {
    let Some(headers) = optional(call, 0, "headers")? else { return Ok(Headers::new()) };
    let headers = headers.as_object().map_err(|_| call.operand("`headers` must be an object"))?;
    headers.iter().map(|(name, value)| Ok((call.text_of(name)?.to_owned(), call.text_of(value)?.to_owned()))).collect()
}

fn body(call: &Call<'_>) -> Result<Vec<u8>, Failure> {
    if let Some(raw) = optional(call, 0, "raw_body")? {
        return Ok(call.text_of(raw)?.as_bytes().to_vec());
    }
    let body = optional(call, 0, "body")?.and_then(json);
    Ok(body.as_ref().map_or_else(Vec::new, |body: &Json| body.to_string().into_bytes()))
}

/// The parts of an address that are signed.
struct Place {
    host: String,
    path: String,
    query: String,
}

impl Place {
    fn read(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let rest = rest.split('#').next()?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
        Some(Self { host: host.to_owned(), path: path.to_owned(), query: query.to_owned() })
    }
}

/// Who signs, what for, and when.
struct Scope {
    key: String,
    secret: String,
    token: Option<String>,
    service: String,
    region: String,
    signs_payload: bool,
    /// As in `20151228T140825Z`.
    instant: String,
}

impl Scope {
    fn read(call: &Call<'_>) -> Result<Self, Failure> {
        let unsigned = match optional(call, 1, "disable_payload_signing")? {
            None => false,
            Some(value) => *value.as_bool().map_err(|_| call.operand("`disable_payload_signing` must be a boolean"))?,
        };
        let nanoseconds = call.integer(2)?;
        let time = jiff::Timestamp::from_nanosecond(nanoseconds.into()).ok().filter(|_| nanoseconds >= 0);
        let time = time.ok_or_else(|| call.operand("the time is not an instant since the epoch"))?;
        Ok(Self {
            key: member(call, 1, "aws_access_key")?,
            secret: member(call, 1, "aws_secret_access_key")?,
            token: optional(call, 1, "aws_session_token")?.map(|token| call.text_of(token).map(ToOwned::to_owned)).transpose()?,
            service: member(call, 1, "aws_service")?,
            region: member(call, 1, "aws_region")?,
            signs_payload: !unsigned,
            instant: time.strftime("%Y%m%dT%H%M%SZ").to_string(),
        })
    }

    fn authorize(&self, names: &str, canonical: &str) -> String {
        let date = self.instant.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.instant, hex(&Sha256::digest(canonical)));
        let first = format!("AWS4{}", self.secret).into_bytes();
        let steps = [date, &self.region, &self.service, "aws4_request", &text];
        let signature = steps.into_iter().fold(first, |key, step| code(&key, step));
        format!("AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={}", self.key, hex(&signature))
    }
}

fn code(key: &[u8], text: &str) -> Vec<u8> {
    // A key of HMAC may have any length.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(|_| Vec::new(), |code| code.chain_update(text).finalize().into_bytes().to_vec())
}
