//! The score and its reasons, as policies, records and people see them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A risk score: an integer from 0 (nothing unusual) to 100 (a hard rule). Never null, never absent, never a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct RiskScore(u8);

/// A number that is no risk score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("risk score {0} is above 100")]
pub struct RiskScoreError(u8);

impl RiskScore {
    /// No threat evidence at all.
    pub const MIN: Self = Self(0);
    /// A hard rule, or a score that could not be computed.
    pub const MAX: Self = Self(100);

    /// Takes a number from 0 to 100.
    ///
    /// # Errors
    /// When the number is above 100.
    pub const fn new(score: u8) -> Result<Self, RiskScoreError> {
        if score > 100 { Err(RiskScoreError(score)) } else { Ok(Self(score)) }
    }

    /// The nearest score to a number: below 0 is 0, above 100 is 100, and not-a-number is 100.
    #[must_use]
    pub fn clamp(score: f64) -> Self {
        if score.is_nan() {
            return Self::MAX;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 in the same expression")]
        Self(score.clamp(0.0, 100.0).round() as u8)
    }

    /// The score as a number from 0 to 100.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The band of the score.
    #[must_use]
    pub const fn level(self) -> RiskLevel {
        match self.0 {
            0..30 => RiskLevel::Low,
            30..70 => RiskLevel::Medium,
            _ => RiskLevel::High,
        }
    }
}

impl TryFrom<u8> for RiskScore {
    type Error = RiskScoreError;
    fn try_from(score: u8) -> Result<Self, RiskScoreError> {
        Self::new(score)
    }
}

impl From<RiskScore> for u8 {
    fn from(score: RiskScore) -> Self {
        score.0
    }
}

impl fmt::Display for RiskScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The band of a score: low below 30, high from 70 (the shipped calibration puts the 95th and 99.5th percentile of genuine use there).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    /// 0 to 29.
    Low,
    /// 30 to 69.
    Medium,
    /// 70 to 100.
    High,
}

/// A kind of evidence. The names are what policies, records and metrics show; the numbers are part of what a grant answers, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The network: address, prefix, autonomous system, country.
    Network = 0,
    /// Faster than anybody travels.
    Travel = 1,
    /// An hour of the day at which this subject is not seen.
    Hour = 2,
    /// The device: its cookie or its proved key.
    Device = 3,
    /// The client software: browser family, operating system, device class.
    Client = 4,
    /// How the pointer moves.
    Behavior = 5,
    /// A session that turns up in another network or client.
    Session = 6,
    /// Nothing verified is known of the subject.
    History = 7,
    /// A declared key binding that is absent or different.
    Binding = 8,
    /// An authenticator whose counter went backwards.
    Counter = 9,
    /// The posture of the device: not compliant, not managed.
    Posture = 10,
    /// Recent failures of this subject, address or device.
    Failures = 11,
    /// Revoked, or an event from a shared-signals peer.
    Revocation = 12,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 13] = [
        Self::Revocation,
        Self::Binding,
        Self::Counter,
        Self::History,
        Self::Travel,
        Self::Network,
        Self::Device,
        Self::Client,
        Self::Session,
        Self::Hour,
        Self::Behavior,
        Self::Posture,
        Self::Failures,
    ];

    /// Whether a passkey answers this evidence: a traveller with the right key is a traveller; a replayed key is not answered by another.
    #[must_use]
    pub const fn answered_by_passkey(self) -> bool {
        match self {
            Self::Network | Self::Travel | Self::Hour | Self::Device | Self::Client | Self::Behavior | Self::Session | Self::History => {
                true
            }
            Self::Binding | Self::Counter | Self::Posture | Self::Failures | Self::Revocation => false,
        }
    }

    /// The name that policies and records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Travel => "travel",
            Self::Hour => "hour",
            Self::Device => "device",
            Self::Client => "client",
            Self::Behavior => "behavior",
            Self::Session => "session",
            Self::History => "history",
            Self::Binding => "binding",
            Self::Counter => "counter",
            Self::Posture => "posture",
            Self::Failures => "failures",
            Self::Revocation => "revocation",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One part of a score. The points of all reasons add up to the score exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of evidence.
    pub signal: Signal,
    /// Points of the score that it contributes; zero for familiar evidence.
    pub points: i8,
    /// One sentence for people, without raw addresses.
    pub text: String,
}
