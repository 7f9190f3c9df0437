//! A refusal: a stable code for the wire, and a detail for records and operators. Every error becomes one in its own `From`, here and nowhere else.

use countersign_sdk_types::{DenialCode, Fault, Obligation};
use serde::{Deserialize, Serialize};

use crate::policy::PolicyError;

/// Why a request was denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    code: DenialCode,
    detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    obligations: Vec<Obligation>,
}

impl Denial {
    /// A denial with a sentence for operators. The detail reaches records and the operator's explanation, never the wire; it holds no secret.
    #[must_use]
    pub fn new(code: DenialCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), obligations: Vec::new() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> DenialCode {
        self.code
    }

    /// The sentence for operators.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same denial, with what the policy has the enforcement point do besides denying.
    #[must_use]
    pub(crate) fn obliging(self, obligations: Vec<Obligation>) -> Self {
        Self { obligations, ..self }
    }

    /// What the enforcement point must do besides denying.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.code.fault()
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<DenialCode> for Denial {
    fn from(code: DenialCode) -> Self {
        Self::new(code, code.as_str())
    }
}

impl From<PolicyError> for Denial {
    fn from(error: PolicyError) -> Self {
        let code = match &error {
            PolicyError::Refused(_) => DenialCode::NoPolicy,
            PolicyError::Undefined => DenialCode::PolicyUndefined,
            PolicyError::Shape(_) => DenialCode::PolicyShape,
            PolicyError::Conflict(_) => DenialCode::PolicyConflict,
            PolicyError::Failed(_) => DenialCode::PolicyError,
            PolicyError::Budget => DenialCode::PolicyBudget,
            PolicyError::Panic => DenialCode::PolicyPanic,
        };
        Self::new(code, error.to_string())
    }
}
