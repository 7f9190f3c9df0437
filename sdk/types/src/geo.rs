//! Where an address is said to be, and how sure the database is of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A distance in kilometres.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kilometers(pub f64);

/// An autonomous system number (RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asn(pub u32);

/// An ISO 3166-1 alpha-2 country code in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads a two-letter code; anything else is not a country.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()])),
            _ => None,
        }
    }

    /// The two bytes of the code.
    #[must_use]
    pub const fn bytes(self) -> [u8; 2] {
        self.0
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

/// Text where people read, two bytes where it is stored.
impl Serialize for Country {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        if writer.is_human_readable() { writer.serialize_str(&self.to_string()) } else { self.0.serialize(writer) }
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let read = if reader.is_human_readable() {
            Self::try_from(String::deserialize(reader)?)
        } else {
            let [a, b] = <[u8; 2]>::deserialize(reader)?;
            Self::try_from(String::from_iter([char::from(a), char::from(b)]))
        };
        read.map_err(D::Error::custom)
    }
}

impl TryFrom<String> for Country {
    type Error = super::IdError;
    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::new(&code).ok_or(super::IdError::Form)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.to_string()
    }
}

/// A point on the globe, WGS 84, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Latitude, −90 to 90.
    pub lat: f64,
    /// Longitude, −180 to 180.
    pub lon: f64,
}

/// What a place database says of an address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaceRecord {
    /// The country, where the database names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The English name of the city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The point that the database gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Coordinates>,
    /// The radius that contains the address with 67 % confidence (GeoLite2 `accuracy_radius`); not a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<Kilometers>,
    /// The IANA time zone of the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The network that announces the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<Asn>,
    /// The name of that network's operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// True for networks known to be anonymisers or hosting; `None` when no list speaks of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymizer: Option<bool>,
}

/// Why there is no place. Unknown is a value: it never lowers a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceGap {
    /// The request carries no address that can be believed.
    NoAddress,
    /// A private, shared (CGNAT, RFC 6598), loopback or link-local address: "no location", which costs nothing.
    Private,
    /// No database is configured, or it could not be read.
    NoDatabase,
    /// The database is older than the configured age.
    Stale,
    /// The database does not know the address.
    NotFound,
}

/// Where an address is, or why that is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The database has a record.
    Known(PlaceRecord),
    /// There is no place, and this is why.
    Unknown(PlaceGap),
}

impl Place {
    /// The record, where there is one.
    #[must_use]
    pub const fn known(&self) -> Option<&PlaceRecord> {
        match self {
            Self::Known(record) => Some(record),
            Self::Unknown(_) => None,
        }
    }
}
