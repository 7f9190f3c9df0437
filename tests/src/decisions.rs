//! A made-up log of decisions: people with a past, at work, on the way, and robbed. The same seed gives the same log.

use std::collections::BTreeSet;

use countersign_pdp_engine::decide;
use countersign_pdp_engine::facts::{DirectoryUser, Facts, Inventory};
use countersign_pdp_engine::identify::{Given, Identified, Issuers, ProofRules, identify};
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{Client, Pep, RawCheck, RawHttp, RequestRules, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::{Baseline, Posture, RawSighting, Salts, Sighting, Strength, SubjectSalt};
use countersign_sdk_types::{
    Acr, Action, Asn, Coordinates, Country, DecisionId, Entity, EvaluationRequest, Kilometers, PepId, Place, PlaceRecord, SessionId,
    Tenant, Timestamp,
};
use serde_json::Map;

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
    name: String,
    home: u64,
    agent: &'static str,
    facts: Facts,
}

impl Person {
    fn new(number: u64, dice: &mut Dice) -> Self {
        let (home, agent) = (dice.below(4), AGENTS[usize::try_from(number % 2).unwrap()]);
        let salts = Salts { subject: SubjectSalt::new([u8::try_from(number % 251).unwrap(); 32]), organisation: SubjectSalt::new([9; 32]) };
        let mut baseline = Baseline::empty();
        for day in (1..=20).rev().filter(|day| !matches!(day % 7, 1 | 2)) {
            let at = Timestamp(MONDAY - day * 24 * HOUR + 9 * HOUR + i64::try_from(dice.below(8)).unwrap() * HOUR);
            let session = SessionId::new(format!("sid:{number}-{day}")).unwrap();
            let place = place(home);
            let raw = RawSighting {
                address: Some(address(home).parse().unwrap()),
                user_agent: Some(agent),
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
        Self { name: format!("person-{number}"), home, agent, facts }
    }
}

fn address(place: u64) -> String {
    format!("192.0.2.{}", 10 + place)
}

fn place(number: u64) -> Place {
    const PLACES: [(&str, f64, f64, &str); 6] = [
        ("FR", 48.9, 2.4, "Europe/Paris"),
        ("DE", 52.5, 13.4, "Europe/Berlin"),
        ("US", 40.7, -74.0, "America/New_York"),
        ("JP", 35.7, 139.7, "Asia/Tokyo"),
        ("SG", 1.3, 103.8, "Asia/Singapore"),
        ("BR", -23.5, -46.6, "America/Sao_Paulo"),
    ];
    let (country, lat, lon, zone) = PLACES[usize::try_from(number).unwrap() % PLACES.len()];
    Place::Known(PlaceRecord {
        country: Country::new(country),
        at: Some(Coordinates { lat, lon }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some(zone.to_owned()),
        asn: Some(Asn(64_496 + u32::try_from(number).unwrap())),
        ..PlaceRecord::default()
    })
}

fn identified(person: &Person, from: u64, action: &str, path: &str, number: u64, now: Timestamp) -> Identified {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() };
    let pep = Pep { id: PepId::new("proxy").unwrap(), asserts_subject: true, asserts_client: true, asserts: BTreeSet::new() };
    let target = format!("/{path}/{}", number % 40);
    let asked = EvaluationRequest {
        subject: entity("user", &person.name),
        action: Action { name: action.to_owned(), properties: Map::new() },
        resource: entity("route", &format!("app.example{target}")),
        context: Map::new(),
    };
    let http = RawHttp {
        method: action.to_owned(),
        scheme: "https".to_owned(),
        authority: "app.example".to_owned(),
        target,
        headers: vec![("user-agent".to_owned(), person.agent.as_bytes().to_vec())],
        client: Client::Asserted(address(from).parse().unwrap()),
        client_certificate: None,
    };
    let raw = RawCheck { tenant: Tenant::new("default").unwrap(), pep, http: Some(http), asked: Some(asked) };
    let rules =
        RequestRules { hosts: [("app.example".to_owned().try_into().unwrap(), Default::default())].into(), ..RequestRules::default() };
    let (request, credentials) = normalize(raw, &rules).unwrap();
    let (issuers, proofs) = (Issuers::default(), ProofRules::default());
    let given = Given { issuers: &issuers, proofs: &proofs, linked: None, introspected: None, now };
    identify(request, &credentials, given).unwrap().confirm(|_| Ok(())).unwrap()
}

/// So many decisions of a policy over a week.
pub fn records(snapshot: &Snapshot, count: u64, seed: u64) -> impl Iterator<Item = Record> {
    let mut dice = Dice(seed);
    let people: Vec<Person> = (0..PEOPLE).map(|number| Person::new(number, &mut dice)).collect();
    (0..count).map(move |number| {
        let person = &people[usize::try_from(dice.below(PEOPLE)).unwrap()];
        let (is_thief, is_away) = (dice.below(100) == 0, dice.below(20) == 0);
        let from = if is_thief {
            4 + dice.below(2)
        } else if is_away {
            dice.below(4)
        } else {
            person.home
        };
        let hour = if is_thief { dice.below(24) } else { 8 + dice.below(11) };
        let minute = i64::try_from(number * 10_080 / count.max(1)).unwrap() % (24 * 60);
        let day = i64::try_from(number * 5 / count.max(1)).unwrap();
        let now = Timestamp(MONDAY + day * 24 * HOUR + i64::try_from(hour).unwrap() * HOUR + (minute % 60) * 60_000);
        let identified = identified(person, from, dice.of(&ACTIONS), dice.of(&PATHS), number, now);
        let facts = Facts { place: place(from), ..person.facts.clone() };
        let decided = decide(&identified, &facts, snapshot, now);
        Record::new(DecisionId::new(format!("default.1.{}", number + 1)).unwrap(), now, &identified, &facts, snapshot, &decided)
    })
}
