//! Where a session was first seen and last let through. It is a fact about the session and teaches nothing: it can raise a score, and lowers none.

use countersign_sdk_types::Asn;
use serde::{Deserialize, Serialize};

use crate::{Client, Keyed, Sighting, Whereabouts};

/// The trail of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// The circumstances in which it was first seen. They never change: a thief who is seen later does not become the origin.
    pub origin: Origin,
    /// Where it was last let through at low risk.
    pub last: Option<Whereabouts>,
}

/// The circumstances in which a session was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The network prefix, keyed.
    pub prefix: Option<Keyed>,
    /// The network's number.
    pub asn: Option<Asn>,
    /// The client.
    pub client: Option<Client>,
}

impl Trail {
    /// The trail of a session that is seen for the first time.
    #[must_use]
    pub const fn begin(sighting: &Sighting) -> Self {
        Self { origin: Origin { prefix: sighting.prefix, asn: sighting.asn, client: sighting.client }, last: None }
    }

    /// The session was let through at low risk.
    pub fn pass(&mut self, sighting: &Sighting) {
        if sighting.point.is_some() {
            self.last = Some(Whereabouts { at: sighting.at, point: sighting.point, radius: sighting.radius });
        }
    }
}
