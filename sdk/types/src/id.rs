//! Names of things. Each is opaque text (or a digest) with a bound on its length; equality is byte equality.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty text names nothing.
    #[error("identifier is empty")]
    Empty,
    /// Longer than the bound of its kind.
    #[error("identifier is longer than {0} bytes")]
    TooLong(usize),
    /// A control character would let a name forge a log line or a header.
    #[error("identifier contains a control character")]
    Control,
    /// Not of the form that this kind wants.
    #[error("identifier has the wrong form")]
    Form,
}

fn bounded(text: String, max: usize) -> Result<String, IdError> {
    match () {
        () if text.is_empty() => Err(IdError::Empty),
        () if text.len() > max => Err(IdError::TooLong(max)),
        () if text.chars().any(char::is_control) => Err(IdError::Control),
        () => Ok(text),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest text that is accepted, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Takes a text as a name.
            ///
            /// # Errors
            /// When it is empty, too long, or contains a control character.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                bounded(text.into(), Self::MAX_LEN).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A tenant: part of every key from the first day.
    Tenant, 64
);
text_id!(
    /// A policy enforcement point, as the configuration names it.
    PepId, 64
);
text_id!(
    /// A session: `jkt:…`, `x5t:…`, `sid:…`, `cookie:…` or `device:…` (DESIGN: the first that is proved). Never a hash of the token.
    SessionId, 256
);
text_id!(
    /// A device: `browser:` and a digest of its cookie, `x5t:` and the thumbprint of its key, or its inventory name. It is no secret.
    DeviceId, 128
);
text_id!(
    /// A WebAuthn credential id, base64url without padding.
    CredentialId, 1400
);
text_id!(
    /// A policy revision: a git commit, a bundle revision or a content digest.
    Revision, 128
);
text_id!(
    /// A decision: node, incarnation and sequence number, as `node.incarnation.seq`.
    DecisionId, 96
);
text_id!(
    /// A step-up ceremony. Names the node that opened it, which alone may spend it.
    CeremonyId, 96
);
text_id!(
    /// A grant: what a finished ceremony leaves with the browser or key that performed it.
    GrantId, 96
);
text_id!(
    /// A host name in its one canonical form: lower case, no trailing dot, port only where it is not the scheme's own.
    Host, 260
);

/// A subject: tenant, issuer and the issuer's own name for it. Two issuers' `alice` are two subjects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubjectId {
    /// The tenant whose subject this is.
    pub tenant: Tenant,
    /// The `iss` of the token, or `pep:<id>` when an enforcement point asserted the subject.
    pub iss: String,
    /// The `sub` of the token.
    pub sub: String,
}

/// 32 bytes of BLAKE3, written as lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(IdError::Form);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| IdError::Form)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| IdError::Form)?;
        }
        Ok(Self(bytes))
    }
}
