//! Where addresses are, by databases in MaxMind's City and ASN layouts. A database that is missing, stale or broken gives a place that is not known, and says why.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use countersign_risk::distance;
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
    /// Another maker's: where the two disagree, neither is sure.
    second: Source,
    asn: Source,
    anonymous: Source,
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

/// The databases' files.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// In MaxMind's City layout.
    pub city: Option<PathBuf>,
    /// Another one in that layout, by another maker.
    pub second_city: Option<PathBuf>,
    /// In MaxMind's ASN layout.
    pub asn: Option<PathBuf>,
    /// In MaxMind's Anonymous IP layout.
    pub anonymous: Option<PathBuf>,
}

/// Our own small reading of a City record: decoding only what is used, in place, takes a fraction of the time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct City<'a> {
    #[serde(borrow)]
    country: Coded<'a>,
    #[serde(borrow)]
    city: Named<'a>,
    #[serde(borrow)]
    location: Location<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Coded<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    names: English<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct English<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location<'a> {
    latitude: Option<Number>,
    longitude: Option<Number>,
    accuracy_radius: Option<Number>,
    time_zone: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct System<'a> {
    autonomous_system_number: Option<Number>,
    autonomous_system_organization: Option<&'a str>,
}

/// A number of whatever width its maker chose: the format has six, and a reader that wants one of them refuses the whole record for another.
#[derive(Debug, Clone, Copy)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_i32<E>(self, number: i32) -> Result<Number, E> {
                Ok(Number(f64::from(number)))
            }
            fn visit_u32<E>(self, number: u32) -> Result<Number, E> {
                Ok(Number(f64::from(number)))
            }
            #[expect(clippy::cast_precision_loss, reason = "what is this large is no place, radius or network")]
            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
            fn visit_u16<E>(self, number: u16) -> Result<Number, E> {
                Ok(Number(f64::from(number)))
            }
            fn visit_f32<E>(self, number: f32) -> Result<Number, E> {
                Ok(Number(f64::from(number)))
            }
        }
        reader.deserialize_any(Any)
    }
}

impl Number {
    /// A whole number from 0 to 2³² − 1.
    fn whole(self) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range by the same line")]
        (0.0..=f64::from(u32::MAX)).contains(&self.0).then_some(self.0 as u32)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Anonymous {
    is_anonymous: bool,
    is_hosting_provider: bool,
}

/// Files larger than this are no place database.
const LARGEST: u64 = 512 * 1024 * 1024;

impl Source {
    fn new(path: Option<PathBuf>) -> Self {
        let source = Self { path, loaded: ArcSwap::default() };
        source.refresh();
        source
    }

    /// Reads the file again when it changed; true when it is another one now. A file that cannot be read leaves the last good one in place.
    fn refresh(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if changed.is_none() || changed == self.loaded.load().changed {
            return false;
        }
        match open(path) {
            Ok(reader) => {
                self.loaded.store(std::sync::Arc::new(Loaded { reader: Some(reader), changed }));
                true
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "place database was not loaded");
                false
            }
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
    pub fn new(files: Files, max_age: Option<Seconds>) -> Self {
        Self(Kind::Databases(Databases {
            city: Source::new(files.city),
            second: Source::new(files.second_city),
            asn: Source::new(files.asn),
            anonymous: Source::new(files.anonymous),
            max_age,
        }))
    }

    /// A made-up table, for the demonstration.
    pub fn table(table: impl Fn(IpAddr) -> Option<PlaceRecord> + Send + Sync + 'static) -> Self {
        Self(Kind::Table(Box::new(table)))
    }

    /// Reads changed files again; true when addresses may be elsewhere now.
    pub fn refresh(&self) -> bool {
        let Kind::Databases(databases) = &self.0 else { return false };
        let Databases { city, second, asn, anonymous, max_age: _ } = databases;
        let replaced = [city, second, asn, anonymous].map(Source::refresh);
        replaced.contains(&true)
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
        let is_stale = |reader: &Reader<Vec<u8>>| {
            let built = Timestamp::from_secs(i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX));
            self.max_age.is_some_and(|most| now.since(built) > most.into())
        };
        if is_stale(reader) {
            return Place::Unknown(PlaceGap::Stale);
        }
        let Some(city) = decode::<City<'_>>(reader, address) else { return Place::Unknown(PlaceGap::NotFound) };
        let (asn, anonymous) = (self.asn.loaded.load(), self.anonymous.loaded.load());
        let system = asn.reader.as_ref().and_then(|reader| decode::<System<'_>>(reader, address)).unwrap_or_default();
        // What the list does not name is not known to be anything: most exits are on no list.
        let listed = anonymous.reader.as_ref().filter(|reader| !is_stale(reader)).and_then(|reader| decode::<Anonymous>(reader, address));
        let second = self.second.loaded.load();
        let second = second.reader.as_ref().filter(|reader| !is_stale(reader)).and_then(|reader| decode::<City<'_>>(reader, address));
        let at = city.location.at();
        Place::Known(PlaceRecord {
            country: city.country.iso_code.and_then(Country::new),
            city: city.city.names.en.map(ToOwned::to_owned),
            at,
            radius: agreed(&city.location, second.as_ref().map(|second| &second.location)),
            time_zone: city.location.time_zone.map(ToOwned::to_owned),
            asn: system.autonomous_system_number.and_then(Number::whole).map(Asn),
            operator: system.autonomous_system_organization.map(ToOwned::to_owned),
            anonymizer: listed.map(|listed| listed.is_anonymous || listed.is_hosting_provider),
        })
    }
}

impl Location<'_> {
    fn at(&self) -> Option<Coordinates> {
        let at = self.latitude.zip(self.longitude).map(|(Number(lat), Number(lon))| Coordinates { lat, lon });
        at.filter(|at| (-90.0..=90.0).contains(&at.lat) && (-180.0..=180.0).contains(&at.lon))
    }
}

/// The radius of the first location, wide enough to take in the second where there is one.
fn agreed(first: &Location<'_>, second: Option<&Location<'_>>) -> Option<Kilometers> {
    let own = first.accuracy_radius.map(|Number(radius)| Kilometers(radius.max(0.0)));
    let Some((here, there)) = first.at().zip(second.and_then(Location::at)) else { return own };
    let Kilometers(apart) = distance(here, there);
    let Kilometers(radius) = own.unwrap_or(Kilometers(0.0));
    if apart > radius { Some(Kilometers(apart)) } else { own }
}

fn decode<'a, T: Deserialize<'a>>(reader: &'a Reader<Vec<u8>>, address: IpAddr) -> Option<T> {
    reader.lookup(address).ok()?.decode().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(lat: f64, lon: f64, radius: Option<u16>) -> Location<'static> {
        let radius = radius.map(|radius| Number(f64::from(radius)));
        Location { latitude: Some(Number(lat)), longitude: Some(Number(lon)), accuracy_radius: radius, time_zone: None }
    }

    #[test]
    fn databases_that_disagree_are_less_sure() {
        let paris = location(48.86, 2.35, Some(20));
        assert_eq!(agreed(&paris, None), Some(Kilometers(20.0)));
        assert_eq!(agreed(&paris, Some(&location(48.9, 2.4, Some(5)))), Some(Kilometers(20.0)), "within the radius");
        let Some(Kilometers(wide)) = agreed(&paris, Some(&location(45.76, 4.84, Some(5)))) else { panic!("no radius") };
        assert!((380.0..400.0).contains(&wide), "as far as Lyon: {wide}");
        assert_eq!(agreed(&paris, Some(&Location::default())), Some(Kilometers(20.0)), "a second that says nothing");
        assert_eq!(agreed(&Location::default(), Some(&paris)), None);
        assert_eq!(location(91.0, 0.0, None).at(), None);
    }
}
