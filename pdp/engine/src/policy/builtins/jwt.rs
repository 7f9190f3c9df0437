//! `io.jwt.*`: decoding and verifying tokens as OPA does. What a policy learns here is its own business: who the subject of a request is, the
//! engine's own `identify` decides.

mod key;
mod sign;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::strict::{self, Limits};
use regorus::Value;
use serde_json::{Map, Value as Json};

use self::key::{Algorithm, Key};
use super::call::{Builtin, Call, Failure};
use super::hash::hex;

/// The deepest nesting of tokens in tokens.
const MAX_NESTED: usize = 8;
/// The longest token.
const MAX_TOKEN: usize = 256 * 1024;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new("io.jwt.decode", 1, decode),
    Builtin::at_a_moment("io.jwt.decode_verify", 2, decode_verify),
    Builtin::new("io.jwt.verify_rs256", 2, |call| verify(call, "RS256")),
    Builtin::new("io.jwt.verify_rs384", 2, |call| verify(call, "RS384")),
    Builtin::new("io.jwt.verify_rs512", 2, |call| verify(call, "RS512")),
    Builtin::new("io.jwt.verify_ps256", 2, |call| verify(call, "PS256")),
    Builtin::new("io.jwt.verify_ps384", 2, |call| verify(call, "PS384")),
    Builtin::new("io.jwt.verify_ps512", 2, |call| verify(call, "PS512")),
    Builtin::new("io.jwt.verify_es256", 2, |call| verify(call, "ES256")),
    Builtin::new("io.jwt.verify_es384", 2, |call| verify(call, "ES384")),
    Builtin::new("io.jwt.verify_es512", 2, |call| verify(call, "ES512")),
    Builtin::new("io.jwt.verify_eddsa", 2, |call| verify(call, "EdDSA")),
    Builtin::new("io.jwt.verify_hs256", 2, |call| verify(call, "HS256")),
    Builtin::new("io.jwt.verify_hs384", 2, |call| verify(call, "HS384")),
    Builtin::new("io.jwt.verify_hs512", 2, |call| verify(call, "HS512")),
    Builtin::new("io.jwt.encode_sign", 3, sign::encode_sign),
    Builtin::new("io.jwt.encode_sign_raw", 3, sign::encode_sign_raw),
];

/// A token in its three sections.
struct Token<'a> {
    signed: &'a str,
    header: Map<String, Json>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn read(call: &Call<'_>, token: &'a str) -> Result<Self, Failure> {
        call.within(token.len(), MAX_TOKEN)?;
        let sections: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = sections.as_slice() else {
            return Err(call.operand(format!("encoded JWT must have 3 sections, found {}", sections.len())));
        };
        let decoded = |what: &str, section: &str| decode_section(call, what, section);
        let header = object(call, "header", &decoded("header", header)?)?;
        if header.contains_key("enc") {
            return Err(call.operand("JWT is a JWE object, which is not supported"));
        }
        let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self { signed, header, payload: decoded("payload", payload)?, signature: decoded("signature", signature)? })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Json::as_str)
    }

    /// The token inside, which some issuers put between quotes.
    fn nested(&self) -> Option<String> {
        let is_nested = self.field("cty").is_some_and(|kind| kind.eq_ignore_ascii_case("JWT"));
        let text = String::from_utf8(self.payload.clone()).ok().filter(|_| is_nested)?;
        Some(text.trim_matches(['"', '\'']).to_owned())
    }
}

fn decode_section(call: &Call<'_>, what: &str, section: &str) -> Result<Vec<u8>, Failure> {
    URL_SAFE_NO_PAD.decode(section.trim_end_matches('=')).map_err(|_| call.operand(format!("JWT {what} had invalid encoding")))
}

/// Repeated names are refused: two readers of one token must not see two tokens.
fn object(call: &Call<'_>, what: &str, bytes: &[u8]) -> Result<Map<String, Json>, Failure> {
    match strict::value(bytes, Limits::REQUEST) {
        Ok(Json::Object(members)) => Ok(members),
        _ => Err(call.operand(format!("JWT {what} is not a JSON object"))),
    }
}

fn decode(call: &Call<'_>) -> Result<Value, Failure> {
    let mut text = call.text(0)?.to_owned();
    for _ in 0..MAX_NESTED {
        let token = Token::read(call, &text)?;
        match token.nested() {
            Some(inner) => text = inner,
            None => {
                let payload = object(call, "payload", &token.payload)?;
                let signature = Value::from(hex(&token.signature));
                return Ok(Value::from(vec![Json::Object(token.header).into(), Json::Object(payload).into(), signature]));
            }
        }
    }
    Err(call.bound("tokens are nested too deeply"))
}

fn verify(call: &Call<'_>, algorithm: &'static str) -> Result<Value, Failure> {
    let token = Token::read(call, call.text(0)?)?;
    let algorithm = Algorithm::named(algorithm).ok_or_else(|| call.operand("algorithm is not known"))?;
    let keys = if algorithm.is_symmetric() { vec![Key::secret(call.text(1)?)] } else { Key::read(call, call.text(1)?)? };
    Ok(Value::from(is_verified(&token, algorithm, &keys)))
}

/// With the key that the token names, or with any that is not for another algorithm.
fn is_verified(token: &Token<'_>, algorithm: Algorithm, keys: &[Key]) -> bool {
    let proves = |key: &Key| key.verifies(algorithm, token.signed.as_bytes(), &token.signature);
    let named = token.field("kid").and_then(|kid| keys.iter().find(|key| key.kid.as_deref() == Some(kid)));
    match named {
        Some(key) => proves(key),
        None => keys.iter().filter(|key| key.alg.as_deref().is_none_or(|alg| token.field("alg") == Some(alg))).any(proves),
    }
}

/// What a token must be like (OPA, `io.jwt.decode_verify`).
#[derive(Default)]
struct Constraints<'a> {
    keys: Vec<Key>,
    symmetric: bool,
    alg: Option<&'a str>,
    iss: Option<&'a str>,
    aud: Option<&'a str>,
    /// Seconds since the epoch.
    time: f64,
}

impl<'a> Constraints<'a> {
    fn read(call: &Call<'a>) -> Result<Self, Failure> {
        let mut read = Self { time: seconds(call.moment.now.0.saturating_mul(1_000_000)), ..Self::default() };
        let (mut cert, mut secret) = (None, None);
        for (name, value) in call.object(1)?.iter() {
            match call.text_of(name)? {
                "cert" => cert = Some(call.text_of(value)?),
                "secret" => secret = Some(call.text_of(value)?),
                "alg" => read.alg = Some(call.text_of(value)?),
                "iss" => read.iss = Some(call.text_of(value)?),
                "aud" => read.aud = Some(call.text_of(value)?),
                "time" => read.time = value.as_f64().map_err(|_| call.operand("the time must be a number"))? / 1e9,
                other => return Err(call.operand(format!("constraint `{other}` is not known"))),
            }
        }
        match (cert, secret) {
            (Some(_), Some(_)) => return Err(call.operand("constraints name both `cert` and `secret`")),
            (Some(cert), None) => read.keys = Key::read(call, cert)?,
            (None, Some(secret)) => (read.keys, read.symmetric) = (vec![Key::secret(secret)], true),
            (None, None) => return Err(call.operand("constraints name neither `cert` nor `secret`")),
        }
        Ok(read)
    }

    fn accept_signature(&self, call: &Call<'_>, token: &Token<'_>) -> Result<bool, Failure> {
        let name = token.field("alg").ok_or_else(|| call.operand("JWT header names no algorithm"))?;
        if token.header.contains_key("crit") || self.alg.is_some_and(|alg| alg != name) {
            return Ok(false);
        }
        let algorithm = Algorithm::named(name).ok_or_else(|| call.operand("signature algorithm of the JWT is not known"))?;
        Ok(algorithm.is_symmetric() == self.symmetric && is_verified(token, algorithm, &self.keys))
    }

    fn accept_claims(&self, call: &Call<'_>, claims: &Map<String, Json>) -> Result<bool, Failure> {
        let number = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| call.operand(format!("{name} value must be a number"))),
        };
        let (expires, begins) = (number("exp")?, number("nbf")?);
        let issued = self.iss.is_none_or(|iss| claims.get("iss").and_then(Json::as_str) == Some(iss));
        let meant = match (claims.get("aud"), self.aud) {
            (None, wanted) => wanted.is_none(),
            (Some(Json::String(aud)), Some(wanted)) => aud == wanted,
            (Some(Json::Array(auds)), Some(wanted)) => auds.iter().any(|aud| aud == wanted),
            (Some(_), _) => false,
        };
        Ok(issued && meant && expires.is_none_or(|at| self.time < at) && begins.is_none_or(|at| self.time >= at))
    }
}

#[expect(clippy::cast_precision_loss, reason = "OPA compares seconds as floating-point numbers too")]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn decode_verify(call: &Call<'_>) -> Result<Value, Failure> {
    let constraints = Constraints::read(call)?;
    let refused = || Value::from(vec![Value::from(false), Value::new_object(), Value::new_object()]);
    let mut text = call.text(0)?.to_owned();
    for _ in 0..MAX_NESTED {
        let token = Token::read(call, &text)?;
        if !constraints.accept_signature(call, &token)? {
            return Ok(refused());
        }
        match token.nested() {
            Some(inner) => text = inner,
            None => {
                let claims = object(call, "payload", &token.payload)?;
                if !constraints.accept_claims(call, &claims)? {
                    return Ok(refused());
                }
                return Ok(Value::from(vec![Value::from(true), Json::Object(token.header).into(), Json::Object(claims).into()]));
            }
        }
    }
    Err(call.bound("tokens are nested too deeply"))
}
