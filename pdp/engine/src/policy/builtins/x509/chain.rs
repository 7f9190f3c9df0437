//! Chains of certificates, judged by the time that came with the question.

use std::time::Duration;

use regorus::Value;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::Value as Json;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{certificates, describe};
use crate::policy::builtins::call::{Call, Failure};

/// The first certificate is the root, the last the leaf, those between are intermediates; as in Go, the leaf must be for servers.
pub(super) fn parse_and_verify(call: &Call<'_>) -> Result<Value, Failure> {
    verify(call, &Options { usages: vec![Usage::Server], seconds: call.moment.now.secs() })
}

/// As [`parse_and_verify`], with another time, other usages, or a name that the leaf must be for.
pub(super) fn parse_and_verify_with_options(call: &Call<'_>) -> Result<Value, Failure> {
    verify(call, &Options::read(call)?)
}

#[derive(Clone, Copy)]
enum Usage {
    Any,
    Server,
    Client,
}

struct Options {
    usages: Vec<Usage>,
    seconds: i64,
}

impl Options {
    fn read(call: &Call<'_>) -> Result<Self, Failure> {
        let mut options = Self { usages: vec![Usage::Server], seconds: call.moment.now.secs() };
        for (name, value) in call.object(1)?.iter() {
            match call.text_of(name)? {
                "CurrentTime" => {
                    let nanoseconds = value.as_i64().map_err(|_| call.operand("`CurrentTime` must be nanoseconds"))?;
                    options.seconds = nanoseconds.div_euclid(1_000_000_000);
                }
                "KeyUsages" => options.usages = usages(call, value)?,
                other => return Err(call.operand(format!("option `{other}` is not supported"))),
            }
        }
        Ok(options)
    }
}

fn usages(call: &Call<'_>, value: &Value) -> Result<Vec<Usage>, Failure> {
    let names: Vec<&Value> = match value {
        Value::Array(names) => names.iter().collect(),
        Value::Set(names) => names.iter().collect(),
        _ => return Err(call.operand("`KeyUsages` must be an array")),
    };
    let usage = |name: &Value| match name.as_string().map(AsRef::as_ref) {
        Ok("KeyUsageAny") => Ok(Usage::Any),
        Ok("KeyUsageServerAuth") => Ok(Usage::Server),
        Ok("KeyUsageClientAuth") => Ok(Usage::Client),
        _ => Err(call.operand("a key usage is not supported")),
    };
    names.into_iter().map(usage).collect()
}

fn verify(call: &Call<'_>, options: &Options) -> Result<Value, Failure> {
    let ders = certificates(call, 0)?;
    let valid = ders.len() > 1 && options.usages.iter().any(|usage| holds(&ders, *usage, options.seconds));
    let parsed = if valid { ders.iter().rev().cloned().collect() } else { Vec::new() };
    Ok(Value::from(vec![Value::from(valid), Json::Array(describe(call, &parsed)?).into()]))
}

fn holds(ders: &[Vec<u8>], usage: Usage, seconds: i64) -> bool {
    let certificates: Vec<CertificateDer<'_>> = ders.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let [root, intermediates @ .., leaf] = certificates.as_slice() else { return false };
    let (Ok(anchor), Ok(leaf)) = (anchor_from_trusted_cert(root), EndEntityCert::try_from(leaf)) else { return false };
    let Ok(since) = u64::try_from(seconds) else { return false };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(since));
    let checked = |usage| leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, std::slice::from_ref(&anchor), intermediates, time, usage, None, None).is_ok();
    match usage {
        Usage::Server => checked(KeyUsage::server_auth()),
        Usage::Client => checked(KeyUsage::client_auth()),
        Usage::Any => checked(KeyUsage::server_auth()) || checked(KeyUsage::client_auth()),
    }
}
