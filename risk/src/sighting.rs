//! What one request shows of its subject, reduced to keyed identifiers and coarse places: safe to record, enough to replay.

use std::net::{IpAddr, Ipv4Addr};

use countersign_sdk_types::{Asn, Coordinates, Country, DeviceId, Kilometers, Place, PlaceGap, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fingerprint::{Components, Fingerprint, Hints};
use crate::signal::client::Client;
use crate::{Keyed, LearnedEvent, Salts, SessionTag, Shared, Strength};

/// Whether a declared key binding was proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingState {
    /// The token declares no key.
    #[default]
    NotDeclared,
    /// The declared key was proved on this request.
    Proved,
    /// A key is declared and was not proved.
    Missing,
    /// Another key was proved.
    Mismatch,
}

/// What the inventory says of the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posture {
    /// It meets the rules.
    pub compliant: Option<bool>,
    /// The organisation manages it.
    pub managed: Option<bool>,
}

/// Recent failures, decayed by their counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// Failed proofs of this subject.
    pub subject: u32,
    /// Failed proofs and refused tokens from this address, whoever the subject was.
    pub address: u32,
    /// Refused tokens on this device, whoever the subject was.
    pub device: u32,
    /// Requests of this subject that a policy refused, and no proof would have helped.
    pub denials: u32,
    /// Distinct subjects whose proofs failed from the network of the address: one network that tries many.
    pub sprayed: u32,
}

/// What an enforcement point brought, before it is keyed.
#[derive(Debug, Clone)]
pub struct RawSighting<'a> {
    /// When.
    pub at: Timestamp,
    /// The client's address, where it can be believed.
    pub address: Option<IpAddr>,
    /// Where that address is.
    pub place: &'a Place,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// What else the client says of itself.
    pub hints: Hints<'a>,
    /// What a script on its page told of the device.
    pub components: Option<Components>,
    /// The device by its cookie, which can be copied.
    pub cookie: Option<&'a DeviceId>,
    /// The device by a key that it proved on this request (DPoP, mTLS).
    pub key: Option<&'a DeviceId>,
    /// The session.
    pub session: &'a SessionId,
    /// Whether the token's key was proved.
    pub binding: BindingState,
    /// An authenticator's counter went backwards since the last verified event.
    pub counter_regressed: bool,
    /// What the inventory says.
    pub posture: Posture,
    /// Recent failures.
    pub failures: Failures,
}

impl<'a> RawSighting<'a> {
    /// A request of which nothing else is known.
    #[must_use]
    pub fn new(at: Timestamp, place: &'a Place, session: &'a SessionId) -> Self {
        Self {
            at,
            address: None,
            place,
            user_agent: None,
            hints: Hints::default(),
            components: None,
            cookie: None,
            key: None,
            session,
            binding: BindingState::NotDeclared,
            counter_regressed: false,
            posture: Posture::default(),
            failures: Failures::default(),
        }
    }
}

/// What one request shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// The address, of IPv6 its /64, keyed; `None` for private, shared, loopback or missing addresses.
    pub host: Option<Keyed>,
    /// /24 of IPv4, /48 of IPv6, keyed.
    pub prefix: Option<Keyed>,
    /// The network's number.
    pub asn: Option<Asn>,
    /// The country.
    pub country: Option<Country>,
    /// The place, rounded to 0.1 degree.
    pub point: Option<Coordinates>,
    /// The radius that the database gives.
    pub radius: Option<Kilometers>,
    /// The IANA zone of the place.
    pub time_zone: Option<String>,
    /// Known to be an anonymizer or hosting.
    pub anonymizer: bool,
    /// There is an address, and it is of a kind that has no location.
    pub private: bool,
    /// The database works, and does not list the address.
    #[serde(default)]
    pub unlisted: bool,
    /// Browser family, operating system, class and version.
    pub client: Option<Client>,
    /// The device by its cookie, keyed.
    pub cookie: Option<Keyed>,
    /// The device by the key that it proved, keyed.
    pub key: Option<Keyed>,
    /// What the device looks like.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// The TLS fingerprint that a trusted proxy saw, keyed.
    #[serde(default)]
    pub tls: Option<Keyed>,
    /// The session.
    pub session: SessionTag,
    /// What can be compared with other subjects.
    pub shared: Shared,
    /// Whether the token's key was proved.
    pub binding: BindingState,
    /// An authenticator's counter went backwards.
    pub counter_regressed: bool,
    /// What the inventory says.
    pub posture: Posture,
    /// Recent failures.
    pub failures: Failures,
}

impl Sighting {
    /// Keys a raw sighting.
    #[must_use]
    pub fn new(raw: &RawSighting<'_>, salts: &Salts) -> Self {
        let (salt, organisation) = (&salts.subject, &salts.organisation);
        let address = raw.address.map(|address| address.to_canonical());
        let located = address.filter(|address| !has_no_location(*address));
        let place = located.and(raw.place.known());
        Self {
            at: raw.at,
            host: located.map(|address| salt.key("host", &leading(address, 32, 64))),
            prefix: located.map(|address| salt.key("prefix", &leading(address, 24, 48))),
            asn: place.and_then(|place| place.asn),
            country: place.and_then(|place| place.country),
            point: place.and_then(|place| place.at).map(rounded),
            radius: place.and_then(|place| place.radius),
            time_zone: place.and_then(|place| place.time_zone.clone()),
            anonymizer: place.and_then(|place| place.anonymizer).unwrap_or(false),
            private: address.is_some() && located.is_none(),
            unlisted: located.is_some() && is_unlisted(raw.place),
            client: Client::read(raw.user_agent, &raw.hints),
            cookie: raw.cookie.map(|device| salt.device(device)),
            key: raw.key.map(|device| salt.device(device)),
            fingerprint: Fingerprint::new(raw.user_agent, &raw.hints, raw.components, salt),
            tls: raw.hints.ja4.map(|ja4| salt.key("tls", ja4.as_bytes())),
            session: SessionTag::of(raw.session),
            shared: Shared {
                subject: salt.key("subject", &[]),
                prefix: located.map(|address| organisation.key("prefix", &leading(address, 24, 48))),
                device: raw.key.or(raw.cookie).map(|device| organisation.device(device)),
            },
            binding: raw.binding,
            counter_regressed: raw.counter_regressed,
            posture: raw.posture,
            failures: raw.failures,
        }
    }

    /// What a verified event leaves in the baseline.
    #[must_use]
    pub fn learned(&self, strength: Strength) -> LearnedEvent {
        LearnedEvent {
            at: self.at,
            strength,
            host: self.host,
            prefix: self.prefix,
            asn: self.asn,
            country: self.country,
            point: self.point,
            radius: self.radius.map(|Kilometers(radius)| Kilometers(libm::round(radius))),
            time_zone: self.time_zone.clone(),
            client: self.client,
            cookie: self.cookie,
            key: self.key,
            fingerprint: self.fingerprint,
            tls: self.tls,
            session: self.session,
            shared: self.shared,
        }
    }
}

/// Private (RFC 1918, RFC 4193), shared (RFC 6598), loopback and link-local addresses say nothing about where somebody is.
fn has_no_location(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = u32::from(v4) >> 22 == u32::from(Ipv4Addr::new(100, 64, 0, 0)) >> 22;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// A database that works, and names neither a country nor a network.
fn is_unlisted(place: &Place) -> bool {
    match place {
        Place::Known(record) => record.country.is_none() && record.asn.is_none(),
        Place::Unknown(gap) => *gap == PlaceGap::NotFound,
    }
}

/// The leading bits of an address.
fn leading(address: IpAddr, v4: usize, v6: usize) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into_iter().take(v4 / 8).collect(),
        IpAddr::V6(address) => address.octets().into_iter().take(v6 / 8).collect(),
    }
}

fn rounded(point: Coordinates) -> Coordinates {
    let tenth = |degrees: f64| libm::round(degrees * 10.0) / 10.0;
    Coordinates { lat: tenth(point.lat), lon: tenth(point.lon) }
}
