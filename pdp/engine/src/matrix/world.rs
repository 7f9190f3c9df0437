//! The people of the matrix: whoever asks, from where, on what, with five weeks of working days in Paris behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use countersign_risk::{Baseline, BindingState, Posture, RawSighting, Salts, Sighting, Strength, SubjectSalt, Trail};
use countersign_sdk_types::{
    Acr, Action, Asn, Coordinates, Country, DeviceId, Entity, Kilometers, PepId, Place, PlaceGap, PlaceRecord, SessionId, SubjectId,
    Tenant, Timestamp,
};
use serde_json::Map;

use crate::decide::sight;
use crate::facts::{DirectoryUser, Facts, Inventory};
use crate::identify::{Identified, IdentifiedBy, TokenFacts};
use crate::request::{AccessRequest, Agent};

/// Tuesday 2026-03-03, 00:00 in Paris.
const TUESDAY: i64 = 1_772_492_400_000;
const HOUR: i64 = 3_600_000;
pub(crate) const CHROME: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

pub(crate) fn salts() -> Salts {
    Salts { subject: SubjectSalt::new([7; 32]), organisation: SubjectSalt::new([8; 32]) }
}

/// So many hours and minutes after that Tuesday began.
pub(crate) const fn at(hour: i64, minute: i64) -> Timestamp {
    Timestamp(TUESDAY + hour * HOUR + minute * 60_000)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Paris,
    /// Another network in the same city.
    ParisElsewhere,
    /// A hosting network in the same country.
    FranceHosting,
    Singapore,
    Nowhere,
}

impl From {
    pub(crate) fn place(self) -> Place {
        let (country, lat, lon, zone, asn) = match self {
            Self::Paris => ("FR", 48.9, 2.4, "Europe/Paris", 64_496),
            Self::ParisElsewhere => ("FR", 48.9, 2.3, "Europe/Paris", 64_497),
            Self::FranceHosting => ("FR", 50.7, 3.2, "Europe/Paris", 64_498),
            Self::Singapore => ("SG", 1.3, 103.8, "Asia/Singapore", 64_500),
            Self::Nowhere => return Place::Unknown(PlaceGap::NoDatabase),
        };
        Place::Known(PlaceRecord {
            country: Country::new(country),
            at: Some(Coordinates { lat, lon }),
            radius: Some(Kilometers(20.0)),
            time_zone: Some(zone.to_owned()),
            asn: Some(Asn(asn)),
            ..PlaceRecord::default()
        })
    }

    fn address(self) -> Option<IpAddr> {
        let text = match self {
            Self::Paris => "192.0.2.10",
            Self::ParisElsewhere => "198.51.100.10",
            Self::FranceHosting => "198.51.100.130",
            Self::Singapore => "203.0.113.7",
            Self::Nowhere => return None,
        };
        text.parse().ok()
    }
}

/// Alice, with a token of hers.
pub(crate) fn identified(action: &str, from: From, agent: &str, device: Option<&str>) -> Option<Identified> {
    let tenant = Tenant::new("default").ok()?;
    let request = AccessRequest {
        tenant: tenant.clone(),
        pep: PepId::new("proxy").ok()?,
        http: None,
        asserted_subject: None,
        action: Action { name: action.to_owned(), properties: Map::new() },
        resource: Entity { kind: "route".to_owned(), id: "payroll.example/salaries".to_owned(), properties: Map::new() },
        caller: Map::new(),
        client_address: from.address(),
        agent: Agent { user_agent: Some(agent.to_owned()), ..Agent::default() },
        client_certificate: None,
        supported_obligations: None,
    };
    Some(Identified {
        request,
        subject: SubjectId { tenant, iss: "https://issuer.example".to_owned(), sub: "alice".to_owned() },
        session: SessionId::new("sid:1").ok()?,
        device: device.map(DeviceId::new).transpose().ok()?,
        token: TokenFacts { iss: "https://issuer.example".to_owned(), sub: "alice".to_owned(), ..TokenFacts::default() },
        binding: BindingState::NotDeclared,
        by: IdentifiedBy::Token,
    })
}

/// Five weeks of working days in Paris, four step-ups a day, on a device that shows a cookie, or proves a key.
pub(crate) fn weekdays_in_paris(binding: BindingState) -> Option<Baseline> {
    let mut baseline = Baseline::empty();
    let (place, device) = (From::Paris.place(), DeviceId::new("laptop").ok()?);
    let proves = binding == BindingState::Proved;
    for day in (1..=35).rev() {
        // Day 0 is a Tuesday: two days before it is a Sunday, three a Saturday.
        if matches!(day % 7, 2 | 3) {
            continue;
        }
        for hour in [9, 10, 14, 16] {
            let session = SessionId::new(format!("sid:{day}-{hour}")).ok()?;
            let raw = RawSighting {
                address: From::Paris.address(),
                user_agent: Some(CHROME),
                cookie: Some(&device).filter(|_| !proves),
                key: Some(&device).filter(|_| proves),
                binding,
                posture: Posture { compliant: Some(true), managed: Some(true) },
                ..RawSighting::new(Timestamp(TUESDAY - day * 24 * HOUR + hour * HOUR), &place, &session)
            };
            baseline.learn(&Sighting::new(&raw, &salts()).learned(Strength::StepUp));
        }
    }
    Some(baseline)
}

/// What is known of her there, in a role, on a device of the inventory, with a passkey.
pub(crate) fn facts(role: &str, from: From, baseline: &Baseline) -> Facts {
    let mut facts = Facts::unknown(salts(), from.place());
    facts.baseline = baseline.clone();
    facts.user = Some(DirectoryUser { role: role.to_owned(), roles: BTreeSet::new() });
    facts.device.inventory = Some(Inventory { compliant: Some(true), managed: Some(true) });
    facts.reachable = vec![Acr::phr()];
    facts
}

/// A session that was seen once, an hour before eleven.
pub(crate) fn begun(who: &Identified, known: &Facts) -> Trail {
    let seen = sight(who, known, at(10, 0));
    let mut trail = Trail::begin(&seen);
    trail.pass(&seen);
    trail
}

/// The pasts that rows begin with: learning five weeks once is enough.
pub(crate) struct Pasts(BTreeMap<bool, Baseline>);

impl Pasts {
    pub(crate) fn new() -> Option<Self> {
        let past = |binding| weekdays_in_paris(binding);
        Some(Self(BTreeMap::from([(false, past(BindingState::NotDeclared)?), (true, past(BindingState::Proved)?)])))
    }

    /// The past of somebody whose device proves a key, or shows a cookie.
    pub(crate) fn of(&self, binding: BindingState) -> Option<&Baseline> {
        self.0.get(&(binding == BindingState::Proved))
    }
}
