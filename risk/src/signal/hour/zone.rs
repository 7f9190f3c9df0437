//! The names of time zones, and the half hour of the day that it is in them.

use countersign_sdk_types::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::HALF_HOURS;

/// The longest name; the longest of the IANA database has 32 bytes.
const LONGEST: usize = 32;

/// A name of the IANA database, or a fixed offset such as `+05:30`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct ZoneName(String);

impl ZoneName {
    pub(super) fn new(name: &str) -> Option<Self> {
        (name.len() <= LONGEST).then(|| Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ZoneName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name).ok_or("the name of a time zone has more than 32 bytes")
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

/// The zone of a name; none when nobody knows it.
pub(super) fn resolve(name: &str) -> Option<TimeZone> {
    const OFFSETS: DateTimeParser = DateTimeParser::new();
    if name.starts_with(['+', '-']) {
        return OFFSETS.parse_time_zone(name).ok();
    }
    jiff::tz::db().get(name).ok()
}

/// The half hour of the day, from 0, at an instant in a zone.
pub(super) fn half_hour(at: Timestamp, zone: &TimeZone) -> usize {
    let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let local = instant.as_second() + i64::from(zone.to_offset(instant).seconds());
    usize::try_from(local.rem_euclid(86_400) / 1_800).unwrap_or(0) % HALF_HOURS
}
