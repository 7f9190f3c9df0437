//! What a decision looks like from outside: effects, denial codes and obligations.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request may pass.
    Allow,
    /// Not like this; prove it again.
    StepUp,
    /// No.
    Deny,
}

impl Effect {
    /// Its name on the wire, in logs and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::StepUp => "step_up",
            Self::Deny => "deny",
        }
    }
}

/// Who is at fault for a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The caller sent what cannot be understood.
    Malformed,
    /// The subject did not prove who they are.
    Unauthenticated,
    /// The policy said no.
    Forbidden,
    /// The policy itself is broken: an error, an undefined result, an exhausted budget.
    Policy,
    /// Something of ours is not there.
    Unavailable,
}

macro_rules! denial_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $fault:ident),* $(,)?) => {
        /// Why a request was denied: a stable code for records, metrics and enforcement points.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum DenialCode { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl DenialCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Who is at fault.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault),* }
            }
        }
    };
}

denial_codes! {
    /// The request cannot be parsed.
    MalformedRequest = "malformed_request" => Malformed,
    /// A security header appears twice, or under an alias.
    AmbiguousHeader = "ambiguous_header" => Malformed,
    /// The path means different things to different servers.
    AmbiguousPath = "ambiguous_path" => Malformed,
    /// A caller stated a name that the decision point computes.
    ReservedName = "reserved_name" => Malformed,
    /// A caller stated something that it may not assert.
    NotAssertable = "not_assertable" => Malformed,
    /// The host is not one that is protected here.
    UnknownHost = "unknown_host" => Malformed,
    /// No token, no session and no asserted subject.
    NoCredentials = "no_credentials" => Unauthenticated,
    /// Two credentials that do not agree.
    ConflictingCredentials = "conflicting_credentials" => Unauthenticated,
    /// The token is not one that this decision point accepts.
    InvalidToken = "invalid_token" => Unauthenticated,
    /// The DPoP proof is not one of this token's key for this request, now, for the first time.
    InvalidProof = "invalid_dpop_proof" => Unauthenticated,
    /// The DPoP proof must name a nonce that the answer gives.
    UseNonce = "use_dpop_nonce" => Unauthenticated,
    /// The token has expired or is not valid yet.
    ExpiredToken = "expired_token" => Unauthenticated,
    /// The token's key is not known, and its issuer could not be asked.
    UnknownKey = "unknown_key" => Unauthenticated,
    /// Subject, session, token or device is revoked.
    Revoked = "revoked" => Unauthenticated,
    /// The session is locked for a while: too many demands from distinct contexts.
    Locked = "locked" => Forbidden,
    /// The policy said no, and nothing that the subject could prove would change that.
    PolicyDenied = "policy_denied" => Forbidden,
    /// A step-up would be needed, and no passkey of this subject reaches the level.
    NotEnrolled = "not_enrolled" => Forbidden,
    /// A step-up was asked for already and did not help.
    StepUpExhausted = "step_up_exhausted" => Forbidden,
    /// The policy allows with an obligation that the enforcement point says it does not support.
    ObligationUnsupported = "obligation_unsupported" => Forbidden,
    /// The policy gave no result.
    PolicyUndefined = "policy_undefined" => Policy,
    /// The policy gave a result of the wrong shape.
    PolicyShape = "policy_shape" => Policy,
    /// Two results of the policy disagree.
    PolicyConflict = "policy_conflict" => Policy,
    /// The policy failed while it was evaluated.
    PolicyError = "policy_error" => Policy,
    /// The policy used more than its budget of time, memory or depth.
    PolicyBudget = "policy_budget" => Policy,
    /// The evaluator panicked.
    PolicyPanic = "policy_panic" => Policy,
    /// No policy revision is active.
    NoPolicy = "no_policy" => Unavailable,
    /// A fact that the decision needs could not be read.
    FactsUnavailable = "facts_unavailable" => Unavailable,
    /// The record of the decision could not be written, and the audit mode requires it.
    AuditUnavailable = "audit_unavailable" => Unavailable,
    /// A step-up is needed and the ceremony cannot be run now.
    StepUpUnavailable = "step_up_unavailable" => Unavailable,
    /// The decision point has more to do than it can.
    Overloaded = "overloaded" => Unavailable,
    /// The deadline passed before the answer was there.
    Deadline = "deadline" => Unavailable,
    /// A failure inside the decision point.
    Internal = "internal" => Unavailable,
}

impl std::fmt::Display for DenialCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that an enforcement point must do with an answer (AuthZEN Obligations profile 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// Distinguishes obligations within one answer.
    pub id: String,
    /// What is to be done, such as `step-up`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is to be done with.
    #[serde(default)]
    pub properties: Map<String, Value>,
}
