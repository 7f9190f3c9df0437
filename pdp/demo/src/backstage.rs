//! What the demonstration asks of the decision point that plays in it, and where its people are.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Mutex;

use countersign_sdk_types::{Millis, Timestamp};

use crate::hand::{Browsing, Hand};
use crate::why::Why;

/// The name of the demo user.
pub const ALICE: &str = "alice";
/// How long a one-time code is good for: long enough to be read and typed.
pub const CODE_LIFE: Millis = Millis(15 * 60_000);

/// A place that the demonstration knows, with an address of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Alice's office.
    Paris,
    /// A hosting network, from which nobody works.
    Singapore,
}

impl Place {
    /// An address there (RFC 5737).
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Paris => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
            Self::Singapore => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        }
    }

    /// Where an address of the demonstration is.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address == Self::Singapore.address() { Self::Singapore } else { Self::Paris }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paris => "Paris",
            Self::Singapore => "Singapore",
        }
    }
}

/// Where the person at the browser is said to be.
#[derive(Debug)]
pub struct Scene(Mutex<Place>);

impl Default for Scene {
    fn default() -> Self {
        Self(Mutex::new(Place::Paris))
    }
}

impl Scene {
    /// The place.
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.lock().map_or(Place::Paris, |place| *place)
    }

    /// Travels.
    pub fn travel(&self, to: Place) {
        if let Ok(mut place) = self.0.lock() {
            *place = to;
        }
    }
}

/// A time of the day in Paris.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// When alice works.
pub const MORNING: TimeOfDay = TimeOfDay { hour: 10, minute: 0 };
/// When she never does.
pub const NIGHT: TimeOfDay = TimeOfDay { hour: 3, minute: 40 };

/// Nobody works at this hour.
#[must_use]
pub const fn is_night(time: TimeOfDay) -> bool {
    time.hour < 6
}

/// An answer that takes a moment.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// The decision point behind the scene.
pub trait Backstage: Send + Sync + 'static {
    /// What time it is in the story.
    fn now(&self) -> Timestamp;
    /// The story's time as people read it, in Paris.
    fn clock(&self) -> String;
    /// The same as a time of the day.
    fn time(&self) -> TimeOfDay;
    /// Lets time pass until it is that time of day in Paris, on a working day for the morning.
    fn wait_until(&self, time: TimeOfDay);
    /// Gives alice a past: five weeks of working days in Paris, with this browser. What is known of her already is not taught again.
    fn remember(&self, agent: &str) -> Later<()>;
    /// A one-time code with which alice may enrol a passkey, as an operator issues it.
    fn enroll_code(&self) -> Later<String>;
    /// How many passkeys alice has.
    fn passkeys(&self) -> usize;
    /// What a request of this browser would score now; nothing where it identifies nobody.
    fn hand(&self, browsing: Browsing) -> Later<Option<Hand>>;
    /// Learns what this browser told of the pointer as alice's, as two of her step-ups would, and begins a new window.
    fn learn_hand(&self, browsing: Browsing) -> Later<()>;
    /// Why a decision came out as it did.
    fn why(&self, decision: &str) -> Option<Why>;
}
