//! The claims of an access token (RFC 9068 §4, RFC 8725 §3), by signature or by introspection: each of one type, and nothing that is another kind of token.

use std::collections::BTreeSet;

use countersign_sdk_types::{Acr, DenialCode, Seconds, Timestamp};
use serde_json::{Map, Value};

use super::{Confirmation, Issuer, TokenFacts};
use crate::Denial;

/// Where claims come from, which says what tells an access token from other tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// A signed token with this `typ`.
    Signed(Option<&'a str>),
    /// The issuer's answer about the token.
    Introspected,
}

/// Reads the claims of a token of this issuer.
pub(super) fn read(
    claims: &Map<String, Value>,
    origin: Origin<'_>,
    (iss, issuer): (&str, &Issuer),
    skew: Seconds,
    now: Timestamp,
) -> Result<(TokenFacts, Confirmation), Denial> {
    let claims = Claims::of_token(claims);
    check_kind(&claims, origin, issuer)?;
    check_issuer(&claims, origin, iss)?;
    let client = claims.text("client_id")?.or(claims.text("azp")?);
    check_audience(&claims, origin, issuer, client.as_ref())?;
    let expires = check_times(&claims, issuer, skew, now)?;
    let auth_time = claims.time("auth_time")?;
    if auth_time.is_some_and(|at| at > now.after(skew)) {
        return Err(invalid("`auth_time` lies in the future"));
    }
    let mapped = claims.map.iter().filter(|(name, _)| issuer.mapped_claims.contains(*name));
    let facts = TokenFacts {
        iss: iss.to_owned(),
        sub: bounded(&claims.text("sub")?.ok_or_else(|| invalid("`sub` is missing"))?)?,
        acr: claims.text("acr")?.map(Acr::new).transpose().map_err(|_| invalid("`acr` is not a level"))?,
        amr: claims.one_or_many("amr")?,
        auth_time,
        scopes: claims.text("scope")?.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).map(ToOwned::to_owned).collect(),
        claims: mapped.map(|(name, value)| (name.clone(), value.clone())).collect(),
        jti: claims.text("jti")?,
        sid: claims.text("sid")?,
        client,
        expires: Some(expires),
        digest: None,
    };
    Ok((facts, Confirmation::read(claims.map.get("cnf"))?))
}

/// An access token, and no other kind of token. Anything that says it is something else is something else.
fn check_kind(claims: &Claims<'_>, origin: Origin<'_>, issuer: &Issuer) -> Result<(), Denial> {
    // RFC 8417 §2.2: also what makes a logout token one (OpenID Connect Back-Channel Logout §2.4).
    if claims.map.contains_key("events") {
        return Err(invalid("a security event token is no access token"));
    }
    match origin {
        Origin::Signed(typ) => check_typ(claims, typ, issuer),
        Origin::Introspected => check_token_type(claims),
    }
}

/// `at+jwt` is an access token (RFC 9068 §2.1).
fn check_typ(claims: &Claims<'_>, typ: Option<&str>, issuer: &Issuer) -> Result<(), Denial> {
    let typ = typ.map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    match typ {
        Some("at+jwt") => Ok(()),
        None | Some("jwt") if issuer.takes_plain_jwt => check_shape(claims),
        _ => Err(invalid("`typ` does not say that this is an access token")),
    }
}

/// What only ID tokens have (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11), and what issuers without `at+jwt` write into a claim instead.
fn check_shape(claims: &Claims<'_>) -> Result<(), Denial> {
    if let Some(name) = ["nonce", "at_hash", "c_hash", "s_hash"].into_iter().find(|name| claims.map.contains_key(*name)) {
        return Err(invalid(format!("`{name}` makes it an ID token, which is no access token")));
    }
    let other = [("typ", "bearer"), ("token_use", "access"), ("token_type", "bearer")];
    for (name, access) in other {
        if claims.text(name)?.is_some_and(|kind| !kind.eq_ignore_ascii_case(access)) {
            return Err(invalid(format!("`{name}` says that it is no access token")));
        }
    }
    Ok(())
}

/// RFC 7662 §2.2: the type as a token endpoint gives it. A refresh token is of none of these.
fn check_token_type(claims: &Claims<'_>) -> Result<(), Denial> {
    let is_access = |kind: String| ["bearer", "dpop"].iter().any(|access| kind.eq_ignore_ascii_case(access));
    if claims.text("token_type")?.is_some_and(|kind| !is_access(kind)) {
        return Err(invalid("`token_type` says that it is no access token"));
    }
    Ok(())
}

/// The issuer that was asked may leave itself out; one that is named is the one.
fn check_issuer(claims: &Claims<'_>, origin: Origin<'_>, iss: &str) -> Result<(), Denial> {
    match claims.text("iss")?.as_deref() {
        Some(named) if named == iss => Ok(()),
        None if origin == Origin::Introspected => Ok(()),
        _ => Err(invalid("`iss` is not the issuer that the token was checked with")),
    }
}

/// Where an issuer's answer names no audience, the client that is configured stands in for it.
fn check_audience(claims: &Claims<'_>, origin: Origin<'_>, issuer: &Issuer, client: Option<&String>) -> Result<(), Denial> {
    let audiences = claims.one_or_many("aud")?;
    let client_stands_in = origin == Origin::Introspected && audiences.is_empty() && !issuer.clients.is_empty();
    if audiences.is_disjoint(&issuer.audiences) && !client_stands_in {
        return Err(invalid("`aud` does not name this service"));
    }
    if !issuer.clients.is_empty() && !client.is_some_and(|client| issuer.clients.contains(client)) {
        return Err(invalid("token was issued to a client that is not configured"));
    }
    Ok(())
}

fn check_times(claims: &Claims<'_>, issuer: &Issuer, skew: Seconds, now: Timestamp) -> Result<Timestamp, Denial> {
    let expires = claims.time("exp")?.ok_or_else(|| invalid("`exp` is missing"))?;
    let expired = |why: &str| Denial::new(DenialCode::ExpiredToken, why);
    if now >= expires.after(skew) {
        return Err(expired("token has expired"));
    }
    if claims.time("nbf")?.is_some_and(|from| from > now.after(skew)) {
        return Err(expired("token is not valid yet"));
    }
    match claims.time("iat")? {
        Some(issued) if issued > now.after(skew) => Err(invalid("`iat` lies in the future")),
        Some(issued) if expires.since(issued) > issuer.max_lifetime.into() => Err(invalid("token lives longer than is allowed")),
        None if expires.since(now) > issuer.max_lifetime.into() => Err(invalid("token lives longer than is allowed")),
        _ => Ok(expires),
    }
}

fn invalid(why: impl Into<String>) -> Denial {
    Denial::new(DenialCode::InvalidToken, why)
}

pub(super) fn bounded(sub: &str) -> Result<String, Denial> {
    let fits = !sub.is_empty() && sub.len() <= 255 && !sub.chars().any(char::is_control);
    fits.then(|| sub.to_owned()).ok_or_else(|| invalid("subject is empty, too long, or has control characters"))
}

/// Claims, each of one type. A claim of another type is an error, never an absence.
pub(super) struct Claims<'a> {
    map: &'a Map<String, Value>,
    code: DenialCode,
}

impl<'a> Claims<'a> {
    pub(super) const fn of_token(map: &'a Map<String, Value>) -> Self {
        Self { map, code: DenialCode::InvalidToken }
    }

    pub(super) const fn of_proof(map: &'a Map<String, Value>) -> Self {
        Self { map, code: DenialCode::InvalidProof }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Denial> {
        match self.map.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= 2048 => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(format!("`{name}` is not a text"))),
        }
    }

    /// A NumericDate (RFC 7519 §2) between the years 1970 and 9999; fractions are cut.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Denial> {
        const LATEST: f64 = 253_402_300_799.0;
        match self.map.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
                let seconds = seconds.ok_or_else(|| self.wrong(format!("`{name}` is no date")))?;
                #[expect(clippy::cast_possible_truncation, reason = "bounded to twelve digits above")]
                Ok(Some(Timestamp::from_secs(seconds as i64)))
            }
            Some(_) => Err(self.wrong(format!("`{name}` is not a number"))),
        }
    }

    fn one_or_many(&self, name: &str) -> Result<BTreeSet<String>, Denial> {
        let wrong = || self.wrong(format!("`{name}` is neither a text nor a list of texts"));
        match self.map.get(name) {
            None => Ok(BTreeSet::new()),
            Some(Value::String(one)) => Ok(BTreeSet::from([one.clone()])),
            Some(Value::Array(many)) => many.iter().map(|one| one.as_str().map(ToOwned::to_owned).ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn wrong(&self, why: String) -> Denial {
        Denial::new(self.code, why)
    }
}
