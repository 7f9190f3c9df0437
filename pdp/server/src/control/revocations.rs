//! What is no longer believed: subjects, sessions, tokens, devices.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use countersign_pdp_store::{Revocation, RevocationTarget, StateEvent, TokenName};
use countersign_sdk_types::{DeviceId, Digest, Seconds, SessionId, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Body, Line, Page, Question, Who, cut};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::{DeviceName, Refused, SessionName, digest, instant};

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Everything of a subject.
    Subject(Who),
    /// One session.
    #[schema(value_type = SessionName)]
    Session(SessionId),
    /// One token.
    Token(Token),
    /// One device.
    #[schema(value_type = DeviceName)]
    Device(DeviceId),
}

/// A token, never by its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, deny_unknown_fields, expecting = "a token is named by `iss` and `jti`, or by `digest`")]
pub(crate) enum Token {
    /// By its issuer's name for it.
    Jti { iss: Line, jti: Line },
    /// By BLAKE3 of the whole token, in hexadecimal.
    Digest {
        #[schema(schema_with = digest)]
        digest: Digest,
    },
}

/// Asks for a revocation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    pub(crate) target: Target,
    pub(crate) reason: Line,
}

/// Asks to take one back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Undo {
    pub(crate) target: Target,
}

/// A revocation in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Revoked {
    pub(crate) target: Target,
    #[schema(schema_with = instant)]
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// Revocations, the latest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Revocations {
    pub(crate) revocations: Vec<Revoked>,
    pub(crate) cut: bool,
}

/// Longer than any access token lives: a revocation that is forgotten earlier would give the token back.
const TOKEN_LIFE: Seconds = Seconds(366 * 24 * 3600);

impl Target {
    fn meant(self, tenant: &Tenant, now: Timestamp) -> RevocationTarget {
        let tenant = tenant.clone();
        match self {
            Self::Subject(who) => RevocationTarget::Subject(who.of(&tenant)),
            Self::Session(session) => RevocationTarget::Session { tenant, session },
            Self::Device(device) => RevocationTarget::Device { tenant, device },
            Self::Token(token) => {
                let token = match token {
                    Token::Jti { iss, jti } => TokenName::Jti { iss: iss.into(), jti: jti.into() },
                    Token::Digest { digest } => TokenName::Digest(digest),
                };
                RevocationTarget::Token { tenant, token, expires: now.after(TOKEN_LIFE) }
            }
        }
    }

    /// What a stored revocation names.
    fn shown(stored: RevocationTarget) -> Self {
        match stored {
            RevocationTarget::Subject(subject) => Self::Subject(Who::stored(subject)),
            RevocationTarget::Session { session, .. } => Self::Session(session),
            RevocationTarget::Device { device, .. } => Self::Device(device),
            RevocationTarget::Token { token: TokenName::Digest(digest), .. } => Self::Token(Token::Digest { digest }),
            RevocationTarget::Token { token: TokenName::Jti { iss, jti }, .. } => {
                Self::Token(Token::Jti { iss: Line::stored(iss), jti: Line::stored(jti) })
            }
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject(who) => write!(f, "subject {} of {}", who.sub.as_str(), who.iss.as_str()),
            Self::Session(session) => write!(f, "session {session}"),
            Self::Device(device) => write!(f, "device {device}"),
            Self::Token(Token::Digest { digest }) => write!(f, "token {digest}"),
            Self::Token(Token::Jti { iss, jti }) => write!(f, "token {} of {}", jti.as_str(), iss.as_str()),
        }
    }
}

/// Revokes a subject, a session, a token or a device.
#[utoipa::path(
    post,
    path = "/countersign/v1/revocations",
    request_body = Revoke,
    responses((status = 201, body = Revoked, description = "It is revoked."), Refused)
)]
pub(super) async fn revoke(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(Revoke { target, reason }): Body<Revoke>,
) -> Result<(StatusCode, Json<Revoked>), Problem> {
    let (at, by, reason) = (service.now(), operator.by(), String::from(reason));
    let event = StateEvent::Revoked { target: target.clone().meant(&service.tenant, at), at, by: by.clone(), reason: reason.clone() };
    service.commit(&operator, "revoke", &target.to_string(), event).await?;
    Ok((StatusCode::CREATED, Json(Revoked { target, at, by, reason })))
}

/// Takes a revocation back.
#[utoipa::path(
    delete,
    path = "/countersign/v1/revocations",
    request_body = Undo,
    responses((status = 204, description = "It is not revoked any more."), Refused)
)]
pub(super) async fn undo(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(Undo { target }): Body<Undo>,
) -> Result<StatusCode, Problem> {
    let tenant = service.tenant.clone();
    let known = service.read(move |view| view.list_revocations(&tenant)).await?;
    if !known.into_iter().any(|revocation| Target::shown(revocation.target) == target) {
        return Err(Problem::unknown(&format!("{target} is not revoked")));
    }
    let at = service.now();
    let event = StateEvent::Unrevoked { target: target.clone().meant(&service.tenant, at), at, by: operator.by() };
    service.commit(&operator, "undo revocation", &target.to_string(), event).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The revocations in force.
#[utoipa::path(
    get,
    path = "/countersign/v1/revocations",
    operation_id = "list_revocations",
    params(Page),
    responses((status = 200, body = Revocations, description = "The latest first."), Refused)
)]
pub(super) async fn list(State(service): State<Arc<ControlService>>, Question(page): Question<Page>) -> Result<Json<Revocations>, Problem> {
    let (size, tenant) = (page.size()?, service.tenant.clone());
    let mut all = service.read(move |view| view.list_revocations(&tenant)).await?;
    all.sort_by_key(|revocation| std::cmp::Reverse(revocation.at));
    let (all, cut) = cut(all, size);
    let shown = |Revocation { target, at, by, reason }| Revoked { target: Target::shown(target), at, by, reason };
    Ok(Json(Revocations { revocations: all.into_iter().map(shown).collect(), cut }))
}
