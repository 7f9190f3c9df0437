//! Everything that decides and that is about no single subject, as one signed document: what an application or an edge needs to decide in-process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use countersign_risk::Weights;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Consistency, Ladder, Millis, Revision, RiskScore, Seconds, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claimed::ClaimMap;
use crate::identify::{Issuers, ProofRules};
use crate::keys::{NamedKey, SignatureError};
use crate::policy::{MAX_FILES, Policy, PolicyError, PolicySource};
use crate::request::{Pep, RequestRules};
use crate::signing::{SigningError, SigningKey};
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// The `typ` of the signed document: no other document of ours, and no token, has it.
pub const TYP: &str = "countersign-snapshot+jwt";
/// The largest document, as text.
pub const LONGEST: usize = 32 * 1024 * 1024;
/// What its JSON may be.
const LIMITS: Limits = Limits { bytes: 24 * 1024 * 1024, depth: 64, values: 2_000_000 };
/// The form that this version reads and writes.
const FORMAT: u32 = 1;

/// What is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    format: u32,
    /// Whose it is.
    pub tenant: Tenant,
    /// The enforcement point that it is for, and what that may state.
    pub pep: Pep,
    /// The name of the policy revision.
    pub revision: Revision,
    /// The policy: files, data and package.
    pub policy: PolicySource,
    /// The weights of the risk model.
    pub weights: Weights,
    /// The order of assurance levels.
    pub ladder: Ladder,
    /// How old a proof may be where the policy does not say.
    pub max_age: Seconds,
    /// The time that one entry point of the policy may take.
    pub budget_ms: Millis,
    /// How requests are read.
    pub rules: RequestRules,
    /// Whose tokens are taken, with their keys.
    pub issuers: Issuers,
    /// What claims stand in for, by issuer.
    pub claims: BTreeMap<String, ClaimMap>,
    /// What DPoP proofs must be.
    pub proofs: ProofRules,
    /// The types of obligations that an answer may carry.
    pub obligations: BTreeSet<String>,
    /// What an edge may decide by itself.
    pub edge: EdgeTerms,
    /// How much of the log it was made from.
    pub consistency: Option<Consistency>,
    /// The life of the server that made it, as its watch names it; `None` where none did. An edge takes facts of this life only.
    pub server: Option<u64>,
    /// When it was made: of two documents the later one counts.
    pub made: Timestamp,
    /// From when on it is nothing.
    pub expires: Timestamp,
}

/// What an edge may decide by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeTerms {
    /// Only with less risk than this.
    pub risk_below: RiskScore,
    /// Never these actions.
    pub never: BTreeSet<String>,
    /// No allow without room for its record.
    pub audit_required: bool,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// It is not signed by the key that was given, or not as a snapshot.
    #[error("snapshot is not signed as it must be: {0}")]
    Signature(#[from] SignatureError),
    /// It is not of its form.
    #[error("snapshot cannot be read: {0}")]
    Form(#[from] strict::StrictError),
    /// A later version wrote it.
    #[error("snapshot is of form {0}, which is not known here")]
    Format(u32),
    /// Something in it is beyond its bounds.
    #[error("snapshot is refused: {0}")]
    Bounds(&'static str),
    /// Its time is over, or has not come.
    #[error("snapshot is not valid now")]
    Expired,
    /// The policy in it is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// What a document is made of, beside its form.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Whose it is.
    pub tenant: Tenant,
    /// The enforcement point that it is for.
    pub pep: Pep,
    /// How requests are read.
    pub rules: RequestRules,
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// What claims stand in for, by issuer.
    pub claims: BTreeMap<String, ClaimMap>,
    /// What DPoP proofs must be.
    pub proofs: ProofRules,
    /// The types of obligations that an answer may carry.
    pub obligations: BTreeSet<String>,
    /// What an edge may decide by itself.
    pub edge: EdgeTerms,
    /// How much of the log it was made from.
    pub consistency: Option<Consistency>,
    /// The life of the server that makes it.
    pub server: Option<u64>,
    /// When it is made.
    pub made: Timestamp,
    /// How long it is good.
    pub life: Seconds,
}

impl Sealed {
    /// The document of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, parts: Parts) -> Self {
        let Parts { tenant, pep, rules, issuers, claims, proofs, obligations, edge, consistency, server, made, life } = parts;
        Self {
            format: FORMAT,
            tenant,
            pep,
            revision: snapshot.revision.clone(),
            policy: snapshot.policy.source().clone(),
            weights: snapshot.weights.clone(),
            ladder: snapshot.ladder.clone(),
            max_age: snapshot.max_age,
            budget_ms: Millis(u64::try_from(snapshot.budget.as_millis()).unwrap_or(u64::MAX)),
            rules,
            issuers,
            claims,
            // Nonces are one process's own.
            proofs: ProofRules { nonces: None, ..proofs },
            obligations,
            edge,
            consistency,
            server,
            made,
            expires: made.after(life),
        }
    }

    /// The same, made at no time: what two documents are compared by.
    #[must_use]
    pub fn timeless(&self) -> Self {
        Self { made: Timestamp(0), expires: Timestamp(0), consistency: None, ..self.clone() }
    }

    /// Signs it.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        key.sign_typed(TYP, self)
    }

    /// Reads a document, if this key signed it. No key is ever taken from the document.
    ///
    /// # Errors
    /// When it is not signed by the key, not of its form, out of bounds, or not valid now.
    pub fn open(text: &str, key: &NamedKey, now: Timestamp) -> Result<Self, SealedError> {
        let payload = key.verify_typed(text.trim_end(), TYP, LONGEST)?;
        let sealed: Self = strict::from_slice(&payload, LIMITS)?;
        match () {
            () if sealed.format != FORMAT => Err(SealedError::Format(sealed.format)),
            () if sealed.policy.files.len() > MAX_FILES => Err(SealedError::Bounds("it has too many policy files")),
            () if sealed.weights.validate().is_err() => Err(SealedError::Bounds("its weights are out of bounds")),
            () if !(1..=10_000).contains(&sealed.budget_ms.0) => Err(SealedError::Bounds("its time for a policy is out of bounds")),
            () if !sealed.is_valid(now) => Err(SealedError::Expired),
            () => Ok(sealed),
        }
    }

    /// Whether it is good at this time. A clock that is a little behind the maker's is no reason against it.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires && self.made <= now.after(CLOCKS_DIFFER)
    }

    /// The policy, through the static checks of every policy, and what decides with it. Needs a large stack, as deciding does.
    ///
    /// # Errors
    /// When the policy is refused.
    pub fn compile(&self) -> Result<Snapshot, PolicyError> {
        Ok(Snapshot {
            weights: self.weights.clone(),
            ladder: self.ladder.clone(),
            max_age: self.max_age,
            budget: Duration::from_millis(self.budget_ms.0),
            ..Snapshot::new(self.revision.clone(), Policy::compile(&self.policy)?)
        })
    }
}

/// How far the clocks of maker and reader may differ.
const CLOCKS_DIFFER: Seconds = Seconds(60);
