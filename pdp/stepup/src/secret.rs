//! Unguessable values of which only a hash is kept.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// The system gave no entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no entropy")]
pub struct NoEntropy;

/// 32 random bytes as base64url: a cookie, a code or an id that must not be guessed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A fresh secret.
    ///
    /// # Errors
    /// When the system gives no entropy.
    pub fn fresh() -> Result<Self, NoEntropy> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoEntropy)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, to be sent to its holder and kept nowhere.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be kept of it.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The BLAKE3 hash of a secret; equality takes the same time wherever two digests differ.
#[derive(Debug, Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of what somebody presents.
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(*blake3::hash(presented.as_bytes()).as_bytes())
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretDigest {}

impl Hash for SecretDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests;
