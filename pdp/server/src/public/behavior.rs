//! `/.countersign/behavior` on a protected host: what a page's script tells of the pointer. It reaches memory only, and opens nothing.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::visit::Protected;
use crate::behavior::{Batch, TooMany, Whose};
use crate::metrics::BatchOutcome;
use crate::pages::{self, Trouble};

/// `GET /.countersign/behavior.js`: for applications that tell of the pointer only.
#[utoipa::path(
    get,
    path = "/.countersign/behavior.js",
    operation_id = "behavior_script",
    summary = "The script that applications include.",
    description = "",
    responses((status = 200, body = String, content_type = "text/javascript; charset=utf-8", description = "The module."), (status = 404, description = "Not on this host."))
)]
pub(super) async fn script(_: Protected) -> Response {
    pages::asset("behavior.js")
}

/// `POST /.countersign/behavior`.
#[utoipa::path(
    post,
    path = "/.countersign/behavior",
    operation_id = "behavior",
    summary = "Takes a batch of pointer features.",
    description = "",
    responses((status = 204, description = "Taken."), crate::openapi::Page)
)]
pub(super) async fn take(visit: Protected, body: Bytes) -> Response {
    let taken = taken(&visit, &body).await;
    let outcome = match taken {
        Ok(()) => BatchOutcome::Accepted,
        Err(Trouble::TooMany) => BatchOutcome::Limited,
        Err(_) => BatchOutcome::Refused,
    };
    visit.public.pdp.metrics.told_behavior(outcome);
    taken.map_or_else(|trouble| trouble.answer(None), |()| StatusCode::NO_CONTENT.into_response())
}

async fn taken(visit: &Protected, body: &[u8]) -> Result<(), Trouble> {
    let pdp = &visit.public.pdp;
    let batch = Batch::read(body).map_err(|error| {
        tracing::debug!(%error, "a batch of pointer actions is refused");
        Trouble::Refused
    })?;
    let (witnessed, now) = (visit.witness().await?, pdp.clock.now());
    if witnessed.facts.is_barred(now) {
        return Err(Trouble::NotAllowed);
    }
    let whose = Whose::from(&witnessed.identified);
    pdp.behaviors.take(whose.clone(), &batch, now).map_err(|TooMany| Trouble::TooMany)?;
    Ok(pdp.moved(&witnessed.identified, &whose)?)
}
