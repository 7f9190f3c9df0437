//! Identifiers as they are kept: a keyed hash under a per-subject salt, so that deleting the salt erases what they meant.

use countersign_sdk_types::DeviceId;
use serde::{Deserialize, Serialize};

/// The secret under which a subject's identifiers are hashed. Never serialized, never shown.
#[derive(Clone)]
pub struct SubjectSalt([u8; 32]);

impl SubjectSalt {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first 32 bits of BLAKE3 keyed with the salt, over the kind and the value.
    #[must_use]
    pub fn key(&self, kind: &str, value: &[u8]) -> Keyed {
        Keyed(u32::from_le_bytes(self.keyed(kind, value)))
    }

    /// A device as baselines know it.
    #[must_use]
    pub fn device(&self, device: &DeviceId) -> Keyed {
        self.key("device", device.as_str().as_bytes())
    }

    /// 16 bytes that stand for the subject towards others, such as the user handle of WebAuthn, and name nobody without the salt.
    #[must_use]
    pub fn handle(&self, kind: &str) -> [u8; 16] {
        self.keyed(kind, &[])
    }

    fn keyed<const N: usize>(&self, kind: &str, value: &[u8]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(kind.as_bytes()).update(&[0]).update(value);
        let mut first = [0; N];
        hasher.finalize_xof().fill(&mut first);
        first
    }
}

impl std::fmt::Debug for SubjectSalt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectSalt(…)")
    }
}

/// The two secrets under which a sighting is keyed.
#[derive(Debug, Clone)]
pub struct Salts {
    /// The subject's: destroying it erases what was keyed with it.
    pub subject: SubjectSalt,
    /// The organisation's, for what is compared between subjects.
    pub organisation: SubjectSalt,
}

/// A keyed identifier: equal for equal values of one subject, meaningless without the salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keyed(pub u32);
