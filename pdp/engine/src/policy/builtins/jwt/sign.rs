//! Signing tokens with a key in JSON. Only signatures that need no chance: HMAC, RSASSA-PKCS1-v1_5 and Ed25519.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use hmac::{Hmac, KeyInit, Mac};
use regorus::Value;
use serde_json::{Map, Value as Json};
use sha2::{Sha256, Sha384, Sha512};

use super::MAX_TOKEN;
use crate::policy::builtins::call::{Call, Failure};
use crate::policy::json::json;

pub(super) fn encode_sign(call: &Call<'_>) -> Result<Value, Failure> {
    call.bounded()?;
    let written = |at: usize| {
        call.object(at)?;
        json(call.value(at)?).map(|value| value.to_string()).ok_or_else(|| call.operand("a document is expected"))
    };
    sign(call, &written(0)?, &written(1)?, &written(2)?)
}

pub(super) fn encode_sign_raw(call: &Call<'_>) -> Result<Value, Failure> {
    sign(call, call.text(0)?, call.text(1)?, call.text(2)?)
}

fn sign(call: &Call<'_>, header: &str, payload: &str, key: &str) -> Result<Value, Failure> {
    call.within(payload.len(), MAX_TOKEN)?;
    let read = |text: &str| strict::value(text.as_bytes(), Limits::REQUEST).ok();
    let fields = read(header).ok_or_else(|| call.operand("header is not JSON"))?;
    let key = read(key).ok_or_else(|| call.operand("key is not JSON"))?;
    let field = |name: &str| fields.get(name).and_then(Json::as_str);
    if field("typ").is_none_or(|kind| kind == "JWT") && read(payload).is_none() {
        return Err(call.operand("type is JWT but payload is not JSON"));
    }
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let algorithm = field("alg").ok_or_else(|| call.operand("header names no algorithm"))?;
    let made = match algorithm {
        "HS256" => code::<Hmac<Sha256>>(&key, &signed),
        "HS384" => code::<Hmac<Sha384>>(&key, &signed),
        "HS512" => code::<Hmac<Sha512>>(&key, &signed),
        "RS256" => rsa(&key, &RSA_PKCS1_SHA256, &signed),
        "RS384" => rsa(&key, &RSA_PKCS1_SHA384, &signed),
        "RS512" => rsa(&key, &RSA_PKCS1_SHA512, &signed),
        "EdDSA" => edwards(&key, &signed),
        _ => return Err(call.operand("no such signature can be made without chance")),
    };
    let signature = made.ok_or_else(|| call.operand("key cannot be used with this algorithm"))?;
    Ok(Value::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

fn bytes(key: &Json, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?.trim_end_matches('=')).ok()
}

fn is_of_kind(key: &Json, kind: &str) -> Option<()> {
    (key.as_object().map(Map::len)? > 1 && key.get("kty")? == kind).then_some(())
}

fn code<M: Mac + KeyInit>(key: &Json, signed: &str) -> Option<Vec<u8>> {
    is_of_kind(key, "oct")?;
    let mut code = <M as KeyInit>::new_from_slice(&bytes(key, "k")?).ok()?;
    code.update(signed.as_bytes());
    Some(code.finalize().into_bytes().to_vec())
}

fn edwards(key: &Json, signed: &str) -> Option<Vec<u8>> {
    is_of_kind(key, "OKP")?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes(key, "d")?, &bytes(key, "x")?).ok()?;
    Some(pair.sign(signed.as_bytes()).as_ref().to_vec())
}

/// The padding is fixed, so the source of chance that the call wants is never asked.
fn rsa(key: &Json, padding: &'static dyn RsaEncoding, signed: &str) -> Option<Vec<u8>> {
    is_of_kind(key, "RSA")?;
    let numbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| bytes(key, name));
    let numbers = numbers.into_iter().collect::<Option<Vec<_>>>()?;
    let body = std::iter::once(vec![0]).chain(numbers).flat_map(|number| der(0x02, &positive(number))).collect::<Vec<u8>>();
    let pair = RsaKeyPair::from_der(&der(0x30, &body)).ok()?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(signature)
}

/// An integer in DER is negative where its first bit is set.
fn positive(number: Vec<u8>) -> Vec<u8> {
    if number.first().is_some_and(|byte| byte & 0x80 != 0) { [vec![0], number].concat() } else { number }
}

/// Tag, length and content (X.690 §8.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let head = match (content.len(), u8::try_from(length.len())) {
        (short @ 0..0x80, _) => vec![tag, u8::try_from(short).unwrap_or(0)],
        (_, octets) => [vec![tag, 0x80 | octets.unwrap_or(0)], length].concat(),
    };
    [head, content.to_vec()].concat()
}
