//! A made-up log of decisions: people with a past and without, in sessions of a day, at work, on the way, and robbed. The same seed gives the same log.

use std::collections::{BTreeMap, BTreeSet};

use countersign_pdp_engine::decide::{Decision, decide};
use countersign_pdp_engine::facts::{DirectoryUser, Facts, Inventory};
use countersign_pdp_engine::identify::{Given, Identified, Issuers, LinkedSession, ProofRules, TokenFacts, identify};
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{Client, DEVICE_COOKIE, HostRules, Pep, RawCheck, RawHttp, RequestRules, device_of, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::{Baseline, Posture, RawSighting, Salts, Sighting, Strength, SubjectSalt, Trail};
use countersign_sdk_types::{
    Acr, Asn, Coordinates, Country, DecisionId, Kilometers, PepId, Place, PlaceRecord, RiskLevel, SessionId, SubjectId, Tenant, Timestamp,
};

/// Monday 2026-03-02, 00:00 UTC.
const MONDAY: i64 = 1_772_409_600_000;
const HOUR: i64 = 3_600_000;
const PEOPLE: u64 = 300;
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0",
    "curl/8.5.0",
];
const ACTIONS: [&str; 8] = ["GET", "GET", "GET", "GET", "GET", "POST", "PUT", "DELETE"];
const PATHS: [&str; 5] = ["payroll", "wiki", "tickets", "admin", "reports"];
const ROLES: [&str; 5] = ["employee", "employee", "employee", "admin", ""];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

struct Person {
    number: u64,
    name: String,
    home: Net,
    agent: &'static str,
    facts: Facts,
}

impl Person {
    fn new(number: u64, dice: &mut Dice) -> Self {
        let (home, agent) = (Net { place: dice.below(4), network: number % 2, part: 0 }, AGENTS[usize::try_from(number % 2).unwrap()]);
        let salts = Salts { subject: SubjectSalt::new([u8::try_from(number % 251).unwrap(); 32]), organisation: SubjectSalt::new([9; 32]) };
        let mut baseline = Baseline::empty();
        let device = device_of(&format!("device-{number}")).unwrap();
        // One in ten is new.
        let days = if number % 10 == 7 { 0 } else { 20 };
        for day in (1..=days).rev().filter(|day| !matches!(day % 7, 1 | 2)) {
            let at = Timestamp(MONDAY - day * 24 * HOUR + 9 * HOUR + i64::try_from(dice.below(8)).unwrap() * HOUR);
            let session = SessionId::new(format!("sid:{number}-{day}")).unwrap();
            let place = place(home);
            let raw = RawSighting {
                address: Some(address(home, number).parse().unwrap()),
                user_agent: Some(agent),
                cookie: Some(&device).filter(|_| shows_device(number)),
                posture: Posture { compliant: Some(true), managed: Some(true) },
                ..RawSighting::new(at, &place, &session)
            };
            baseline.learn(&Sighting::new(&raw, &salts).learned(Strength::StepUp));
        }
        let mut facts = Facts::unknown(salts, place(home));
        facts.baseline = baseline;
        let role = dice.of(&ROLES).to_owned();
        facts.user = Some(DirectoryUser::new(Some(role.clone()), []));
        facts.device.inventory = Some(Inventory { compliant: Some(dice.below(8) > 0), managed: Some(true) });
        facts.reachable = if dice.below(4) > 0 { vec![Acr::phr()] } else { Vec::new() };
        Self { number, name: format!("person-{number}"), home, agent, facts }
    }
}

/// Every third keeps no cookie of the device.
const fn shows_device(person: u64) -> bool {
    !person.is_multiple_of(3)
}

/// A part of one of the two networks of a place.
#[derive(Clone, Copy, PartialEq)]
struct Net {
    place: u64,
    network: u64,
    part: u64,
}

/// Where somebody is in it: addresses for tests of networks (RFC 2544).
fn address(at: Net, person: u64) -> String {
    format!("198.18.{}.{}", at.place * 16 + at.network * 4 + at.part, 10 + person % 200)
}

fn place(at: Net) -> Place {
    const PLACES: [(&str, f64, f64, &str); 6] = [
        ("FR", 48.9, 2.4, "Europe/Paris"),
        ("DE", 52.5, 13.4, "Europe/Berlin"),
        ("US", 40.7, -74.0, "America/New_York"),
        ("JP", 35.7, 139.7, "Asia/Tokyo"),
        ("SG", 1.3, 103.8, "Asia/Singapore"),
        ("BR", -23.5, -46.6, "America/Sao_Paulo"),
    ];
    let (country, lat, lon, zone) = PLACES[usize::try_from(at.place).unwrap() % PLACES.len()];
    Place::Known(PlaceRecord {
        country: Country::new(country),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some(zone.to_owned()),
        asn: Some(Asn(64_496 + u32::try_from(at.place * 2 + at.network).unwrap())),
        ..PlaceRecord::default()
    })
}

/// The session of a person on a day, by its cookie.
fn identified(person: &Person, day: i64, from: Net, action: &str, target: String, now: Timestamp) -> Identified {
    let pep = Pep { id: PepId::new("proxy").unwrap(), asserts_subject: false, asserts_client: true, asserts: BTreeSet::new() };
    let device = if shows_device(person.number) { format!("{DEVICE_COOKIE}=device-{}; ", person.number) } else { String::new() };
    let cookies = format!("{device}app=session-{}-{day}", person.number);
    let http = RawHttp {
        method: action.to_owned(),
        scheme: "https".to_owned(),
        authority: "app.example".to_owned(),
        target,
        headers: vec![("user-agent".to_owned(), person.agent.as_bytes().to_vec()), ("cookie".to_owned(), cookies.into_bytes())],
        client: Client::Asserted(address(from, person.number).parse().unwrap()),
        client_certificate: None,
    };
    let tenant = Tenant::new("default").unwrap();
    let raw = RawCheck { tenant: tenant.clone(), pep, http: Some(http), asked: None };
    let host = HostRules { session_cookie: Some("app".to_owned()), ..HostRules::default() };
    let rules = RequestRules { hosts: [("app.example".to_owned().try_into().unwrap(), host)].into(), ..RequestRules::default() };
    let (request, credentials) = normalize(raw, &rules).unwrap();
    let (issuers, proofs) = (Issuers::default(), ProofRules::default());
    let (iss, sub) = ("https://issuer.example".to_owned(), person.name.clone());
    let token = TokenFacts { iss: iss.clone(), sub: sub.clone(), ..TokenFacts::default() };
    let linked = Some(LinkedSession { subject: SubjectId { tenant, iss, sub }, token });
    let given = Given { issuers: &issuers, proofs: &proofs, linked, introspected: None, now };
    identify(request, &credentials, given).unwrap().confirm(|_| Ok(())).unwrap()
}

/// So many decisions of a policy over a week.
pub fn records(snapshot: &Snapshot, count: u64, seed: u64) -> impl Iterator<Item = Record> {
    let mut dice = Dice(seed);
    let people: Vec<Person> = (0..PEOPLE).map(|number| Person::new(number, &mut dice)).collect();
    let mut trails: BTreeMap<(u64, i64), Trail> = BTreeMap::new();
    (0..count).map(move |number| {
        let person = &people[usize::try_from(dice.below(PEOPLE)).unwrap()];
        let (is_thief, is_away, is_near) = (dice.below(100) == 0, dice.below(20) == 0, dice.below(10) == 0);
        let from = if is_thief {
            Net { place: 4 + dice.below(2), network: dice.below(2), part: 0 }
        } else if is_away {
            Net { place: dice.below(4), network: dice.below(2), part: 0 }
        } else if is_near {
            Net { part: 1 + dice.below(3), ..person.home }
        } else {
            person.home
        };
        let hour = if is_thief { dice.below(24) } else { 8 + dice.below(11) };
        let minute = i64::try_from(number * 10_080 / count.max(1)).unwrap() % (24 * 60);
        let day = i64::try_from(number * 5 / count.max(1)).unwrap();
        let now = Timestamp(MONDAY + day * 24 * HOUR + i64::try_from(hour).unwrap() * HOUR + (minute % 60) * 60_000);
        let target = format!("/{}/{}", dice.of(&PATHS), number % 40);
        let identified = identified(person, day, from, dice.of(&ACTIONS), target, now);
        let trail = trails.get(&(person.number, day)).cloned();
        let facts = Facts { place: place(from), trail, ..person.facts.clone() };
        let decided = decide(&identified, &facts, snapshot, now);
        if matches!(decided.decision, Decision::Allow(_)) && decided.trace.remaining.level() == RiskLevel::Low {
            let sighting = &decided.trace.sighting;
            trails.entry((person.number, day)).or_insert_with(|| Trail::begin(sighting)).pass(sighting);
        }
        Record::new(DecisionId::new(format!("default.1.{}", number + 1)).unwrap(), now, &identified, &facts, snapshot, &decided)
    })
}
