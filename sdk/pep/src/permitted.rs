//! The guard: proof, inside a handler, that this request was allowed.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use countersign_sdk_client::Allow;
use countersign_sdk_types::{Action, DecisionId, Entity};
use http::StatusCode;
use http::request::Parts;

/// This request was allowed, for this action on this resource. Only the layer makes one, and only out of an allow.
#[derive(Debug, Clone)]
pub struct Permitted {
    allow: Allow,
    action: Action,
    resource: Entity,
}

impl Permitted {
    pub(crate) const fn new(allow: Allow, action: Action, resource: Entity) -> Self {
        Self { allow, action, resource }
    }

    /// What was allowed to be done.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// With what it was allowed to be done.
    #[must_use]
    pub const fn resource(&self) -> &Entity {
        &self.resource
    }

    /// The id of the decision, for `countersign why`.
    #[must_use]
    pub fn decision_id(&self) -> Option<&DecisionId> {
        self.allow.decision_id()
    }
}

/// A handler wants a guard on a route that the layer does not cover: a mistake of the application, answered with a 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this route is not enforced")]
pub struct NotPermitted;

impl IntoResponse for NotPermitted {
    fn into_response(self) -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Permitted {
    type Rejection = NotPermitted;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotPermitted> {
        parts.extensions.get().cloned().ok_or(NotPermitted)
    }
}
