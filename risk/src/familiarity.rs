//! How well a subject's lists know what a sighting shows. For people to look at; no signal reads it.

use serde::Serialize;

use crate::{Baseline, Sighting};

/// How much of a subject's learned events each list has for what a sighting shows, in decayed events; zero where it is new, none where nothing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Familiarity {
    /// All learned events.
    pub learned: f64,
    /// The address.
    pub address: Option<f64>,
    /// The network prefix.
    pub prefix: Option<f64>,
    /// The autonomous system.
    pub network: Option<f64>,
    /// The country.
    pub country: Option<f64>,
    /// The device, by the key that it proved or else by its cookie.
    pub device: Option<f64>,
    /// The browser family and operating system.
    pub client: Option<f64>,
}

impl Baseline {
    /// Asks each list about a sighting. Weights are as they were at the last learned event.
    #[must_use]
    pub fn familiarity(&self, sighting: &Sighting) -> Familiarity {
        let device = sighting.key.or(sighting.cookie);
        Familiarity {
            learned: self.weight(),
            address: sighting.host.map(|host| self.host(Some(host))),
            prefix: sighting.prefix.map(|prefix| self.prefix(Some(prefix))),
            network: sighting.asn.map(|asn| f64::from(self.network(Some(asn)).weight)),
            country: sighting.country.map(|country| self.country(Some(country))),
            device: device.map(|device| self.device(device).map_or(0.0, |known| f64::from(known.weight))),
            client: sighting.client.map(|client| self.family(client.family).map_or(0.0, |known| f64::from(known.weight))),
        }
    }
}
