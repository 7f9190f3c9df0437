//! What an issuer answered about one of its tokens (RFC 7662 §2.2). The server asks; only an answer, read here, makes one of these.

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{DenialCode, Digest, Timestamp};
use serde_json::{Map, Value};

use super::claims::Claims;
use super::token::digest;
use crate::Denial;

/// An issuer's answer about one token. It is about that token alone: with another it says nothing.
#[derive(Clone, PartialEq)]
pub struct Introspected {
    iss: String,
    token: Digest,
    /// `None` where the token is not active.
    claims: Option<Map<String, Value>>,
}

impl std::fmt::Debug for Introspected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspected").field("iss", &self.iss).field("active", &self.is_active()).finish_non_exhaustive()
    }
}

impl Introspected {
    /// Reads what the endpoint of an issuer answered about a token.
    ///
    /// # Errors
    /// When it is not strict JSON with a boolean `active`: then nobody knows.
    pub fn read(iss: &str, token: &str, answer: &[u8]) -> Result<Self, Denial> {
        let unclear = |why: String| Denial::new(DenialCode::FactsUnavailable, format!("answer about a token of `{iss}`: {why}"));
        let answer = strict::value(answer, Limits::CLAIMS).map_err(|error| unclear(error.to_string()))?;
        let Value::Object(claims) = answer else { return Err(unclear("no object".to_owned())) };
        let active = claims.get("active").and_then(Value::as_bool).ok_or_else(|| unclear("`active` is no boolean".to_owned()))?;
        Ok(Self { iss: iss.to_owned(), token: digest(token), claims: active.then_some(claims) })
    }

    /// The issuer says that the token is good.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.claims.is_some()
    }

    /// When the token ends, where the answer says.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        Claims::of_token(self.claims.as_ref()?).time("exp").ok().flatten()
    }

    /// The claims, where this issuer said of this token that it is active.
    pub(super) fn claims_of(&self, iss: &str, token: &str) -> Result<&Map<String, Value>, Denial> {
        if self.iss != iss || self.token != digest(token) {
            return Err(Denial::new(DenialCode::Internal, "an answer about another token"));
        }
        self.claims.as_ref().ok_or_else(|| Denial::new(DenialCode::InvalidToken, "the issuer says that the token is not active"))
    }
}
