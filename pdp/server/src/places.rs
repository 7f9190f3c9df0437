//! Where addresses are, by databases in MaxMind's City and ASN layouts. A database that is missing, stale or broken gives a place that is not known, and says why.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, Place, PlaceGap, PlaceRecord, Seconds, Timestamp};
use maxminddb::Reader;
use serde::Deserialize;

use crate::files;

/// What is asked where an address is.
#[derive(Debug)]
pub struct Places(Kind);

enum Kind {
    Databases(Databases),
    Table(Box<Table>),
}

type Table = dyn Fn(IpAddr) -> Option<PlaceRecord> + Send + Sync;

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Databases(databases) => databases.fmt(f),
            Self::Table(_) => f.write_str("Table"),
        }
    }
}

/// The configured databases, swapped whole when a file changes.
#[derive(Debug)]
struct Databases {
    city: Source,
    asn: Source,
    max_age: Option<Seconds>,
}

#[derive(Debug)]
struct Source {
    path: Option<PathBuf>,
    loaded: ArcSwap<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    reader: Option<Reader<Vec<u8>>>,
    changed: Option<SystemTime>,
}

/// Our own small reading of a City record: decoding only what is used takes a third of the time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct City {
    country: Named,
    city: Named,
    location: Location,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    iso_code: Option<String>,
    names: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
    time_zone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct System {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

/// Files larger than this are no place database.
const LARGEST: u64 = 512 * 1024 * 1024;

impl Source {
    fn new(path: Option<PathBuf>) -> Self {
        let source = Self { path, loaded: ArcSwap::default() };
        source.refresh();
        source
    }

    /// Reads the file again when it changed. A file that cannot be read leaves the last good one in place.
    fn refresh(&self) {
        let Some(path) = &self.path else { return };
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if changed.is_none() || changed == self.loaded.load().changed {
            return;
        }
        match open(path) {
            Ok(reader) => self.loaded.store(std::sync::Arc::new(Loaded { reader: Some(reader), changed })),
            Err(error) => tracing::warn!(file = %path.display(), error, "place database was not loaded"),
        }
    }
}

/// Reads a database into memory: a mapped file that is truncated would end the process. It must answer a look-up before it is believed.
fn open(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    let bytes = files::read(path, LARGEST).map_err(|error| error.to_string())?;
    let reader = Reader::from_source(bytes).map_err(|error| error.to_string())?;
    reader.lookup(IpAddr::from([192, 0, 2, 1])).map_err(|error| error.to_string())?;
    Ok(reader)
}

impl Places {
    /// Opens the configured databases.
    #[must_use]
    pub fn new(city: Option<PathBuf>, asn: Option<PathBuf>, max_age: Option<Seconds>) -> Self {
        Self(Kind::Databases(Databases { city: Source::new(city), asn: Source::new(asn), max_age }))
    }

    /// A made-up table, for the demonstration.
    pub fn table(table: impl Fn(IpAddr) -> Option<PlaceRecord> + Send + Sync + 'static) -> Self {
        Self(Kind::Table(Box::new(table)))
    }

    /// Reads changed files again.
    pub fn refresh(&self) {
        if let Kind::Databases(databases) = &self.0 {
            databases.city.refresh();
            databases.asn.refresh();
        }
    }

    /// Where an address is.
    #[must_use]
    pub fn place(&self, address: Option<IpAddr>, now: Timestamp) -> Place {
        let Some(address) = address else { return Place::Unknown(PlaceGap::NoAddress) };
        match &self.0 {
            Kind::Databases(databases) => databases.place(address, now),
            Kind::Table(table) => table(address).map_or(Place::Unknown(PlaceGap::NotFound), Place::Known),
        }
    }
}

impl Databases {
    fn place(&self, address: IpAddr, now: Timestamp) -> Place {
        let loaded = self.city.loaded.load();
        let Some(reader) = &loaded.reader else { return Place::Unknown(PlaceGap::NoDatabase) };
        let built = Timestamp::from_secs(i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX));
        if self.max_age.is_some_and(|most| now.since(built) > most.into()) {
            return Place::Unknown(PlaceGap::Stale);
        }
        let Some(city) = decode::<City>(reader, address) else { return Place::Unknown(PlaceGap::NotFound) };
        let system = self.asn.loaded.load().reader.as_ref().and_then(|reader| decode::<System>(reader, address)).unwrap_or_default();
        let on_globe = |lat: &f64, lon: &f64| (-90.0..=90.0).contains(lat) && (-180.0..=180.0).contains(lon);
        let at = city.location.latitude.zip(city.location.longitude).filter(|(lat, lon)| on_globe(lat, lon));
        Place::Known(PlaceRecord {
            country: city.country.iso_code.as_deref().and_then(Country::new),
            city: city.city.names.get("en").cloned(),
            at: at.map(|(lat, lon)| Coordinates { lat, lon }),
            radius: city.location.accuracy_radius.map(|radius| Kilometers(f64::from(radius))),
            time_zone: city.location.time_zone,
            asn: system.autonomous_system_number.map(Asn),
            operator: system.autonomous_system_organization,
            anonymizer: None,
        })
    }
}

fn decode<'a, T: Deserialize<'a>>(reader: &'a Reader<Vec<u8>>, address: IpAddr) -> Option<T> {
    reader.lookup(address).ok()?.decode().ok().flatten()
}
