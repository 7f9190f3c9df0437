//! What can go wrong, and who is at fault.

use countersign_sdk_types::{Acr, CredentialId, Fault};
use webauthn_rs::prelude::WebauthnError;

use crate::response::Refusal;
use crate::secret::NoEntropy;
use crate::table::Full;

/// Why a step of a ceremony is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepUpError {
    /// Nothing of this name is open: it never was, it is spent, or it has expired.
    #[error("step-up is unknown, spent or expired")]
    Unknown,
    /// On another host than the one that denied the request.
    #[error("step-up belongs to another host")]
    OtherHost,
    /// In another browser than the one that opened the ceremony.
    #[error("step-up belongs to another browser")]
    OtherBrowser,
    /// The subject has no passkey that was enrolled before the demand and reaches the level.
    #[error("no enrolled passkey reaches the demanded level")]
    NotEnrolled,
    /// No passkey proves this level.
    #[error("assurance level `{0}` cannot be reached by a passkey")]
    Level(Acr),
    /// Where to return is not an absolute URL of moderate length.
    #[error("address to return to is not an absolute http or https URL")]
    ReturnTo,
    /// The name of the account is empty or too long.
    #[error("name of the account is empty or too long")]
    AccountName,
    /// More passkeys than one subject may have.
    #[error("subject has too many passkeys")]
    TooManyPasskeys,
    /// The name of the node cannot begin the id of a ceremony.
    #[error("name of the node must be 1 to 52 letters, digits, `.`, `-` or `_`")]
    Node,
    /// The bound on open step-ups is reached.
    #[error("too many step-ups are open")]
    Full,
    /// A stored passkey is not what was once stored.
    #[error("stored passkey cannot be read")]
    Unreadable,
    /// The library makes no challenge.
    #[error("challenge cannot be made")]
    NoChallenge,
    /// The system gave no entropy.
    #[error("the system gave no entropy")]
    NoEntropy,
}

impl StepUpError {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unknown | Self::OtherHost | Self::OtherBrowser | Self::NotEnrolled => Fault::Unauthenticated,
            Self::Level(_) => Fault::Policy,
            Self::AccountName | Self::TooManyPasskeys => Fault::Malformed,
            Self::ReturnTo | Self::Node | Self::Full | Self::Unreadable | Self::NoChallenge | Self::NoEntropy => Fault::Unavailable,
        }
    }
}

impl From<Full> for StepUpError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<NoEntropy> for StepUpError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// Why a response of an authenticator proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing of this name is open: it never was, it is spent, or it has expired.
    #[error("ceremony is unknown, spent or expired")]
    Unknown,
    /// No challenge is waiting for an answer: each takes one answer, also a wrong one.
    #[error("no challenge is waiting for an answer")]
    NoChallenge,
    /// Not well formed, or not meant for us.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The answer to another challenge.
    #[error("the response answers another challenge")]
    OtherChallenge,
    /// A passkey that was not asked for: somebody else's, too weak, or too young.
    #[error("the passkey was not asked for")]
    NotAllowed,
    /// Signed for another relying party.
    #[error("the response was made for another relying party")]
    OtherRelyingParty,
    /// Nobody touched the authenticator.
    #[error("no user was present")]
    NotPresent,
    /// The authenticator did not verify its user.
    #[error("the user was not verified")]
    NotVerified,
    /// Whether the passkey may be backed up has changed, or is contradictory.
    #[error("the backup state of the passkey has changed")]
    BackupChanged,
    /// The counter did not increase: there may be two of this authenticator. The signature is good.
    #[error("the counter of the passkey went backwards")]
    CounterRegressed {
        /// The passkey.
        credential: CredentialId,
    },
    /// The passkey is one of those that the subject already has.
    #[error("the passkey is already enrolled")]
    AlreadyEnrolled,
    /// The signature, or the attested key, does not hold.
    #[error("the response does not verify")]
    Unverified,
    /// The verified passkey cannot be written down.
    #[error("the passkey cannot be stored")]
    Unstorable,
}

impl Failure {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::Malformed,
            Self::Unstorable => Fault::Unavailable,
            _ => Fault::Unauthenticated,
        }
    }

    /// What the library found in the response that names this credential.
    pub(crate) fn of(error: &WebauthnError, credential: CredentialId) -> Self {
        use WebauthnError as E;
        match error {
            E::MismatchedChallenge => Self::OtherChallenge,
            E::CredentialNotFound => Self::NotAllowed,
            E::InvalidRPIDHash => Self::OtherRelyingParty,
            E::UserNotPresent => Self::NotPresent,
            E::UserNotVerified => Self::NotVerified,
            E::CredentialBackupEligibilityInconsistent | E::CredentialMayNotBeHardwareBound => Self::BackupChanged,
            E::CredentialPossibleCompromise => Self::CounterRegressed { credential },
            _ => Self::Unverified,
        }
    }
}
