//! Levels of authentication assurance. An `acr` is opaque text (OpenID Connect Core §2); its order comes from a ladder, never from the text.

use serde::{Deserialize, Serialize};

use crate::IdError;

/// An authentication context class reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Acr(String);

impl Acr {
    /// Phishing-resistant (OpenID EAP ACR Values 1.0): a passkey with user verification.
    pub const PHR: &'static str = "phr";
    /// Phishing-resistant and hardware-protected: a passkey that cannot be backed up.
    pub const PHRH: &'static str = "phrh";

    /// Takes a text as a level.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds white space, quotes or control characters (it travels in `acr_values`, which is space-separated).
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        match () {
            () if text.is_empty() => Err(IdError::Empty),
            () if text.len() > 128 => Err(IdError::TooLong(128)),
            () if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',')) => Err(IdError::Form),
            () => Ok(Self(text)),
        }
    }

    /// The level `phr`.
    #[must_use]
    pub fn phr() -> Self {
        Self(Self::PHR.to_owned())
    }

    /// The level `phrh`.
    #[must_use]
    pub fn phrh() -> Self {
        Self(Self::PHRH.to_owned())
    }

    /// The level as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Acr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Acr {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<Acr> for String {
    fn from(acr: Acr) -> Self {
        acr.0
    }
}

/// The order of levels, from the least burdensome to the most. A level satisfies every level below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Acr>", into = "Vec<Acr>")]
pub struct Ladder(Vec<Acr>);

/// Why a list of levels is no ladder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// A ladder has one rung at least.
    #[error("no assurance level is listed")]
    Empty,
    /// A level is listed twice.
    #[error("assurance level `{0}` is listed twice")]
    Repeated(Acr),
}

impl Ladder {
    /// Orders levels, the least burdensome first.
    ///
    /// # Errors
    /// When the list is empty or repeats a level.
    pub fn new(levels: Vec<Acr>) -> Result<Self, LadderError> {
        if levels.is_empty() {
            return Err(LadderError::Empty);
        }
        for (at, level) in levels.iter().enumerate() {
            if levels.iter().take(at).any(|earlier| earlier == level) {
                return Err(LadderError::Repeated(level.clone()));
            }
        }
        Ok(Self(levels))
    }

    /// All levels, the least burdensome first.
    #[must_use]
    pub fn levels(&self) -> &[Acr] {
        &self.0
    }

    /// Every level that `reached` satisfies: itself and all below. A level that is not on the ladder satisfies nothing.
    #[must_use]
    pub fn satisfied_by(&self, reached: &Acr) -> &[Acr] {
        let rungs = self.0.iter().position(|level| level == reached).map_or(0, |at| at + 1);
        self.0.get(..rungs).unwrap_or_default()
    }
}

impl Default for Ladder {
    fn default() -> Self {
        Self(vec![Acr::phr(), Acr::phrh()])
    }
}

impl TryFrom<Vec<Acr>> for Ladder {
    type Error = LadderError;
    fn try_from(levels: Vec<Acr>) -> Result<Self, LadderError> {
        Self::new(levels)
    }
}

impl From<Ladder> for Vec<Acr> {
    fn from(ladder: Ladder) -> Self {
        ladder.0
    }
}
