//! A corpus: one event a line, JSON, gzip or plain, read as a stream with a bound on each line.

use std::io::{BufRead as _, Read as _};
use std::path::Path;

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, PlaceRecord, Timestamp};
use serde::{Deserialize, Deserializer};

use crate::files::Stream;

/// The longest line.
const LONGEST: u64 = 16 * 1024;
const EVENT: Limits = Limits { bytes: LONGEST as usize, depth: 4, values: 100 };

/// Why a corpus was refused.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be read, or is no gzip where it says so.
    #[error("the corpus cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line is no event.
    #[error("line {line} is no event: {why}")]
    Event {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// There are not that many events.
    #[error("there is no event {asked}: the corpus holds {events}, which are numbered from 0")]
    Short {
        /// Which was asked for, from 0.
        asked: usize,
        /// How many there are.
        events: usize,
    },
    /// A name in an event is none.
    #[error("a name in an event is refused: {0}")]
    Name(String),
}

/// One access event with its label.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// When, RFC 3339.
    pub t: Instant,
    /// Who.
    pub subject: String,
    /// In which session.
    pub session: String,
    /// From where.
    pub ip: String,
    /// By what.
    pub user_agent: String,
    /// On which device.
    #[serde(default)]
    pub device: Device,
    /// The key that the token declares.
    pub cnf: Option<String>,
    /// What a database says of the address.
    #[serde(default)]
    pub place: PlaceOfEvent,
    /// How the event was authenticated.
    pub auth: Login,
    /// `genuine`, or the attacker. For the judge.
    pub label: String,
    /// What kind of event it is. For the judge.
    pub kind: String,
}

/// An instant as RFC 3339 writes it.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(Timestamp(at.as_millisecond())))
    }
}

/// How the device shows itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Device {
    /// A cookie, which can be copied.
    pub cookie: Option<String>,
    /// A key that was proved on this request.
    pub key: Option<String>,
}

/// How an event was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Phishing-resistant.
    Phr,
    /// Two factors.
    Mfa,
    /// A password.
    Pwd,
    /// The bearer token of a session that began earlier.
    None,
}

/// What a database says of an address; null throughout for private ones. Who runs the network is not read: in the field most lists do not say.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PlaceOfEvent {
    country: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    radius_km: Option<f64>,
    timezone: Option<String>,
    asn: Option<u32>,
}

impl PlaceOfEvent {
    pub(super) fn record(&self) -> Option<PlaceRecord> {
        if self.country.is_none() && self.asn.is_none() && self.lat.is_none() {
            return None;
        }
        Some(PlaceRecord {
            country: self.country.as_deref().and_then(Country::new),
            at: self.lat.zip(self.lon).map(|(lat, lon)| Coordinates { lat, lon }),
            radius: self.radius_km.map(Kilometers),
            time_zone: self.timezone.clone(),
            asn: self.asn.map(Asn),
            ..PlaceRecord::default()
        })
    }
}

/// The events of a file, one after the other.
pub struct Lines {
    file: Stream,
    line: u64,
}

impl Lines {
    /// Opens a file; what ends in `.gz` is gzip.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self { file: Stream::open(path)?, line: 0 })
    }

    /// How many bytes of the file itself are read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.file.bytes_read()
    }

    /// The next event; none at the end.
    ///
    /// # Errors
    /// When the file breaks off, or a line is too long or no event.
    pub fn next_event(&mut self) -> Result<Option<Event>, CorpusError> {
        let mut line = Vec::new();
        let count = self.file.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        self.line += 1;
        let refused = |why: String| CorpusError::Event { line: self.line, why };
        let event: Event = strict::from_slice(line.trim_ascii_end(), EVENT).map_err(|error| refused(error.to_string()))?;
        if !super::is_label(&event.label) {
            return Err(refused(format!("label `{}` is not known", event.label.escape_debug())));
        }
        Ok(Some(event))
    }
}
