//! Which issuer a token is checked with, and how: by its signature, by asking the issuer, or both.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::Digest;
use countersign_sdk_types::strict::{self, Limits};
use serde_json::{Map, Value};

use super::claims::{self, Origin};
use super::{Check, Confirmation, Given, IdentifyError, Issuer, Issuers, TokenFacts, invalid};
use crate::Denial;
use crate::keys::SignatureError;

/// What the token says, checked as is configured for its issuer.
pub(super) fn read(token: &str, given: &Given<'_>) -> Result<(TokenFacts, Confirmation), IdentifyError> {
    let iss = issuer_of(token, given.issuers)?;
    let issuer = given.issuers.by_iss.get(&iss).ok_or_else(|| invalid("token is from an issuer that is not configured"))?;
    let reading = Reading { token, iss: &iss, issuer, given };
    let check = if is_jose(token) { issuer.check } else { Check::Introspection };
    let (mut facts, confirmation) = match check {
        Check::Signature => reading.by_signature()?,
        Check::Introspection => reading.by_introspection()?,
        Check::SignatureAndIntrospection => {
            let signed = reading.by_signature()?;
            reading.still_active(&signed.0)?;
            signed
        }
    };
    facts.digest = Some(digest(token));
    Ok((facts, confirmation))
}

/// A token of an issuer, and what it is read with.
struct Reading<'a> {
    token: &'a str,
    iss: &'a str,
    issuer: &'a Issuer,
    given: &'a Given<'a>,
}

impl Reading<'_> {
    fn by_signature(&self) -> Result<(TokenFacts, Confirmation), IdentifyError> {
        let verified = self.issuer.keys.verify(self.token, &self.issuer.algorithms).map_err(|error| match error {
            SignatureError::UnknownKey => IdentifyError::UnknownKey(self.iss.to_owned()),
            other => invalid(other.to_string()).into(),
        })?;
        let claims = strict::value(&verified.payload, Limits::CLAIMS).map_err(|error| invalid(error.to_string()))?;
        let claims = claims.as_object().ok_or_else(|| invalid("claims are no object"))?;
        Ok(self.read(claims, Origin::Signed(verified.typ.as_deref()))?)
    }

    fn by_introspection(&self) -> Result<(TokenFacts, Confirmation), IdentifyError> {
        Ok(self.read(self.told()?, Origin::Introspected)?)
    }

    /// The issuer still stands by a token that it signed.
    fn still_active(&self, facts: &TokenFacts) -> Result<(), IdentifyError> {
        if self.told()?.get("sub").is_some_and(|sub| *sub != facts.sub.as_str()) {
            return Err(invalid("the issuer says that the token is another subject's").into());
        }
        Ok(())
    }

    fn told(&self) -> Result<&Map<String, Value>, IdentifyError> {
        let answer = self.given.introspected.ok_or_else(|| IdentifyError::Unasked(self.iss.to_owned()))?;
        Ok(answer.claims_of(self.iss, self.token)?)
    }

    fn read(&self, claims: &Map<String, Value>, origin: Origin<'_>) -> Result<(TokenFacts, Confirmation), Denial> {
        claims::read(claims, origin, (self.iss, self.issuer), self.given.issuers.skew, self.given.now)
    }
}

/// BLAKE3 of a token, by which it can be revoked.
pub(super) fn digest(token: &str) -> Digest {
    Digest(*blake3::hash(token.as_bytes()).as_bytes())
}

/// The issuer that a token is checked with. The unverified `iss` only picks one of the configured ones; the verified one is compared with it again.
fn issuer_of(token: &str, issuers: &Issuers) -> Result<String, Denial> {
    // What is made like a signed token goes to the issuer that it names, never to another's endpoint.
    let named = if is_jose(token) { unverified_issuer(token) } else { issuers.opaque.clone() };
    named.ok_or_else(|| invalid("token names no issuer"))
}

/// Made of parts, of which the first is a header (RFC 7515 §7.1, RFC 7516 §7.1).
fn is_jose(token: &str) -> bool {
    let header = token.split('.').next().filter(|_| token.contains('.'));
    header.is_some_and(|header| json(header).is_some_and(|header| header.is_object()))
}

fn unverified_issuer(token: &str) -> Option<String> {
    json(token.split('.').nth(1)?)?.get("iss").and_then(Value::as_str).map(ToOwned::to_owned)
}

/// A part of a token as JSON.
fn json(part: &str) -> Option<Value> {
    let bytes = Some(part).filter(|part| part.len() <= Limits::CLAIMS.bytes * 2).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())?;
    strict::value(&bytes, Limits::CLAIMS).ok()
}
