//! The key that a token is bound to (RFC 7800), and whether this request proved it.

use countersign_risk::BindingState;
use countersign_sdk_types::{DenialCode, DeviceId};
use serde_json::Value;

use crate::Denial;

/// The key that a token declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Confirmation {
    None,
    /// SHA-256 of the client certificate (RFC 8705 §3.1).
    Certificate(String),
    /// The thumbprint of a DPoP key (RFC 9449 §6.1).
    Dpop(String),
}

/// What a request proved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Proved<'a> {
    /// The certificate of the client, by its thumbprint.
    pub(super) certificate: Option<&'a str>,
    /// The key of the DPoP proof, by its thumbprint.
    pub(super) key: Option<&'a str>,
}

impl Confirmation {
    /// Reads the `cnf` claim. A key of a kind that cannot be proved here is an error, never an absence.
    pub(super) fn read(cnf: Option<&Value>) -> Result<Self, Denial> {
        let invalid = |why: &str| Denial::new(DenialCode::InvalidToken, why);
        let Some(cnf) = cnf else { return Ok(Self::None) };
        let cnf = cnf.as_object().ok_or_else(|| invalid("`cnf` is no object"))?;
        match (cnf.get("x5t#S256"), cnf.get("jkt")) {
            (Some(Value::String(thumbprint)), None) if thumbprint.len() <= 64 => Ok(Self::Certificate(thumbprint.clone())),
            (None, Some(Value::String(thumbprint))) if thumbprint.len() <= 64 => Ok(Self::Dpop(thumbprint.clone())),
            _ => Err(invalid("`cnf` names no key that is known here")),
        }
    }

    /// Whether the declared key is among what was proved.
    pub(super) fn state(&self, proved: Proved<'_>) -> BindingState {
        let (declared, proved) = match self {
            Self::None => return BindingState::NotDeclared,
            Self::Certificate(declared) => (declared, proved.certificate),
            Self::Dpop(declared) => (declared, proved.key),
        };
        match proved {
            Some(proved) if proved == declared => BindingState::Proved,
            Some(_) => BindingState::Mismatch,
            None => BindingState::Missing,
        }
    }

    /// The kind and the thumbprint of the key.
    pub(super) fn key(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::None => None,
            Self::Certificate(thumbprint) => Some(("x5t", thumbprint)),
            Self::Dpop(thumbprint) => Some(("jkt", thumbprint)),
        }
    }

    /// The device that holds the key.
    pub(super) fn device(&self) -> Option<DeviceId> {
        let (kind, thumbprint) = self.key()?;
        DeviceId::new(format!("{kind}:{thumbprint}")).ok()
    }
}
