//! What the `state` chain says: every fact that must not be lost, as one enum with one version.

use std::collections::BTreeSet;

use countersign_risk::SessionTag;
use countersign_risk::pointer::PointerLesson;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{
    Acr, CeremonyId, CredentialId, DeviceId, Digest, GrantId, Host, Revision, SessionId, SubjectId, Tenant, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::learning::LearnedEvent;

/// One fact. Names its tenant, always.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the vocabulary; the variants say what happened")]
pub enum StateEvent {
    /// A passkey was enrolled. Single-use: a credential id is registered once in a tenant.
    CredentialAdded { subject: SubjectId, credential: StoredCredential },
    /// A passkey's counter or label changed. The subject must own it.
    CredentialUpdated { subject: SubjectId, credential: StoredCredential },
    /// A passkey was withdrawn.
    CredentialRemoved { subject: SubjectId, id: CredentialId, by: String, at: Timestamp },
    /// An operator let a subject enrol; only the digest of the code is kept. Single-use.
    EnrollCodeIssued { code: Digest, subject: SubjectId, expires: Timestamp, by: String },
    /// The code was used. Single-use, before it expires, by its subject.
    EnrollCodeSpent { code: Digest, subject: SubjectId, at: Timestamp },
    /// A ceremony was finished. Single-use.
    CeremonySpent { ceremony: CeremonyId, subject: SubjectId, credential: Option<CredentialId>, at: Timestamp },
    /// A finished ceremony left a grant. Single-use: a secret is granted once.
    GrantCreated { grant: GrantRecord },
    /// Something is no longer believed.
    Revoked { target: RevocationTarget, at: Timestamp, by: String, reason: String },
    /// A revocation was taken back.
    Unrevoked { target: RevocationTarget, at: Timestamp, by: String },
    /// Step-up is closed for a while.
    Locked { target: LockTarget, until: Timestamp },
    /// A verified request taught the subject's baseline.
    Learned { subject: SubjectId, event: LearnedEvent },
    /// A step-up taught how the subject moves the pointer.
    PointerLearned { subject: SubjectId, session: SessionTag, lesson: Box<PointerLesson>, at: Timestamp },
    /// An operator taught the subject's baseline from an identity provider's log. What was more than a day ago does not wait to be learned.
    PastImported { subject: SubjectId, events: Vec<LearnedEvent>, by: String, at: Timestamp },
    /// The inventory knows a device.
    DeviceUpserted { tenant: Tenant, device: DeviceId, record: DeviceRecord, by: String, at: Timestamp },
    /// The directory knows a user, by the name that policies see.
    UserUpserted { tenant: Tenant, name: String, record: RoleRecord, by: String, at: Timestamp },
    /// A cookie session of a protected host belongs to a subject.
    SessionLinked { tenant: Tenant, host: Host, cookie: Digest, subject: SubjectId, claims: Value, expires: Timestamp },
    /// A policy revision became active. A trial that was under way is over; what was held is so no longer, where it is this content.
    Activated { tenant: Tenant, activation: Activation },
    /// A candidate is tried beside the active revision. It takes the place of one that was tried before.
    TrialBegun { tenant: Tenant, trial: Trial },
    /// The candidate that is tried came further.
    TrialMoved { tenant: Tenant, digest: Digest, stage: Stage, by: String, at: Timestamp },
    /// The candidate that was tried did not become active. Where it is held, it is not taken again by itself.
    TrialEnded { tenant: Tenant, digest: Digest, held: bool, by: String, at: Timestamp, why: String },
    /// A subject passes by the emergency path for a while.
    BreakGlass { subject: SubjectId, expires: Timestamp, by: String, reason: String },
    /// The clock of this node had reached this instant. It never moves back.
    ClockMark { tenant: Tenant, at: Timestamp },
    /// The store was opened for the `n`th time: part of every decision id.
    Incarnation { n: u64, at: Timestamp },
}

/// An enrolled passkey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCredential {
    /// The WebAuthn credential id.
    pub id: CredentialId,
    /// What the step-up crate needs to verify an assertion. Opaque here.
    pub passkey: Value,
    /// The name that its owner sees.
    pub label: String,
    /// When it was enrolled.
    pub created: Timestamp,
    /// Whether it may be copied to other devices.
    pub backup_eligible: bool,
    /// The last signature counter.
    pub counter: u32,
}

/// What a finished ceremony leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    /// Its name.
    pub id: GrantId,
    /// Whose it is; it counts for nobody else.
    pub subject: SubjectId,
    /// The digest of the secret that the performing browser holds.
    pub secret: Digest,
    /// The session in which it was demanded.
    pub session: SessionId,
    /// The passkey that was used.
    pub credential: CredentialId,
    /// The level that was reached.
    pub acr: Acr,
    /// The digests of the evidence that it answers.
    pub answers: BTreeSet<Digest>,
    /// When the ceremony was finished.
    pub created: Timestamp,
    /// When it stops to count.
    pub expires: Timestamp,
}

/// What a revocation names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the vocabulary")]
pub enum RevocationTarget {
    /// Everything of a subject.
    Subject(SubjectId),
    /// One session.
    Session { tenant: Tenant, session: SessionId },
    /// One token; forgotten some time after it would have expired anyway.
    Token { tenant: Tenant, token: TokenName, expires: Timestamp },
    /// One device.
    Device { tenant: Tenant, device: DeviceId },
}

/// How a token is named: never by its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the vocabulary")]
pub enum TokenName {
    /// The `jti` is unique for one issuer only.
    Jti { iss: String, jti: String },
    /// The digest of the whole token.
    Digest(Digest),
}

/// What a lock closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the vocabulary")]
pub enum LockTarget {
    /// All sessions of a subject.
    Subject(SubjectId),
    /// One session.
    Session { tenant: Tenant, session: SessionId },
}

/// What the inventory says about a device; absent is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// Whether it meets the rules.
    pub compliant: Option<bool>,
    /// Whether it is managed.
    pub managed: Option<bool>,
    /// The name that people see.
    pub label: Option<String>,
}

/// What the directory says about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRecord {
    /// The one role of the simple policies.
    pub role: Option<String>,
    /// All roles.
    pub roles: Vec<String>,
}

/// A policy revision that became active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenActivation")]
pub struct Activation {
    /// Which revision.
    pub revision: Revision,
    /// The digest of its content.
    pub digest: Digest,
    /// Where it comes from.
    pub origin: Origin,
    /// Who activated it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, where it is no ordinary step forward: a rollback says it here.
    pub why: Option<String>,
    /// The content that this one took the place of for good: the source may go on offering it, and it is not taken again by itself.
    pub instead_of: Option<Digest>,
}

/// An activation as it may have been written: before it said where it comes from, it named a signer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenActivation {
    revision: Revision,
    digest: Digest,
    origin: Option<Origin>,
    signer: Option<String>,
    by: String,
    at: Timestamp,
    why: Option<String>,
    instead_of: Option<Digest>,
}

impl From<WrittenActivation> for Activation {
    fn from(written: WrittenActivation) -> Self {
        let WrittenActivation { revision, digest, origin, signer, by, at, why, instead_of } = written;
        let origin = origin.unwrap_or_else(|| Origin { signer, ..Origin::default() });
        Self { revision, digest, origin, by, at, why, instead_of }
    }
}

/// A policy revision that is tried before it becomes active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Which revision.
    pub revision: Revision,
    /// The digest of its content.
    pub digest: Digest,
    /// Where it comes from.
    pub origin: Origin,
    /// Who began.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// Since when.
    pub stage_at: Timestamp,
}

/// How far a candidate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is asked, and answers nobody.
    Shadow,
    /// It answers so many subjects of a hundred.
    Canary(u8),
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shadow => f.write_str("shadowed"),
            Self::Canary(percent) => write!(f, "canary at {percent} %"),
        }
    }
}

/// Where a policy revision comes from, as its source tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What its source calls it: a commit, or the revision of a bundle. Nothing for a folder.
    pub name: Option<String>,
    /// Whose signature held.
    pub signer: Option<String>,
    /// Who wrote it, by their own word.
    pub author: Option<String>,
    /// What they said of it, in one line.
    pub title: Option<String>,
}

impl RevocationTarget {
    /// The tenant of the target.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        match self {
            Self::Subject(subject) => &subject.tenant,
            Self::Session { tenant, .. } | Self::Token { tenant, .. } | Self::Device { tenant, .. } => tenant,
        }
    }
}

/// One frame of the `state` chain: events that happen together or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateRecord {
    v: Version,
    pub(crate) events: Vec<StateEvent>,
}

/// The one version of a record that this build reads. A later one is refused, not guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct Version;

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

impl TryFrom<u32> for Version {
    type Error = String;
    fn try_from(version: u32) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("record version {version} is not known")) }
    }
}

/// How large and deep a record may be.
pub(crate) const RECORD: Limits = Limits { bytes: 1024 * 1024, depth: 40, values: 100_000 };

impl StateRecord {
    /// The payload of a frame, and the record as a reader of that payload will see it.
    ///
    /// INVARIANT: live and replayed records are folded from the same bytes, so they cannot differ.
    pub(crate) fn encode(events: Vec<StateEvent>) -> Result<(Vec<u8>, Self), strict::StrictError> {
        let payload = serde_json::to_vec(&Self { v: Version, events })?;
        let record = Self::decode(&payload)?;
        Ok((payload, record))
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, strict::StrictError> {
        strict::from_slice(payload, RECORD)
    }
}
