//! Enrolled passkeys: who has which, and taking one away. The key itself is never shown.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use countersign_pdp_store::{StateEvent, StoredCredential};
use countersign_sdk_types::{CredentialId, SubjectId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Line, Named, Question, Who, cut, name, size};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::{Refused, instant, line};

/// Whose passkeys: of one subject, or of all.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The issuer of the subject's tokens; with `sub`.
    #[param(schema_with = line, required = false)]
    iss: Option<Line>,
    /// The subject; with `iss`.
    #[param(schema_with = line, required = false)]
    sub: Option<Line>,
    /// The most that are listed.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A passkey as operators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Credential {
    #[schema(value_type = String)]
    pub(crate) id: CredentialId,
    pub(crate) owner: Who,
    pub(crate) label: String,
    #[schema(schema_with = instant)]
    pub(crate) created: Timestamp,
    pub(crate) backup_eligible: bool,
    pub(crate) counter: u32,
}

/// Passkeys.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Credentials {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) cut: bool,
}

impl Credential {
    fn of((owner, credential): (SubjectId, StoredCredential)) -> Self {
        let StoredCredential { id, passkey: _, label, created, backup_eligible, counter } = credential;
        Self { id, owner: Who::stored(owner), label, created, backup_eligible, counter }
    }
}

/// Who has enrolled which passkeys.
#[utoipa::path(
    get,
    path = "/countersign/v1/credentials",
    operation_id = "list_credentials",
    params(Whose),
    responses((status = 200, body = Credentials, description = "Passkeys; the keys are not shown."), Refused)
)]
pub(super) async fn list(
    State(service): State<Arc<ControlService>>,
    Question(whose): Question<Whose>,
) -> Result<Json<Credentials>, Problem> {
    let (size, tenant) = (size(whose.limit)?, service.tenant.clone());
    let all = match (whose.iss, whose.sub) {
        (None, None) => service.read(move |view| view.list_credentials(&tenant)).await?,
        (Some(iss), Some(sub)) => {
            let subject = Who { iss, sub }.of(&tenant);
            let own = service.read(move |view| view.credentials(&subject).map(|own| (subject, own))).await?;
            own.1.into_iter().map(|credential| (own.0.clone(), credential)).collect()
        }
        _ => return Err(Problem::malformed("`iss` and `sub` name a subject together")),
    };
    let (all, cut) = cut(all, size);
    Ok(Json(Credentials { credentials: all.into_iter().map(Credential::of).collect(), cut }))
}

/// Takes a passkey away.
#[utoipa::path(
    delete,
    path = "/countersign/v1/credentials/{id}",
    operation_id = "remove_credential",
    params(("id" = String, Path, description = "The passkey.", min_length = 1, max_length = 1400, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    responses((status = 204, description = "It is gone."), Refused)
)]
pub(super) async fn remove(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Named(id): Named<CredentialId>,
) -> Result<StatusCode, Problem> {
    let (tenant, asked) = (service.tenant.clone(), id.clone());
    let owner = service.read(move |view| view.credential_owner(&tenant, &asked)).await?;
    let subject = owner.ok_or_else(|| Problem::unknown(&format!("passkey `{id}` is not enrolled")))?;
    let named = format!("{id} of {}", name(&subject));
    let event = StateEvent::CredentialRemoved { subject, id, by: operator.by(), at: service.now() };
    service.commit(&operator, "remove passkey", &named, event).await?;
    Ok(StatusCode::NO_CONTENT)
}
