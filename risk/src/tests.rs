//! The laws of the engine, and the headline case.

mod behavior;
mod laws;
mod learning;

use countersign_sdk_types::{Asn, Coordinates, Country, DeviceId, Kilometers, Place, PlaceRecord, SessionId, Signal, Timestamp};

use super::*;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Monday 2026-03-02T00:00Z; Paris is one hour ahead.
const MONDAY: i64 = 1_772_409_600_000;
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

fn place(country: &str, lat: f64, lon: f64, zone: &str, asn: u32) -> Place {
    Place::Known(PlaceRecord {
        country: Country::new(country),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some(zone.to_owned()),
        asn: Some(Asn(asn)),
        ..PlaceRecord::default()
    })
}

fn paris() -> Place {
    place("FR", 48.8566, 2.3522, "Europe/Paris", 64496)
}

fn lyon() -> Place {
    place("FR", 45.76, 4.84, "Europe/Paris", 64497)
}

fn singapore() -> Place {
    place("SG", 1.3521, 103.8198, "Asia/Singapore", 64500)
}

fn salts(subject: u8) -> Salts {
    Salts { subject: SubjectSalt::new([subject; 32]), organisation: SubjectSalt::new([0; 32]) }
}

/// One request; the rest of a sighting is unremarkable.
#[derive(Debug, Clone)]
struct Scene<'a> {
    at: i64,
    address: &'a str,
    place: Place,
    agent: &'a str,
    hints: Hints<'a>,
    cookie: Option<&'a str>,
    key: Option<&'a str>,
    session: String,
    subject: u8,
}

impl Scene<'_> {
    fn sighting(&self) -> Sighting {
        let device = |id: Option<&str>| id.map(|id| DeviceId::new(id).unwrap());
        let (cookie, key) = (device(self.cookie), device(self.key));
        let session = SessionId::new(self.session.as_str()).unwrap();
        let raw = RawSighting {
            address: Some(self.address.parse().unwrap()),
            user_agent: Some(self.agent),
            hints: self.hints,
            cookie: cookie.as_ref(),
            key: key.as_ref(),
            ..RawSighting::new(Timestamp(self.at), &self.place, &session)
        };
        Sighting::new(&raw, &salts(self.subject))
    }

    fn learned(&self, strength: Strength) -> LearnedEvent {
        self.sighting().learned(strength)
    }
}

/// The owner at home in Paris on the laptop, each time in a session of its own.
fn at_home(at: i64) -> Scene<'static> {
    Scene {
        at,
        address: "192.0.2.10",
        place: paris(),
        agent: FIREFOX,
        hints: Hints::default(),
        cookie: Some("laptop"),
        key: None,
        session: format!("sid:{at}"),
        subject: 7,
    }
}

/// The same in Singapore.
fn abroad(at: i64) -> Scene<'static> {
    Scene { address: "203.0.113.9", place: singapore(), ..at_home(at) }
}

/// Working days in Paris, two step-ups a day.
fn weekdays(weeks: i64) -> Baseline {
    let days = (0..weeks * 7).filter(|day| day % 7 < 5);
    let events: Vec<_> =
        days.flat_map(|day| [9, 14].map(|hour| at_home(MONDAY + day * DAY + hour * HOUR).learned(Strength::StepUp))).collect();
    Baseline::fold(&events)
}

/// Four weeks, and a Monday morning after them.
const NEXT: i64 = MONDAY + 28 * DAY + 9 * HOUR;

fn known(baseline: &Baseline) -> Known<'_> {
    Known { baseline, organisation: Organisation::default(), trail: None, behavior: None, is_asked_when_unknown: true }
}

fn assess(scene: &Scene<'_>, known: &Known<'_>) -> Assessment {
    judge(&scene.sighting(), known)
}

fn judge(sighting: &Sighting, known: &Known<'_>) -> Assessment {
    let weights = Weights::default();
    score(observe(sighting, known, &weights), &weights.calibration)
}

fn nats(assessment: &Assessment, signal: Signal) -> f64 {
    assessment.evidence().items().iter().filter(|item| item.signal == signal).map(|item| item.nats).sum()
}

fn points(assessment: &Assessment) -> i32 {
    assessment.reasons().iter().map(|reason| i32::from(reason.points)).sum()
}
