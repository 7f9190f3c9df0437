//! Who comes on a day, and what they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::Path;

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, PlaceRecord, Timestamp};
use serde_json::Value;

/// A day: what was before it, and who comes.
#[derive(Debug, Clone)]
pub struct Day {
    /// Visits before the day, of which the decision points learn.
    pub before: Vec<Visit>,
    /// The visits of the day.
    pub visits: Vec<Visit>,
    /// How many requests a visit makes.
    pub shape: Shape,
    /// Where chance begins.
    pub seed: u64,
    /// Somebody else always comes from far away: nobody takes them for the person.
    pub others_are_far: bool,
    /// What it is, for people.
    pub name: String,
}

/// Whose visit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The person.
    Owner,
    /// Somebody else, with the person's token and cookie.
    Thief,
    /// Somebody else, with the person's password.
    Guesser,
}

/// Somebody comes.
#[derive(Debug, Clone)]
pub struct Visit {
    /// When.
    pub at: Timestamp,
    /// Who it says it is.
    pub subject: String,
    /// The issuer's session.
    pub session: String,
    /// From where.
    pub address: IpAddr,
    /// Where that is.
    pub place: Option<PlaceRecord>,
    /// With what.
    pub agent: String,
    /// The device cookie.
    pub cookie: Option<String>,
    /// How the session was authenticated: `phr`, `mfa`, `pwd`, or `none` for one that began earlier.
    pub auth: String,
    /// Who it is.
    pub who: Who,
    /// The session is revoked in the middle of it.
    pub ends: bool,
}

/// How many requests a visit makes. Pages are log-normal, because most visits are short and a few are long; a page is its document and waves of calls, as
/// a browser makes them: six at a time, a little apart. Somebody else takes a few pages without what belongs to them.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The median of pages.
    pub pages: f64,
    /// The spread, of the logarithm.
    pub spread: f64,
    /// Waves of a page, from and to.
    pub waves: (u64, u64),
    /// Calls of a wave, from and to.
    pub calls: (u64, u64),
    /// Mean seconds between two pages.
    pub think: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { pages: 8.0, spread: 0.7, waves: (3, 6), calls: (4, 6), think: 45.0 }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// When.
    pub at: Timestamp,
    /// In which visit.
    pub visit: &'a Visit,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// Of which page of the visit, and whether it is its document.
    pub page: (u64, bool),
    /// It is none: the session is revoked now.
    pub is_end: bool,
}

impl Day {
    /// Every request of the day, in order of time.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<'_>> {
        let mut chance = fastrand::Rng::with_seed(self.seed);
        let mut all: Vec<Request<'_>> = self.visits.iter().flat_map(|visit| self.shape.of(visit, &mut chance)).collect();
        all.sort_by_key(|request| request.at);
        all
    }

    /// Where every address is.
    #[must_use]
    pub fn places(&self) -> BTreeMap<IpAddr, PlaceRecord> {
        let all = self.before.iter().chain(&self.visits);
        all.filter_map(|visit| Some((visit.address, visit.place.clone()?))).collect()
    }
}

const SECTIONS: [&str; 6] = ["home", "orders", "people", "reports", "calendar", "mail"];

impl Shape {
    fn of<'a>(&self, visit: &'a Visit, chance: &mut fastrand::Rng) -> Vec<Request<'a>> {
        let mut all = Vec::new();
        let is_owner = visit.who == Who::Owner;
        let pages = (self.pages * (self.spread * normal(chance)).exp()).round().clamp(1.0, 80.0);
        let pages = if is_owner { pages as u64 } else { chance.u64(1..=4) };
        let mut at = visit.at.0;
        for page in 0..pages {
            let section = SECTIONS[chance.usize(..SECTIONS.len())];
            all.push(Request { at: Timestamp(at), visit, method: "GET", path: format!("/{section}"), page: (page, true), is_end: false });
            let mut ask = |at: i64, method, path: String| {
                all.push(Request { at: Timestamp(at), visit, method, path, page: (page, false), is_end: false });
            };
            let mut later = at + chance.i64(80..200);
            for _ in 0..if is_owner { chance.u64(self.waves.0..=self.waves.1) } else { 0 } {
                for _ in 0..chance.u64(self.calls.0..=self.calls.1) {
                    let what = SECTIONS[chance.usize(..SECTIONS.len())];
                    let path = if chance.f64() < 0.5 { format!("/api/{what}/{}", chance.u32(1..5000)) } else { format!("/api/{what}") };
                    ask(later + chance.i64(0..6), "GET", path);
                }
                later += chance.i64(40..160);
            }
            if chance.f64() < 0.15 {
                ask(later + chance.i64(2_000..20_000), "POST", format!("/api/{section}/{}", chance.u32(1..5000)));
            }
            if chance.f64() < 0.01 {
                ask(later + 25_000, "DELETE", format!("/api/{section}/{}", chance.u32(1..5000)));
            }
            at = later + ((-self.think * chance.f64().max(1e-9).ln()).clamp(2.0, 600.0) * 1000.0) as i64;
            // Whose session is revoked is told so with the next page, and goes.
            if visit.ends && page > pages / 2 {
                break;
            }
            if visit.ends && page == pages / 2 {
                all.push(Request { at: Timestamp(at), visit, method: "", path: String::new(), page: (page, false), is_end: true });
            }
        }
        all
    }
}

/// Normally distributed (Box and Muller).
fn normal(chance: &mut fastrand::Rng) -> f64 {
    let (one, two) = (chance.f64().max(1e-12), chance.f64());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

/// 2026-03-03, midnight UTC: a Tuesday.
const TUESDAY: i64 = 1_772_496_000_000;
const HOUR: i64 = 3_600_000;
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
];

/// A made-up day: people who work at home or at an office in one of four cities, and in the morning and the afternoon; of one session in ten the token is
/// taken and used from elsewhere, and one in fifty is revoked.
#[must_use]
pub fn generated(people: u32, seed: u64) -> Day {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let (mut before, mut visits) = (Vec::new(), Vec::new());
    for person in 0..people {
        let city = chance.usize(..CITIES.len());
        let home = address(city, person);
        let (agent, start) = (AGENTS[chance.usize(..AGENTS.len())], chance.i64(7 * 60..11 * 60));
        let visit = |at: i64, session: String, auth: &str| Visit {
            at: Timestamp(at),
            subject: format!("u{person:04}"),
            session,
            address: home,
            place: Some(place(city)),
            agent: agent.to_owned(),
            cookie: Some(format!("device-of-{person:04}")),
            auth: auth.to_owned(),
            who: Who::Owner,
            ends: false,
        };
        for day in (1..=8).rev() {
            for half in 0..2_i64 {
                let at = TUESDAY - day * 24 * HOUR + (start + half * 290 + chance.i64(-40..40)) * 60_000;
                before.push(visit(at, format!("s{person:04}-{day}-{half}"), if chance.bool() { "phr" } else { "mfa" }));
            }
        }
        for half in 0..2_i64 {
            let at = TUESDAY + (start + half * 290 + chance.i64(-40..40)) * 60_000 + chance.i64(0..60_000);
            let mine = Visit { ends: chance.f64() < 0.02, ..visit(at, format!("s{person:04}-0-{half}"), "mfa") };
            if chance.f64() < 0.10 {
                let far = (city + 1 + chance.usize(..CITIES.len() - 1)) % CITIES.len();
                let (address, place) = (address(far, 60_000 + person), Some(place(far)));
                let at = Timestamp(at + chance.i64(60_000..20 * 60_000));
                visits.push(Visit { at, address, place, auth: "none".to_owned(), who: Who::Thief, ends: false, ..mine.clone() });
            }
            visits.push(mine);
        }
    }
    before.sort_by_key(|visit| visit.at);
    Day { before, visits, shape: Shape::default(), seed, others_are_far: true, name: format!("a made-up day of {people} people") }
}

const CITIES: [(&str, f64, f64, &str, u32); 4] = [
    ("FR", 48.9, 2.4, "Europe/Paris", 64_496),
    ("DE", 52.5, 13.4, "Europe/Berlin", 64_497),
    ("SG", 1.3, 103.8, "Asia/Singapore", 64_498),
    ("US", 40.7, -74.0, "America/New_York", 64_499),
];

fn place(city: usize) -> PlaceRecord {
    let (country, lat, lon, zone, asn) = CITIES[city];
    PlaceRecord {
        country: Country::new(country),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some(zone.to_owned()),
        asn: Some(Asn(asn)),
        ..PlaceRecord::default()
    }
}

fn address(city: usize, host: u32) -> IpAddr {
    let [_, _, high, low] = host.to_be_bytes();
    IpAddr::from([20 + u8::try_from(city).unwrap_or_default(), 7, high, low])
}

/// The fullest day of a corpus of access events, one JSON object a line, gzip or plain: who came, from where and with what is the corpus's, and what they
/// asked for is made up by the same [`Shape`]. Keys that a corpus has are left out: a token that is bound to one goes to the decision point in any case.
///
/// # Errors
/// When it cannot be read.
pub fn corpus(file: &Path, most: usize) -> Result<Day, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    let reader: Box<dyn std::io::Read> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::GzDecoder::new(bytes.as_slice()))
    } else {
        Box::new(bytes.as_slice())
    };
    let mut all = Vec::new();
    for (at, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        let event: Value = serde_json::from_str(&line).map_err(|error| format!("line {}: {error}", at + 1))?;
        all.extend(visit(&event));
    }
    let mut days: BTreeMap<i64, usize> = BTreeMap::new();
    for visit in &all {
        *days.entry(visit.at.0 / (24 * HOUR)).or_default() += 1;
    }
    let fullest = days.iter().max_by_key(|(_, count)| **count).map(|(day, _)| *day).ok_or("the corpus is empty")?;
    let visits: Vec<Visit> = all.iter().filter(|visit| visit.at.0 / (24 * HOUR) == fullest).take(most).cloned().collect();
    let subjects: BTreeSet<&str> = visits.iter().map(|visit| visit.subject.as_str()).collect();
    let is_before =
        |visit: &&Visit| visit.at.0 / (24 * HOUR) < fullest && visit.who == Who::Owner && subjects.contains(visit.subject.as_str());
    let mut before: Vec<Visit> = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for visit in all.iter().rev().filter(is_before) {
        let count = counts.entry(visit.subject.clone()).or_default();
        if *count < 12 {
            *count += 1;
            before.push(visit.clone());
        }
    }
    before.reverse();
    Ok(Day {
        before,
        visits,
        shape: Shape::default(),
        seed: 1,
        others_are_far: false,
        name: format!("the fullest day of {}", file.display()),
    })
}

fn visit(event: &Value) -> Option<Visit> {
    let text = |name: &str| event[name].as_str().map(ToOwned::to_owned);
    let label = text("label")?;
    let who = match label.as_str() {
        "genuine" => Who::Owner,
        "token_far" | "token_near" | "odd_hour" | "bound_replay" => Who::Thief,
        _ => Who::Guesser,
    };
    let place = event["place"].as_object().filter(|place| place.get("country").is_some_and(Value::is_string)).map(|place| {
        let number = |name: &str| place.get(name).and_then(Value::as_f64);
        PlaceRecord {
            country: place["country"].as_str().and_then(Country::new),
            at: number("lat").zip(number("lon")).map(|(lat, lon)| Coordinates { lat, lon }),
            radius: number("radius_km").map(Kilometers),
            time_zone: place.get("timezone").and_then(Value::as_str).map(ToOwned::to_owned),
            asn: number("asn").map(|asn| Asn(asn as u32)),
            ..PlaceRecord::default()
        }
    });
    Some(Visit {
        at: Timestamp(instant(&text("t")?)?),
        subject: text("subject")?,
        session: text("session")?,
        address: text("ip")?.parse().ok()?,
        place,
        agent: text("user_agent")?,
        cookie: event["device"]["cookie"].as_str().map(ToOwned::to_owned),
        auth: text("auth")?,
        who,
        ends: false,
    })
}

/// `2024-09-02T09:59:32Z` (RFC 3339, UTC).
fn instant(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days from the civil calendar: years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}
