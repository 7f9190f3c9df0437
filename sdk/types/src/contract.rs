//! Contract 1: the input document that every policy sees, and the verdict that it may give.
//!
//! Frozen: `policies/schema/` holds the JSON Schemas and a golden example. Every field has one type and is always present where the type has
//! no `Option`; Rego orders `null < false < 0 < ""`, so a missing or null number would pass `risk_score < 30`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Acr, Action, Effect, Entity, Obligation, Place, Reason, RiskLevel, RiskScore, Tenant};

/// The version that `input.contract` carries.
pub const CONTRACT: u32 = 1;

/// The names that the decision point computes. A caller that states one of them inside `context` is refused with `reserved_name`, but for those of
/// [`SHADOWED_CONTEXT`].
pub const RESERVED_CONTEXT: [&str; 12] =
    ["risk_score", "risk", "ip", "place", "time", "known", "caller", "device", "session", "token", "request", "user"];

/// Computed names that a caller may state all the same, since AuthZEN's own examples do. They are kept under `context.caller` only: never in the place of what
/// is computed.
pub const SHADOWED_CONTEXT: [&str; 2] = ["ip", "time"];

/// The document that a policy sees as `input`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Always [`CONTRACT`].
    pub contract: u32,
    /// The tenant whose policy is asked.
    pub tenant: Tenant,
    /// Who asks (AuthZEN).
    pub subject: Entity,
    /// To do what (AuthZEN); for a proxied request the method.
    pub action: Action,
    /// With what (AuthZEN); for a proxied request type `route`, id host + path.
    pub resource: Entity,
    /// What the directory says of the subject.
    pub user: User,
    /// What the inventory and the store say of the device.
    pub device: Device,
    /// What this presentation proves.
    pub session: Session,
    /// What the token says. Assurance in here can be stolen with the token.
    pub token: Token,
    /// The proxied HTTP request; empty strings when there is none.
    pub request: Request,
    /// The circumstances.
    pub context: Context,
}

/// The subject as the directory knows it. An unknown user has the role `""`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The subject's own name.
    pub id: String,
    /// The one role; `""` when the directory does not know the subject.
    pub role: String,
    /// All roles.
    pub roles: BTreeSet<String>,
}

/// The device. Each flag takes its pessimistic value when it is not known; `context.known` says which are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name, `""` when there is none.
    pub id: String,
    /// The inventory says that it meets the rules. Unknown is false.
    pub compliant: bool,
    /// The organisation manages it. Unknown is false.
    pub managed: bool,
    /// This subject has used it in a verified event.
    pub known: bool,
    /// It proved a key on this request.
    pub bound: bool,
}

/// What this presentation proves, by a live grant or by a key proved on this request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's name.
    pub id: String,
    /// The set of satisfied assurance levels.
    pub acr_satisfied: BTreeSet<Acr>,
    /// When the subject last proved themselves here, in seconds since the epoch; 0 when never.
    pub auth_time: i64,
}

/// What the token says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The issuer.
    pub iss: String,
    /// The issuer's name for the subject.
    pub sub: String,
    /// The level that the token claims; `""` when it claims none.
    pub acr: String,
    /// The methods that it claims (RFC 8176).
    pub amr: BTreeSet<String>,
    /// The scopes (RFC 6749 §3.3).
    pub scopes: BTreeSet<String>,
    /// The configured further claims.
    pub claims: Map<String, Value>,
}

/// The proxied request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The canonical host.
    pub host: String,
    /// The canonical path: decoded once, no dot segments.
    pub path: String,
    /// The path as the client sent it.
    pub raw_path: String,
    /// The query without `?`.
    pub query: String,
    /// The chosen headers, lower-case names, every value.
    pub headers: BTreeMap<String, Vec<String>>,
}

/// The circumstances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// What remains of the threat evidence after live grants.
    pub risk_score: RiskScore,
    /// The assessment behind it.
    pub risk: Risk,
    /// The client's address in canonical text; `""` when unknown.
    pub ip: String,
    /// Where that address is.
    pub place: Place,
    /// The time of the decision, in milliseconds since the epoch.
    pub time: i64,
    /// For each flag that has a pessimistic default: whether it was known.
    pub known: BTreeMap<String, bool>,
    /// What the enforcement point asserted, under its own name.
    pub caller: Map<String, Value>,
    /// Everything else that the caller put into the AuthZEN `context`, as far as it may assert it.
    #[serde(flatten)]
    pub asserted: Map<String, Value>,
}

/// The assessment as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// The threat evidence before grants.
    pub inherent: RiskScore,
    /// The band of `risk_score`.
    pub level: RiskLevel,
    /// Why. The points add up to `inherent`.
    pub reasons: Vec<Reason>,
}

/// What a policy may answer as `decision`. `allow` alone, a boolean, is the short form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The answer.
    pub effect: Effect,
    /// For a step-up: the level that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<Acr>,
    /// For a step-up: how old the proof may be, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// Why, for people.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What the enforcement point must do.
    #[serde(default)]
    pub obligations: Vec<Obligation>,
    /// No remedy is to be looked for.
    #[serde(default, rename = "final")]
    pub is_final: bool,
}
