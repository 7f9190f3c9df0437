//! What browsers meet: `/.countersign/*` on every protected host, and the pages of the auth origin. Only here are cookies set.
//!
//! A request belongs to the host that it names: a path of the auth origin does not exist on a protected host, nor the other way round.

mod auth;
mod behavior;
mod device;
mod protected;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::config::Enforcer;
use crate::pages::{self, Language, Problem, Site, Trouble};
use crate::pipeline::Pdp;

/// What the handlers share.
#[derive(Debug)]
pub struct Public {
    /// The decision point.
    pub pdp: Arc<Pdp>,
    /// Proxies that may name the client's address.
    pub enforcers: Arc<[Enforcer]>,
}

/// The largest body: a registration with its attestation is far smaller.
const MOST_BODY: usize = 64 * 1024;

/// The pages and what they fetch, for the document of the listener.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    protected::browser,
    protected::step_up,
    protected::come_back,
    protected::enroll,
    behavior::take,
    behavior::script,
    device::script,
    device::take,
    asset_there,
    auth::home,
    auth::step_up,
    auth::challenge,
    auth::proof,
    auth::enroll,
    auth::begin,
    auth::finish,
    asset,
))]
pub(crate) struct Described;

/// The router of the public listener.
pub fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/.countersign/", get(protected::browser))
        .route("/.countersign/step-up", get(protected::step_up))
        .route("/.countersign/return", get(protected::come_back))
        .route("/.countersign/enroll", get(protected::enroll))
        .route("/.countersign/behavior", post(behavior::take))
        .route("/.countersign/behavior.js", get(behavior::script))
        .route("/.countersign/countersign.js", get(device::script))
        .route("/.countersign/device", post(device::take))
        .route("/.countersign/assets/{name}", get(asset_there))
        .route("/", get(auth::home))
        .route("/step-up/{ceremony}", get(auth::step_up))
        .route("/step-up/{ceremony}/challenge", post(auth::challenge))
        .route("/step-up/{ceremony}/proof", post(auth::proof))
        .route("/enroll", get(auth::enroll))
        .route("/enroll/begin", post(auth::begin))
        .route("/enroll/finish", post(auth::finish))
        .route("/assets/{name}", get(asset))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(public)
}

#[utoipa::path(
    get,
    path = "/assets/{name}",
    operation_id = "asset",
    summary = "A part of the pages.",
    description = "",
    params(("name" = String, Path)),
    responses((status = 200, description = "The part."), (status = 404, description = "There is none."))
)]
async fn asset(Path(name): Path<String>, _: visit::Auth) -> Response {
    pages::asset(&name)
}

#[utoipa::path(
    get,
    path = "/.countersign/assets/{name}",
    operation_id = "asset_there",
    summary = "A part of the pages on protected hosts.",
    description = "",
    params(("name" = String, Path)),
    responses((status = 200, description = "The part."), (status = 404, description = "There is none."))
)]
async fn asset_there(Path(name): Path<String>, _: visit::Protected) -> Response {
    pages::asset(&name)
}

async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let site = if uri.path().starts_with("/.countersign/") { Site::Protected } else { Site::Auth };
    Problem { language: Language::of(&headers), site, trouble: Trouble::NotFound }.into_response()
}
