//! What a device looks like, component by component: similar devices share most components, so an updated browser is not a new device.

use arrayvec::ArrayVec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// What a script on a page tells of the device: digests of what the browser shows, one a component, in the order of [`Told::NAMES`]. None where the browser
/// does not say. The client's own word, like its headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told(pub [Option<u64>; PARTS]);

impl Told {
    /// The components' names, as they are sent.
    pub const NAMES: [&'static str; PARTS] = ["audio", "canvas", "clock", "graphics", "screen", "system"];

    /// Four bits a component, keyed under the subject's salt.
    #[must_use]
    pub fn keyed(&self, salt: &SubjectSalt) -> Components {
        let one = |(name, told): (&str, Option<u64>)| {
            let Some(told) = told else { return 0 };
            let Keyed(keyed) = salt.key("device component", &[name.as_bytes(), &told.to_be_bytes()].concat());
            keyed % NIBBLES + 1
        };
        Components(Self::NAMES.into_iter().zip(self.0).map(one).fold(0, |all, component| all << 4 | component))
    }
}

/// What a script told of the device, keyed: six times four bits, 0 where it did not say. Safe to record: it says hardly anything about a device, and enough
/// about two when nearly all of them must match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Components(u32);

impl From<u32> for Components {
    fn from(bits: u32) -> Self {
        Self(bits & ALL)
    }
}

impl From<Components> for u32 {
    fn from(Components(bits): Components) -> Self {
        bits
    }
}

impl Components {
    const NONE: Self = Self(0);

    /// Each component by itself.
    fn each(self) -> [u8; PARTS] {
        let mut each = [0; PARTS];
        each.iter_mut().rev().fold(self.0, |bits, component| {
            *component = bits.to_le_bytes()[0] & 0xF;
            bits >> 4
        });
        each
    }

    const fn to_bytes(self) -> [u8; 3] {
        let [_, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    const fn from_bytes([first, second, third]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, first, second, third]))
    }
}

/// What a device looks like. Of the headers: components of one byte each, keyed under the subject's salt; 0 where the client does not say. One byte tells a
/// match from chance well enough for evidence that counts half, and says next to nothing about a device. And what a script told, where there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    said: [u8; PARTS],
    told: Components,
}

/// Components of the headers, and as many of a script.
const PARTS: usize = 6;
/// Values of a script's component, nothing apart; and the bits of all of them.
const NIBBLES: u32 = 15;
const ALL: u32 = 0x00FF_FFFF;
/// Components that must be there before anything is compared: an agent string alone is too easily guessed.
const ENOUGH: usize = 4;
/// The longest value of a component that is read.
const LONGEST: usize = 512;

fn given(components: [u8; PARTS]) -> usize {
    components.iter().filter(|component| **component != 0).count()
}

impl Fingerprint {
    pub(crate) fn new(agent: Option<&str>, hints: &Hints<'_>, told: Option<Components>, salt: &SubjectSalt) -> Option<Self> {
        let family = Client::read(agent, hints).map(|client| String::from(client.family));
        let components = [family.as_deref(), hints.platform, hints.platform_version, hints.model, hints.mobile, hints.language];
        let mut said = [0; PARTS];
        for (byte, component) in said.iter_mut().zip(components) {
            let read = |value: &str| value.as_bytes().iter().take(LONGEST).copied().collect::<Vec<u8>>();
            let Keyed(keyed) = component.map_or(Keyed(0), |value| salt.key("component", &read(value)));
            *byte = component.map_or(0, |_| keyed.to_le_bytes()[0].max(1));
        }
        let told = told.unwrap_or_default();
        (given(said) >= ENOUGH || given(told.each()) >= ENOUGH).then_some(Self { said, told })
    }

    /// Without what a script told; none where too little is left.
    pub(crate) fn of_headers(self) -> Option<Self> {
        (given(self.said) >= ENOUGH).then_some(Self { told: Components::NONE, ..self })
    }

    /// Whether a client looks like this known one. Of the headers' components that both say, all but one are the same, and of a script's that the known one
    /// told, where the other tells any, all but one too; all, where few are compared. Enough of one kind must be compared.
    #[must_use]
    pub fn resembles(self, other: Self) -> bool {
        let said = Compared::of(self.said.into_iter().zip(other.said).filter(|(_, other)| *other != 0));
        // What is left out here is no match: else whoever guesses would tell the fewest that are enough.
        let told = Compared::of(self.told.each().into_iter().zip(other.told.each()).filter(|_| other.told != Components::NONE));
        (said.is_enough() || told.is_enough()) && said.agrees() && told.agrees()
    }
}

/// How many components are compared, and how many of these are the same.
struct Compared {
    all: usize,
    same: usize,
}

impl Compared {
    /// Of pairs whose first is known.
    fn of(pairs: impl Iterator<Item = (u8, u8)>) -> Self {
        let known = pairs.filter(|(known, _)| *known != 0);
        known.fold(Self { all: 0, same: 0 }, |Self { all, same }, (a, b)| Self { all: all + 1, same: same + usize::from(a == b) })
    }

    const fn is_enough(&self) -> bool {
        self.all >= ENOUGH
    }

    const fn agrees(&self) -> bool {
        self.same == self.all || self.is_enough() && self.same + 1 == self.all
    }
}

/// In JSON a list of the headers' components, followed by three bytes where a script told something: journals and records from before there was one read as
/// they are. The compact form, in which events wait in a baseline, has the headers' only.
impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        if !writer.is_human_readable() {
            return self.said.serialize(writer);
        }
        let told = self.told.to_bytes();
        writer.collect_seq(self.said.iter().chain(if self.told == Components::NONE { [].iter() } else { told.iter() }))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if !reader.is_human_readable() {
            return <[u8; PARTS]>::deserialize(reader).map(|said| Self { said, told: Components::NONE });
        }
        let all = ArrayVec::<u8, 9>::deserialize(reader)?;
        let wrong = || D::Error::custom("a fingerprint has six numbers, or nine");
        let (said, rest) = all.split_first_chunk().ok_or_else(wrong)?;
        let told = if rest.is_empty() { Ok([0; 3]) } else { rest.try_into() };
        Ok(Self { said: *said, told: Components::from_bytes(told.map_err(|_| wrong())?) })
    }
}

/// A fingerprint as a baseline remembers it, whole also in its compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look(pub(crate) Fingerprint);

impl Serialize for Look {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        if writer.is_human_readable() { self.0.serialize(writer) } else { (self.0.said, self.0.told.to_bytes()).serialize(writer) }
    }
}

impl<'de> Deserialize<'de> for Look {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        if reader.is_human_readable() {
            return Fingerprint::deserialize(reader).map(Self);
        }
        <([u8; PARTS], [u8; 3])>::deserialize(reader).map(|(said, told)| Self(Fingerprint { said, told: Components::from_bytes(told) }))
    }
}

#[cfg(test)]
mod tests;
