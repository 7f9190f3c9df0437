//! What a device looks like, component by component: similar devices share most components, so an updated browser is not a new device.

use serde::{Deserialize, Serialize};

use crate::signal::client::Client;
use crate::{Keyed, SubjectSalt};

/// What a client says of itself beside its `User-Agent`, each as its header has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// `Sec-CH-UA`.
    pub brands: Option<&'a str>,
    /// `Sec-CH-UA-Platform`.
    pub platform: Option<&'a str>,
    /// `Sec-CH-UA-Platform-Version`.
    pub platform_version: Option<&'a str>,
    /// `Sec-CH-UA-Model`.
    pub model: Option<&'a str>,
    /// `Sec-CH-UA-Mobile`.
    pub mobile: Option<&'a str>,
    /// `Accept-Language`.
    pub language: Option<&'a str>,
    /// The JA4 fingerprint of the TLS handshake, from a trusted proxy. Compared, never read.
    pub ja4: Option<&'a str>,
}

/// Components, one byte each, keyed under the subject's salt; 0 where the client does not say. One byte tells a match from chance well enough for
/// evidence that counts half, and says next to nothing about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint([u8; 6]);

/// Components that must be there before anything is compared: an agent string alone is too easily guessed.
const ENOUGH: usize = 4;
/// The longest value of a component that is read.
const LONGEST: usize = 512;

impl Fingerprint {
    pub(crate) fn new(agent: Option<&str>, hints: &Hints<'_>, salt: &SubjectSalt) -> Option<Self> {
        let family = Client::read(agent, hints).map(|client| String::from(client.family));
        let components = [family.as_deref(), hints.platform, hints.platform_version, hints.model, hints.mobile, hints.language];
        let mut bytes = [0; 6];
        for (byte, component) in bytes.iter_mut().zip(components) {
            let read = |value: &str| value.as_bytes().iter().take(LONGEST).copied().collect::<Vec<u8>>();
            let Keyed(keyed) = component.map_or(Keyed(0), |value| salt.key("component", &read(value)));
            *byte = component.map_or(0, |_| keyed.to_le_bytes()[0].max(1));
        }
        let print = Self(bytes);
        (print.said() >= ENOUGH).then_some(print)
    }

    fn said(self) -> usize {
        self.0.iter().filter(|byte| **byte != 0).count()
    }

    /// All but one of the components that both say are the same, and both say enough.
    #[must_use]
    pub fn resembles(self, other: Self) -> bool {
        let both = self.0.iter().zip(other.0).filter(|(a, b)| **a != 0 && *b != 0);
        let (compared, same) = both.fold((0, 0), |(compared, same), (a, b)| (compared + 1, same + usize::from(*a == b)));
        compared >= ENOUGH && same + 1 >= compared
    }
}
