//! Proves who asks: the token's signature or its issuer's word, its claims, the session that it belongs to, and what this presentation proves.
//!
//! The library that checks signatures accepts tokens without `aud`, `iss` that are lists, and any `typ`: the claims are read here, strictly.

mod binding;
mod claims;
mod dpop;
mod introspected;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use countersign_risk::BindingState;
use countersign_sdk_types::{Acr, DenialCode, DeviceId, Digest, Entity, Seconds, SessionId, SubjectId, Timestamp};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::binding::{Confirmation, Proved};
use self::claims::bounded;
pub use self::dpop::{Proof, ProofId, ProofRules, verify as verify_proof};
pub use self::introspected::Introspected;
use crate::Denial;
use crate::keys::KeySet;
use crate::request::{AccessRequest, Credentials, Scheme};

/// How tokens of an issuer are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// By their signature.
    #[default]
    Signature,
    /// By their signature, and by asking the issuer whether they are still active.
    SignatureAndIntrospection,
    /// By asking the issuer, whatever they look like.
    Introspection,
}

/// What is configured for an issuer, with its current keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its current keys.
    pub keys: KeySet,
    /// How its tokens are checked.
    pub check: Check,
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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuers {
    /// By their `iss`, exactly.
    pub by_iss: BTreeMap<String, Issuer>,
    /// The one that is asked about tokens which name no issuer.
    pub opaque: Option<String>,
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
    /// This issuer must be asked about the token.
    Unasked(String),
    /// No.
    Denied(Denial),
}

impl From<Denial> for IdentifyError {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// What an identification rests on beside the request, as values.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// Whose tokens are taken.
    pub issuers: &'a Issuers,
    /// What a DPoP proof must be.
    pub proofs: &'a ProofRules,
    /// Whose session cookie this is, as linked earlier.
    pub linked: Option<LinkedSession>,
    /// What its issuer answered about the token.
    pub introspected: Option<&'a Introspected>,
    /// What time it is.
    pub now: Timestamp,
}

/// A subject that is identified, provided that its proof is used for the first time. Only [`identify`] makes one, and only the keeper of the book of used
/// proofs can tell.
#[derive(Debug)]
#[must_use]
pub struct Provisional {
    identified: Identified,
    proof: Option<ProofId>,
}

impl Provisional {
    /// Confirms it. The book is asked where the identification rests on a proof, and must keep it in the same step, so that of two who bring one proof
    /// at once one is refused.
    ///
    /// # Errors
    /// What the book says against it.
    pub fn confirm(self, first_use: impl FnOnce(&ProofId) -> Result<(), Denial>) -> Result<Identified, Denial> {
        self.proof.as_ref().map_or(Ok(()), first_use)?;
        Ok(self.identified)
    }
}

/// Identifies the subject of a request.
///
/// # Errors
/// A denial of the unauthenticated kind, the name of an issuer whose keys should be fetched again, or of one that must be asked about the token.
pub fn identify(request: AccessRequest, credentials: &Credentials, given: Given<'_>) -> Result<Provisional, IdentifyError> {
    let device = credentials.device.clone();
    if let Some(asserted) = &request.asserted_subject {
        let sub = if asserted.kind == "user" { asserted.id.clone() } else { format!("{}/{}", asserted.kind, asserted.id) };
        let subject = SubjectId { tenant: request.tenant.clone(), iss: format!("pep:{}", request.pep), sub: bounded(&sub)? };
        let session = session_id("pep", &[&subject.iss, &subject.sub])?;
        let (token, binding) = (TokenFacts::default(), BindingState::NotDeclared);
        return Ok(unproved(Identified { request, subject, session, device, token, binding, by: IdentifiedBy::Pep }));
    }
    if let Some((scheme, token)) = &credentials.token {
        return identify_by_token(request, credentials, *scheme, token, &given);
    }
    match (&credentials.session_cookie, given.linked) {
        (Some(cookie), Some(linked)) if linked.subject.tenant == request.tenant => {
            let session = session_id("cookie", &[cookie])?;
            let (subject, token) = (linked.subject, linked.token);
            let (binding, by) = (BindingState::NotDeclared, IdentifiedBy::Session);
            Ok(unproved(Identified { request, subject, session, device, token, binding, by }))
        }
        _ => Err(Denial::new(DenialCode::NoCredentials, "no token, no known session and no stated subject").into()),
    }
}

const fn unproved(identified: Identified) -> Provisional {
    Provisional { identified, proof: None }
}

fn identify_by_token(
    request: AccessRequest,
    credentials: &Credentials,
    scheme: Scheme,
    token: &str,
    given: &Given<'_>,
) -> Result<Provisional, IdentifyError> {
    let (facts, confirmation) = token::read(token, given)?;
    let proof = match (scheme, &confirmation) {
        (Scheme::Dpop, Confirmation::Dpop(_)) => proof(&request, credentials, token, given)?,
        // RFC 9449 §7.1: the scheme says that the token is bound to a key, and it is not.
        (Scheme::Dpop, _) => return Err(invalid("a token that is bound to no DPoP key came under the scheme of such tokens").into()),
        (Scheme::Bearer | Scheme::Cookie, _) => None,
    };
    let key = proof.as_ref().map(|proof| proof.thumbprint.as_str());
    let binding = confirmation.state(Proved { certificate: request.client_certificate.as_deref(), key });
    let session = session_of(&facts, &confirmation, binding, credentials)?;
    let device = if binding == BindingState::Proved { confirmation.device() } else { credentials.device.clone() };
    let subject = SubjectId { tenant: request.tenant.clone(), iss: facts.iss.clone(), sub: facts.sub.clone() };
    let identified = Identified { request, subject, session, device, token: facts, binding, by: IdentifiedBy::Token };
    Ok(Provisional { identified, proof: proof.filter(|_| binding == BindingState::Proved).map(|proof| proof.id) })
}

/// The proof that came with the token, checked against the request as the trusted proxy has it.
fn proof(request: &AccessRequest, credentials: &Credentials, token: &str, given: &Given<'_>) -> Result<Option<Proof>, Denial> {
    let (Some(proof), Some(http)) = (&credentials.proof, &request.http) else { return Ok(None) };
    dpop::verify(proof, token, http, given.proofs, given.issuers.skew, given.now).map(Some)
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
    // With the subject: a client that acts for many has one key, and they have a session each.
    if let (Some((kind, thumbprint)), BindingState::Proved) = (confirmation.key(), binding) {
        return session_id(kind, &[thumbprint, &facts.iss, &facts.sub]);
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

fn invalid(why: impl Into<String>) -> Denial {
    Denial::new(DenialCode::InvalidToken, why)
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

    /// Why this presentation is refused whatever a policy says: the token is bound to a key that this request did not prove (RFC 9449 §7.1, RFC 8705 §3).
    #[must_use]
    pub fn unproved(&self) -> Option<Denial> {
        match self.binding {
            BindingState::NotDeclared | BindingState::Proved => None,
            BindingState::Missing => Some(invalid("the token is bound to a key that this request did not prove")),
            BindingState::Mismatch => Some(invalid("the token is bound to another key than the one that this request proved")),
        }
    }

    /// What the subject was identified by.
    #[must_use]
    pub const fn by(&self) -> IdentifiedBy {
        self.by
    }
}

#[cfg(test)]
mod tests;
