//! Envoy's external authorization as `opa-envoy-plugin` serves it: a `CheckRequest` becomes the plugin's input, a document is asked with OPA's own semantics, and its
//! value becomes the answer. For policies that were written for the plugin.
//!
//! It decides nothing of ours: no token is read, no risk is known, and no `Permit` can be reached from here. One thing is not as there: a path that two
//! servers could read differently is refused before any policy is asked. The plugin decodes a path and splits it then, so that `/public%2Fadmin` and
//! `/public/admin` are the same path to a policy and two to an application.

mod input;
mod result;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use tokio::sync::Semaphore;

use super::Opa;
use super::asked::{Asked, Input, Subject};
use super::failure::Failure;
use crate::ext_authz::{CHECK, CheckRequest, CheckResponse, SERVICE};
use crate::grpc;
use crate::grpc::health::Health;

/// Calls that are answered or wait at once; more are refused at once.
const AT_ONCE: usize = 256;

struct Service {
    opa: Arc<Opa>,
    places: Semaphore,
}

/// The router of the gRPC listener for policies of the plugin.
pub(crate) fn router(opa: Arc<Opa>, draining: Arc<AtomicBool>) -> Router {
    let serving = Arc::clone(&opa);
    let ready = move || if serving.bundles.are_active() { Ok(()) } else { Err("a bundle is not active".to_owned()) };
    let health = Health::new(&[SERVICE], draining, Arc::new(ready));
    let service = Arc::new(Service { opa, places: Semaphore::new(AT_ONCE) });
    let router = Router::new().route(CHECK, post(check)).with_state(service);
    router.merge(grpc::health::router(health)).fallback(grpc::unknown)
}

/// Why nothing was asked, or nothing can be made of what was answered: a refusal in each case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refused {
    /// The request cannot be read, or could be read in two ways.
    #[error("{0}")]
    Malformed(String),
    /// Whoever calls is nobody that may.
    #[error("the caller brings no token that is known")]
    Stranger,
    /// The document is no decision.
    #[error("{0}")]
    Shape(String),
    /// It could not be evaluated.
    #[error("{0}")]
    Unavailable(String),
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Stranger | Self::Shape(_) => StatusCode::FORBIDDEN,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.body.message)
    }
}

/// Every answer is a `CheckResponse`: a proxy may be told to let pass what got none.
async fn check(State(service): State<Arc<Service>>, request: Request) -> Response {
    let answered = match service.places.try_acquire() {
        Err(_) => Err(Refused::Unavailable("too many calls at once".to_owned())),
        Ok(_place) => answer(&service.opa, request).await,
    };
    let response = answered.unwrap_or_else(|refused| {
        tracing::info!(%refused, "a request behind Envoy was refused without a decision");
        result::refusal(refused.status())
    });
    grpc::reply(response)
}

async fn answer(opa: &Opa, request: Request) -> Result<CheckResponse, Refused> {
    if !opa.admits(request.headers()) {
        return Err(Refused::Stranger);
    }
    let mut asked = Asked::of(opa, &request)?;
    let message: CheckRequest =
        grpc::read(request, grpc::LARGEST).await.map_err(|status| Refused::Malformed(status.message().to_owned()))?;
    let size = prost::Message::encoded_len(&message);
    let input = Input { document: Some(input::input(message)?), size };
    asked.input_read();
    let answered = asked.evaluate(opa, Subject::Document(opa.options.envoy_decision.clone()), input).await?;
    result::response(answered.result.ok_or_else(|| Refused::Shape("the document is undefined".to_owned()))?)
}

/// The plugin's input in the bytes of a `CheckRequest`.
///
/// # Errors
/// When they are no such message, or it is refused before a policy is asked.
pub fn read(message: &[u8]) -> Result<serde_json::Value, String> {
    let message: CheckRequest = prost::Message::decode(message).map_err(|error| error.to_string())?;
    input::input(message).map_err(|refused| refused.to_string())
}

#[cfg(test)]
mod tests;
