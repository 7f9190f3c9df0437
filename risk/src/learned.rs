//! What the journal keeps of a verified event.

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::signal::client::Client;
use crate::{Keyed, compact};

/// How an event was verified; says how much of it is learned, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// By a step-up with user verification: learned whole, at once.
    StepUp,
    /// By a login elsewhere that cannot be phished (`acr` `phr`): learned whole, after a day.
    PhishingResistant,
    /// By a login with a second factor that can be phished: half, after a day.
    SecondFactor,
    /// By a proved key at low risk: a quarter, after a day.
    BoundLowRisk,
}

impl Strength {
    /// What an event of this strength adds to a baseline.
    #[must_use]
    pub const fn weight(self) -> f32 {
        match self {
            Self::StepUp | Self::PhishingResistant => 1.0,
            Self::SecondFactor => 0.5,
            Self::BoundLowRisk => 0.25,
        }
    }

    /// Learned only after a day in which nobody complained.
    #[must_use]
    pub const fn waits(self) -> bool {
        !matches!(self, Self::StepUp)
    }
}

/// A verified event: keyed identifiers and coarse places, no address and no agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedEvent {
    /// When.
    pub at: Timestamp,
    /// How it was verified.
    pub strength: Strength,
    /// The address, of IPv6 its /64, keyed.
    pub host: Option<Keyed>,
    /// The network prefix, keyed.
    pub prefix: Option<Keyed>,
    /// The network's number.
    pub asn: Option<Asn>,
    /// The country.
    pub country: Option<Country>,
    /// The place, rounded to 0.1 degree.
    #[serde(with = "compact::point")]
    pub point: Option<Coordinates>,
    /// Its radius, in whole kilometres.
    #[serde(with = "compact::radius")]
    pub radius: Option<Kilometers>,
    /// Its IANA zone.
    pub time_zone: Option<String>,
    /// The client.
    pub client: Option<Client>,
    /// The device by its cookie, keyed.
    pub cookie: Option<Keyed>,
    /// The device by the key that it proved, keyed.
    pub key: Option<Keyed>,
    /// What the device looked like.
    pub fingerprint: Option<Fingerprint>,
    /// The TLS fingerprint, keyed.
    pub tls: Option<Keyed>,
    /// The session, so that revoking it takes back what waits.
    pub session: SessionTag,
    /// What the organisation may learn.
    pub shared: Shared,
}

/// What of an event can be compared with other subjects: keyed under the organisation's salt, and the subject itself under their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Whose event it was; names nobody once the subject's salt is destroyed.
    pub subject: Keyed,
    /// The network prefix.
    pub prefix: Option<Keyed>,
    /// The device, by the key that it proved or by its cookie.
    pub device: Option<Keyed>,
}

/// The first 32 bits of a session id's BLAKE3: what an issuer names a session by is random, so no salt is
/// needed, and a revocation can be matched without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionTag(pub u32);

impl SessionTag {
    /// Tags a session.
    #[must_use]
    pub fn of(session: &SessionId) -> Self {
        let digest = *blake3::Hasher::new_derive_key("countersign session tag 1").update(session.as_str().as_bytes()).finalize().as_bytes();
        let mut first = [0; 4];
        first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(u32::from_le_bytes(first))
    }
}
