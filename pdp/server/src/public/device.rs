//! `/.countersign/device` on a protected host: what a page's script tells of the device, as digests. It reaches memory only, and opens nothing.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::visit::Protected;
use crate::behavior::{TooMany, Whose, look};
use crate::metrics::BatchOutcome;
use crate::pages::{self, Trouble};

/// `GET /.countersign/countersign.js`: for applications to include.
#[utoipa::path(
    get,
    path = "/.countersign/countersign.js",
    operation_id = "countersign_script",
    summary = "The script that applications include.",
    description = "",
    responses((status = 200, body = String, content_type = "text/javascript; charset=utf-8", description = "The module."), (status = 404, description = "Not on this host."))
)]
pub(super) async fn script(_: Protected) -> Response {
    pages::asset("countersign.js")
}

/// `POST /.countersign/device`.
#[utoipa::path(
    post,
    path = "/.countersign/device",
    operation_id = "device",
    summary = "Takes what a script tells of the device.",
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
    visit.public.pdp.metrics.told_device(outcome);
    taken.map_or_else(|trouble| trouble.answer(None), |()| StatusCode::NO_CONTENT.into_response())
}

async fn taken(visit: &Protected, body: &[u8]) -> Result<(), Trouble> {
    let pdp = &visit.public.pdp;
    let told = look::read(body).map_err(|error| {
        tracing::debug!(%error, "what a device looks like is refused");
        Trouble::Refused
    })?;
    let (witnessed, now) = (visit.witness().await?, pdp.clock.now());
    if witnessed.facts.is_barred(now) {
        return Err(Trouble::NotAllowed);
    }
    let whose = Whose::from(&witnessed.identified);
    pdp.looked(&witnessed.identified, whose, told, now).map_err(|TooMany| Trouble::TooMany)
}
