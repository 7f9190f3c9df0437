//! The OpenID AuthZEN Authorization API 1.0 information model (§5) and evaluation messages (§6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A subject or a resource. Unknown members are ignored (§5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The kind of entity, such as `user` or `record`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name within that kind.
    pub id: String,
    /// What the caller states of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// What the subject wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The name of the action, such as `read` or `GET`.
    pub name: String,
    /// What the caller states of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// The body of `POST /access/v1/evaluation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationRequest {
    /// Who asks.
    pub subject: Entity,
    /// To do what.
    pub action: Action,
    /// With what.
    pub resource: Entity,
    /// Under which circumstances.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
}

/// The answer to an evaluation. A step-up is `decision: false` with an obligation: a caller that ignores obligations fails closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationResponse {
    /// True only for an allow.
    pub decision: bool,
    /// Obligations, the RFC 9470 hint, the id of the decision.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
}
