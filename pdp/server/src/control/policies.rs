//! What is live and since when, what is tried and held, who changed what; and the way back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use countersign_pdp_store::PolicyChange;
use countersign_sdk_types::Revision;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Body, Line};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::Refused;
use crate::pipeline::Pdp;
use crate::policies::{Changed, NotDone, Policies, PolicyReport};

/// The policies of a server, and what they decide for.
#[derive(Debug, Clone)]
pub struct PolicyDesk {
    /// The policies.
    pub policies: Arc<Policies>,
    /// The decision point.
    pub pdp: Arc<Pdp>,
}

/// What happened to revisions, the latest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct History {
    #[schema(value_type = Vec<Object>)]
    pub(crate) changes: Vec<PolicyChange>,
}

/// Asks for the way back.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollBack {
    /// The revision; without it a trial is ended, or what was active before becomes so again.
    #[schema(value_type = Option<String>)]
    pub(crate) to: Option<Revision>,
    /// Why. It is kept.
    pub(crate) reason: Option<Line>,
}

/// Asks for the way forward.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promote {
    /// The revision, or how its name begins, four characters at least. Where it is another one that would become active, nothing is changed.
    #[schema(value_type = Option<String>)]
    pub(crate) revision: Option<Revision>,
}

impl From<NotDone> for Problem {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Conflict(why) => Self::conflict(&why),
            NotDone::Failed(why) => Self::internal(&why),
        }
    }
}

impl ControlService {
    /// Works on the policies on a thread that may wait for the disk, and for a check.
    async fn at_the_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(PolicyDesk) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let desk = self.policies.clone().ok_or_else(|| Problem::conflict("the policy of this server is part of it, and never changes"))?;
        let done = tokio::task::spawn_blocking(move || work(desk)).await;
        done.map_err(|_| Problem::internal("the policies could not be worked on"))?
    }
}

/// Which policy is active since when and from where, what is tried with which figures, what is held, and which was refused.
#[utoipa::path(
    get,
    path = "/countersign/v1/policies",
    responses((status = 200, body = PolicyReport, description = "The policies of this server."), Refused)
)]
pub(super) async fn show(State(service): State<Arc<ControlService>>) -> Result<Json<PolicyReport>, Problem> {
    let report = service.at_the_desk(|PolicyDesk { policies, pdp }| {
        policies.report(&pdp.served, &pdp.store).map_err(|error| Problem::internal(&error.to_string()))
    });
    report.await.map(Json)
}

/// Has the source of policies looked at, at once or soon after the last look. What came of it, the status of the policies says.
#[utoipa::path(
    post,
    path = "/countersign/v1/policies/refresh",
    responses((status = 202, description = "It is looked at."), Refused)
)]
pub(super) async fn refresh(State(service): State<Arc<ControlService>>) -> Result<StatusCode, Problem> {
    let woken = service.at_the_desk(|desk| {
        desk.policies.wake();
        Ok(())
    });
    woken.await.map(|()| StatusCode::ACCEPTED)
}

/// Who changed what and when, with the signer and the author of each revision.
#[utoipa::path(
    get,
    path = "/countersign/v1/policies/history",
    responses((status = 200, body = History, description = "The latest changes; the journal has all."), Refused)
)]
pub(super) async fn history(State(service): State<Arc<ControlService>>) -> Result<Json<History>, Problem> {
    let tenant = service.tenant.clone();
    let times = service.read(move |view| view.policy_times(&tenant)).await?;
    Ok(Json(History { changes: times.changes }))
}

/// Ends a trial, or goes back to an earlier revision. What is left behind is held: it is not taken again by itself.
#[utoipa::path(
    post,
    path = "/countersign/v1/policies/rollback",
    request_body = RollBack,
    responses((status = 200, body = Changed, description = "What decides now."), Refused)
)]
pub(super) async fn roll_back(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(RollBack { to, reason }): Body<RollBack>,
) -> Result<Json<Changed>, Problem> {
    let by = operator.by();
    let done = service.at_the_desk(move |PolicyDesk { policies, pdp }| {
        let reason = reason.as_ref().map(Line::as_str);
        Ok(policies.roll_back(&pdp.served, &pdp.store, to.as_ref(), (&by, reason))?)
    });
    told(&operator, "policy rollback", done.await)
}

/// Activates what is on trial, whatever is left of that, or else what is held and offered.
#[utoipa::path(
    post,
    path = "/countersign/v1/policies/promote",
    request_body = Promote,
    responses((status = 200, body = Changed, description = "What decides now."), Refused)
)]
pub(super) async fn promote(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(Promote { revision }): Body<Promote>,
) -> Result<Json<Changed>, Problem> {
    let by = operator.by();
    let done =
        service.at_the_desk(move |PolicyDesk { policies, pdp }| Ok(policies.promote(&pdp.served, &pdp.store, revision.as_ref(), &by)?));
    told(&operator, "policy promote", done.await)
}

fn told(operator: &Operator, change: &str, done: Result<Changed, Problem>) -> Result<Json<Changed>, Problem> {
    match done {
        Ok(changed) => {
            tracing::warn!(%operator, change, revision = %changed.revision, instead_of = %changed.instead_of, "control");
            Ok(Json(changed))
        }
        Err(problem) => {
            tracing::warn!(%operator, change, ?problem, "control change was not made");
            Err(problem)
        }
    }
}
