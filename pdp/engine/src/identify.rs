//! Proves who asks: the token's signature and claims, the session that it belongs to, and what this presentation proves.
//!
//! The library that checks signatures accepts tokens without `aud`, `iss` that are lists, and any `typ`: the claims are read here, strictly.

use std::collections::{BTreeMap, BTreeSet};

use countersign_risk::BindingState;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Acr, DenialCode, DeviceId, Digest, Entity, Seconds, SessionId, SubjectId, Timestamp};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Denial;
use crate::keys::{KeySet, SignatureError, Verified};
use crate::request::{AccessRequest, Credentials, Scheme};

/// What is configured for an issuer, with its current keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its current keys.
    pub keys: KeySet,
    /// The algorithms that it may use.
    pub algorithms: Vec<Algorithm>,
    /// The audiences of which a token must name one.
    pub audiences: BTreeSet<String>,
    /// Besides `at+jwt`, `JWT` and no `typ` are taken. ID tokens look like that: an audience of our own is what tells them apart.
    pub takes_plain_jwt: bool,
    /// The clients whose tokens are taken; empty takes any.
    pub clients: BTreeSet<String>,
    /// The longest `exp − iat`.
    pub max_lifetime: Seconds,
    /// Claims that policies may see, by name.
    pub mapped_claims: BTreeSet<String>,
}

/// All issuers.
#[derive(Debug, Clone, Default)]
pub struct Issuers {
    /// By their `iss`, exactly.
    pub by_iss: BTreeMap<String, Issuer>,
    /// How far clocks may differ.
    pub skew: Seconds,
}

/// A session cookie that the server linked to a subject earlier, by that subject's own token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkedSession {
    /// Whose session it is.
    pub subject: SubjectId,
    /// What the token said then.
    pub token: TokenFacts,
}

/// What the token says. None of it is secret, and none of it proves more than the presentation does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// The issuer.
    pub iss: String,
    /// The subject.
    pub sub: String,
    /// The claimed level.
    pub acr: Option<Acr>,
    /// The claimed methods.
    pub amr: BTreeSet<String>,
    /// When the subject authenticated, by the claim.
    pub auth_time: Option<Timestamp>,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// The mapped claims.
    pub claims: Map<String, Value>,
    /// The token's own name.
    pub jti: Option<String>,
    /// The issuer's session (OpenID Connect Front-Channel Logout §3).
    pub sid: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// BLAKE3 of the token, by which it can be revoked.
    pub digest: Option<Digest>,
}

/// What the subject was identified by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifiedBy {
    /// A token on this request.
    Token,
    /// A linked session cookie.
    Session,
    /// The word of an enforcement point.
    Pep,
}

/// A request whose subject is known. Only [`identify`] makes one; a record keeps it, and gives it to nobody but its replay.
///
/// ```compile_fail,E0277
/// let made_up: countersign_pdp_engine::identify::Identified = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Identified {
    pub(crate) request: AccessRequest,
    pub(crate) subject: SubjectId,
    pub(crate) session: SessionId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) token: TokenFacts,
    pub(crate) binding: BindingState,
    pub(crate) by: IdentifiedBy,
}

/// Why nobody was identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentifyError {
    /// A key of this issuer is not known here: fetching its key set once more may help.
    UnknownKey(String),
    /// No.
    Denied(Denial),
}

impl From<Denial> for IdentifyError {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// Identifies the subject of a request.
///
/// # Errors
/// A denial of the unauthenticated kind, or the name of an issuer whose keys should be fetched again.
pub fn identify(
    request: AccessRequest,
    credentials: &Credentials,
    issuers: &Issuers,
    linked: Option<LinkedSession>,
    now: Timestamp,
) -> Result<Identified, IdentifyError> {
    let device = credentials.device.clone();
    if let Some(asserted) = &request.asserted_subject {
        let sub = if asserted.kind == "user" { asserted.id.clone() } else { format!("{}/{}", asserted.kind, asserted.id) };
        let subject = SubjectId { tenant: request.tenant.clone(), iss: format!("pep:{}", request.pep), sub: bounded(&sub)? };
        let session = session_id("pep", &[&subject.iss, &subject.sub])?;
        let (token, binding) = (TokenFacts::default(), BindingState::NotDeclared);
        return Ok(Identified { request, subject, session, device, token, binding, by: IdentifiedBy::Pep });
    }
    if let Some((scheme, token)) = &credentials.token {
        let (facts, confirmation) = read_token(token, *scheme, issuers, now)?;
        let subject = SubjectId { tenant: request.tenant.clone(), iss: facts.iss.clone(), sub: facts.sub.clone() };
        let binding = confirmation.state(request.client_certificate.as_deref());
        let session = session_of(&facts, &confirmation, binding, credentials)?;
        let device = match (&confirmation, binding) {
            (Confirmation::Certificate(thumbprint), BindingState::Proved) => DeviceId::new(format!("x5t:{thumbprint}")).ok(),
            _ => device,
        };
        return Ok(Identified { request, subject, session, device, token: facts, binding, by: IdentifiedBy::Token });
    }
    match (&credentials.session_cookie, linked) {
        (Some(cookie), Some(linked)) if linked.subject.tenant == request.tenant => {
            let session = session_id("cookie", &[cookie])?;
            let (subject, token) = (linked.subject, linked.token);
            Ok(Identified { request, subject, session, device, token, binding: BindingState::NotDeclared, by: IdentifiedBy::Session })
        }
        _ => Err(Denial::new(DenialCode::NoCredentials, "no token, no known session and no stated subject").into()),
    }
}

/// The name of a session: a digest, so that neither cookie nor key reaches a record.
fn session_id(kind: &str, parts: &[&str]) -> Result<SessionId, Denial> {
    let mut hasher = blake3::Hasher::new_derive_key("countersign session 1");
    parts.iter().for_each(|part| {
        hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
    });
    SessionId::new(format!("{kind}:{}", hasher.finalize().to_hex()))
        .map_err(|_| Denial::new(DenialCode::Internal, "session name out of bounds"))
}

/// The session of an issuer's `sid`, as requests with its tokens are assigned to.
///
/// # Errors
/// Never, for names of a sensible length.
pub fn issuer_session(iss: &str, sid: &str) -> Result<SessionId, Denial> {
    session_id("sid", &[iss, sid])
}

/// The first of: the proved key; the issuer's session; the session cookie; the device; the client. Never the token: a refresh is no new session.
fn session_of(
    facts: &TokenFacts,
    confirmation: &Confirmation,
    binding: BindingState,
    credentials: &Credentials,
) -> Result<SessionId, Denial> {
    if let (Confirmation::Certificate(thumbprint), BindingState::Proved) = (confirmation, binding) {
        return session_id("x5t", &[thumbprint]);
    }
    if let Some(sid) = &facts.sid {
        return issuer_session(&facts.iss, sid);
    }
    if let Some(cookie) = &credentials.session_cookie {
        return session_id("cookie", &[cookie]);
    }
    if let Some(device) = &credentials.device {
        return session_id("device", &[device.as_str(), &facts.iss, &facts.sub]);
    }
    session_id("client", &[&facts.iss, &facts.sub, facts.client.as_deref().unwrap_or_default()])
}

/// The key that a token says it is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Confirmation {
    None,
    /// SHA-256 of the client certificate (RFC 8705 §3.1).
    Certificate(String),
    /// A DPoP key (RFC 9449 §6.1). Proofs are not verified yet, so such a token is never proved: fail closed.
    DpopKey,
}

impl Confirmation {
    fn state(&self, presented: Option<&str>) -> BindingState {
        match (self, presented) {
            (Self::None, _) => BindingState::NotDeclared,
            (Self::Certificate(declared), Some(presented)) if declared == presented => BindingState::Proved,
            (Self::Certificate(_), Some(_)) => BindingState::Mismatch,
            (Self::Certificate(_), None) | (Self::DpopKey, _) => BindingState::Missing,
        }
    }
}

fn invalid(why: impl Into<String>) -> Denial {
    Denial::new(DenialCode::InvalidToken, why)
}

fn read_token(token: &str, scheme: Scheme, issuers: &Issuers, now: Timestamp) -> Result<(TokenFacts, Confirmation), IdentifyError> {
    if scheme == Scheme::Dpop {
        return Err(invalid("DPoP proofs are not verified here").into());
    }
    // The unverified `iss` only picks one of the configured issuers; the verified one is compared with it again.
    let iss = unverified_issuer(token).ok_or_else(|| invalid("token names no issuer"))?;
    let issuer = issuers.by_iss.get(&iss).ok_or_else(|| invalid("token is from an issuer that is not configured"))?;
    let verified = issuer.keys.verify(token, &issuer.algorithms).map_err(|error| match error {
        SignatureError::UnknownKey => IdentifyError::UnknownKey(iss.clone()),
        other => invalid(other.to_string()).into(),
    })?;
    let (mut facts, confirmation) = read_claims(&verified, &iss, issuer, issuers.skew, now)?;
    facts.digest = Some(Digest(*blake3::hash(token.as_bytes()).as_bytes()));
    Ok((facts, confirmation))
}

fn unverified_issuer(token: &str) -> Option<String> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).filter(|part| part.len() <= Limits::CLAIMS.bytes * 2)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims = strict::value(&payload, Limits::CLAIMS).ok()?;
    claims.get("iss").and_then(Value::as_str).map(ToOwned::to_owned)
}

/// Reads the claims of an access token (RFC 9068 §4, RFC 8725 §3).
fn read_claims(
    verified: &Verified,
    iss: &str,
    issuer: &Issuer,
    skew: Seconds,
    now: Timestamp,
) -> Result<(TokenFacts, Confirmation), Denial> {
    check_typ(verified.typ.as_deref(), issuer)?;
    let value = strict::value(&verified.payload, Limits::CLAIMS).map_err(|error| invalid(error.to_string()))?;
    let claims = Claims(value.as_object().ok_or_else(|| invalid("claims are no object"))?);
    if claims.text("iss")?.as_deref() != Some(iss) {
        return Err(invalid("`iss` changed under the signature"));
    }
    if claims.0.contains_key("events") {
        return Err(invalid("a security event token is no access token"));
    }
    let audiences = claims.one_or_many("aud")?;
    if audiences.is_disjoint(&issuer.audiences) {
        return Err(invalid("`aud` does not name this service"));
    }
    let expires = check_times(&claims, issuer, skew, now)?;
    let client = claims.text("client_id")?.or(claims.text("azp")?);
    if !issuer.clients.is_empty() && !client.as_ref().is_some_and(|client| issuer.clients.contains(client)) {
        return Err(invalid("token was issued to a client that is not configured"));
    }
    let auth_time = claims.time("auth_time")?;
    if auth_time.is_some_and(|at| at > now.after(skew)) {
        return Err(invalid("`auth_time` lies in the future"));
    }
    let mapped = claims.0.iter().filter(|(name, _)| issuer.mapped_claims.contains(*name));
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
    Ok((facts, claims.confirmation()?))
}

/// `at+jwt` is an access token (RFC 9068 §2.1). Anything that says it is something else is something else.
fn check_typ(typ: Option<&str>, issuer: &Issuer) -> Result<(), Denial> {
    let typ = typ.map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    match typ {
        Some("at+jwt") => Ok(()),
        None | Some("jwt") if issuer.takes_plain_jwt => Ok(()),
        _ => Err(invalid("`typ` does not say that this is an access token")),
    }
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

/// Claims, each of one type. A claim of another type is an error, never an absence.
struct Claims<'a>(&'a Map<String, Value>);

impl Claims<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, Denial> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= 2048 => Ok(Some(text.clone())),
            Some(_) => Err(invalid(format!("`{name}` is not a text"))),
        }
    }

    /// A NumericDate (RFC 7519 §2) between the years 1970 and 9999; fractions are cut.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Denial> {
        const LATEST: f64 = 253_402_300_799.0;
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
                let seconds = seconds.ok_or_else(|| invalid(format!("`{name}` is no date")))?;
                #[expect(clippy::cast_possible_truncation, reason = "bounded to twelve digits above")]
                Ok(Some(Timestamp::from_secs(seconds as i64)))
            }
            Some(_) => Err(invalid(format!("`{name}` is not a number"))),
        }
    }

    fn one_or_many(&self, name: &str) -> Result<BTreeSet<String>, Denial> {
        let wrong = || invalid(format!("`{name}` is neither a text nor a list of texts"));
        match self.0.get(name) {
            None => Ok(BTreeSet::new()),
            Some(Value::String(one)) => Ok(BTreeSet::from([one.clone()])),
            Some(Value::Array(many)) => many.iter().map(|one| one.as_str().map(ToOwned::to_owned).ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn confirmation(&self) -> Result<Confirmation, Denial> {
        let Some(cnf) = self.0.get("cnf") else { return Ok(Confirmation::None) };
        let cnf = cnf.as_object().ok_or_else(|| invalid("`cnf` is no object"))?;
        match (cnf.get("x5t#S256"), cnf.get("jkt")) {
            (Some(Value::String(thumbprint)), None) if thumbprint.len() <= 64 => Ok(Confirmation::Certificate(thumbprint.clone())),
            (None, Some(Value::String(_))) => Ok(Confirmation::DpopKey),
            _ => Err(invalid("`cnf` names no key that is known here")),
        }
    }
}

fn bounded(sub: &str) -> Result<String, Denial> {
    let fits = !sub.is_empty() && sub.len() <= 255 && !sub.chars().any(char::is_control);
    fits.then(|| sub.to_owned()).ok_or_else(|| invalid("subject is empty, too long, or has control characters"))
}

impl Identified {
    /// The same presentation with another question: who it is was proved once for both. `None` when the request presents anything else.
    #[must_use]
    pub fn asking(&self, request: &AccessRequest) -> Option<Self> {
        // INVARIANT: whatever an identification rests on is compared; a new member of a request is judged here.
        let AccessRequest {
            tenant,
            pep,
            http,
            asserted_subject,
            client_address,
            agent,
            client_certificate,
            action: _,
            resource: _,
            caller: _,
            supported_obligations: _,
        } = request;
        let named = |subject: &Option<Entity>| subject.as_ref().map(|subject| (subject.kind.clone(), subject.id.clone()));
        let known = &self.request;
        let is_same = (tenant, pep, http) == (&known.tenant, &known.pep, &known.http)
            && named(asserted_subject) == named(&known.asserted_subject)
            && (client_address, agent, client_certificate) == (&known.client_address, &known.agent, &known.client_certificate);
        is_same.then(|| Self { request: request.clone(), ..self.clone() })
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &AccessRequest {
        &self.request
    }

    /// The subject.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    /// What the token says.
    #[must_use]
    pub const fn token(&self) -> &TokenFacts {
        &self.token
    }

    /// Whether a declared key was proved.
    #[must_use]
    pub const fn binding(&self) -> BindingState {
        self.binding
    }

    /// What the subject was identified by.
    #[must_use]
    pub const fn by(&self) -> IdentifiedBy {
        self.by
    }
}

#[cfg(test)]
mod tests;
