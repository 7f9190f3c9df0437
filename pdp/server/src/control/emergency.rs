//! Break-glass: a subject passes by the emergency path for a while. Never quiet, never without a reason, never for long.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use countersign_pdp_store::StateEvent;
use countersign_sdk_types::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Body, Line, Who, name};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::{Refused, instant};

/// Asks to break the glass.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakGlass {
    pub(crate) subject: Who,
    #[schema(minimum = 1, maximum = 240)]
    pub(crate) minutes: u64,
    pub(crate) reason: Line,
}

/// The glass is broken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BrokenGlass {
    pub(crate) subject: Who,
    #[schema(schema_with = instant)]
    pub(crate) expires: Timestamp,
    pub(crate) reason: Line,
}

const MOST_MINUTES: u64 = 240;

/// Lets a subject pass by the emergency path for a while.
#[utoipa::path(
    post,
    path = "/countersign/v1/break-glass",
    request_body = BreakGlass,
    responses((status = 201, body = BrokenGlass, description = "The glass is broken."), Refused)
)]
pub(super) async fn break_glass(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Body(BreakGlass { subject: who, minutes, reason }): Body<BreakGlass>,
) -> Result<(StatusCode, Json<BrokenGlass>), Problem> {
    if !(1..=MOST_MINUTES).contains(&minutes) {
        return Err(Problem::malformed("`minutes` is a number from 1 to 240"));
    }
    let (subject, expires) = (who.clone().of(&service.tenant), service.now().after(Seconds(minutes * 60)));
    let named = name(&subject);
    let event = StateEvent::BreakGlass { subject, expires, by: operator.by(), reason: reason.as_str().to_owned() };
    service.commit(&operator, "break glass", &named, event).await?;
    tracing::error!(%operator, subject = named, minutes, reason = reason.as_str(), "the glass is broken: an emergency pass is in force");
    Ok((StatusCode::CREATED, Json(BrokenGlass { subject: who, expires, reason })))
}
