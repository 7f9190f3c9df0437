//! A made-up table of places, on the address ranges that are reserved for documentation (RFC 5737, RFC 3849).

use std::net::IpAddr;

use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, PlaceRecord};
use ipnet::IpNet;

/// Networks and where they are said to be. The longest prefix wins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlaceTable(Vec<(IpNet, PlaceRecord)>);

impl PlaceTable {
    /// A table of the given networks.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, PlaceRecord)>) -> Self {
        let mut networks: Vec<_> = networks.into_iter().collect();
        networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Self(networks)
    }

    /// The places of the demonstration: an office, a home and a hotel in Paris, and a hosting network in Singapore.
    #[must_use]
    pub fn demo() -> Self {
        let networks = DEMO.iter().filter_map(|(network, place)| Some((network.parse().ok()?, place.record())));
        Self::new(networks)
    }

    /// What the table says of an address.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&PlaceRecord> {
        self.0.iter().find(|(network, _)| network.contains(&address)).map(|(_, place)| place)
    }
}

struct DemoPlace {
    country: &'static str,
    city: &'static str,
    at: Coordinates,
    time_zone: &'static str,
    asn: u32,
    operator: &'static str,
}

impl DemoPlace {
    fn record(&self) -> PlaceRecord {
        PlaceRecord {
            country: Country::new(self.country),
            city: Some(self.city.to_owned()),
            at: Some(self.at),
            radius: Some(Kilometers(20.0)),
            time_zone: Some(self.time_zone.to_owned()),
            asn: Some(Asn(self.asn)),
            operator: Some(self.operator.to_owned()),
            anonymizer: Some(false),
        }
    }
}

const fn paris(asn: u32, operator: &'static str) -> DemoPlace {
    DemoPlace { country: "FR", city: "Paris", at: Coordinates { lat: 48.8566, lon: 2.3522 }, time_zone: "Europe/Paris", asn, operator }
}

const fn singapore(asn: u32, operator: &'static str) -> DemoPlace {
    DemoPlace {
        country: "SG",
        city: "Singapore",
        at: Coordinates { lat: 1.3521, lon: 103.8198 },
        time_zone: "Asia/Singapore",
        asn,
        operator,
    }
}

// The numbers of the networks are reserved for documentation too (RFC 5398).
const DEMO: [(&str, DemoPlace); 6] = [
    ("192.0.2.0/25", paris(64_496, "Paris Office")),
    ("192.0.2.128/25", paris(64_497, "Paris Home Broadband")),
    ("198.51.100.0/24", paris(64_498, "Paris Hotel")),
    ("203.0.113.0/24", singapore(64_499, "Singapore Hosting")),
    ("2001:db8:1::/48", paris(64_496, "Paris Office")),
    ("2001:db8:2::/48", singapore(64_499, "Singapore Hosting")),
];

#[cfg(test)]
mod tests;
