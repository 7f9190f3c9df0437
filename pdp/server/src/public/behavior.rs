//! `/.countersign/behavior` on a protected host: what a page's script tells of the pointer. It reaches memory only, and opens nothing.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::visit::Protected;
use crate::behavior::{Batch, TooMany, Whose};
use crate::metrics::BatchOutcome;
use crate::pages::{self, Trouble};

/// `GET /.countersign/behavior.js`: for applications to include.
pub(super) async fn script(_: Protected) -> Response {
    pages::asset("behavior.js")
}

/// `GET /.countersign/pointer.js`: what that script imports.
pub(super) async fn module(_: Protected) -> Response {
    pages::asset("pointer.js")
}

/// `POST /.countersign/behavior`.
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
