//! The value that says that an assertion was verified. Nobody outside this crate can make or copy one.

use std::sync::Arc;

use countersign_sdk_types::{Acr, CeremonyId, CredentialId, Timestamp};
use serde_json::Value;

use super::Demanded;
use crate::secret::SecretDigest;

/// A verified assertion. Only [`prove`](super::Ceremonies::prove) makes one, and it is good for one [`release`](super::Ceremonies::release).
#[derive(Debug)]
#[must_use]
pub struct Proved {
    pub(super) ceremony: CeremonyId,
    pub(super) demanded: Arc<Demanded>,
    pub(super) pre: SecretDigest,
    pub(super) at: Timestamp,
    pub(super) acr: Acr,
    pub(super) credential: CredentialId,
    pub(super) passkey: Value,
    pub(super) counter: u32,
    pub(super) backup_eligible: bool,
}

impl Proved {
    /// The ceremony, which is spent.
    #[must_use]
    pub const fn ceremony(&self) -> &CeremonyId {
        &self.ceremony
    }

    /// What was demanded.
    #[must_use]
    pub fn demanded(&self) -> &Demanded {
        &self.demanded
    }

    /// The passkey that was used.
    #[must_use]
    pub const fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// The passkey as it is to be stored from now on.
    #[must_use]
    pub const fn passkey(&self) -> &Value {
        &self.passkey
    }

    /// The counter as it is to be stored from now on.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Whether the passkey may be copied to other devices.
    #[must_use]
    pub const fn backup_eligible(&self) -> bool {
        self.backup_eligible
    }

    /// The level that was reached: `phrh` with a passkey that cannot be copied, else `phr`.
    #[must_use]
    pub const fn acr(&self) -> &Acr {
        &self.acr
    }

    /// When it was proved.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}
