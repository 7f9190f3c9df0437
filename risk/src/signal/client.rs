//! The client: browser family × operating system × class, never the whole agent string, so that an update is not a new client.
//!
//! ln(0.6 g + 0.4 p) − ln p with p = (c + g) / (n + 1) and g = 0.05, where n is the weight of events that named a client: with 0.4 the attacker copies
//! what the subject uses. From −1 to 2 nats on a known device, which does not change its browser; to 0.5 on an unknown one, where a genuine subject's
//! client is new as well. A browser two or more versions older than the one that the subject has used adds 1 nat: browsers update themselves forward.
//! A TLS fingerprint (JA4) that differs from the one that this very family and version had adds 2: the client is not what it claims to be.
//!
//! Client Hints win over the agent string, which browsers freeze. Eight families and seven systems are read by the tokens that all browsers agree on;
//! a full parser brings thousands of regular expressions for names that the likelihood does not distinguish.

use countersign_sdk_types::Signal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fingerprint::Hints;
use crate::{EvidenceItem, Known, Sighting};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[allow(missing_docs, reason = "the name says it")] $variant),* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, in lower case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }

            fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

names!(
    /// A browser family.
    Browser { Chrome, Edge, Firefox, Opera, Safari, Samsung, Tool, Other }
);
names!(
    /// An operating system.
    System { Windows, MacOs, Ios, Android, ChromeOs, Linux, Other }
);

/// A client as one request shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What kind of client it is.
    pub family: Family,
    /// The browser's major version; 0 where none is read.
    pub version: u16,
}

/// What kind of client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family {
    /// The browser.
    pub browser: Browser,
    /// The operating system.
    pub system: System,
    /// A phone or a tablet.
    pub mobile: bool,
}

/// How common an average family is.
const COMMON: f64 = 0.05;
const LEAST: f64 = -1.0;
const MOST_ON_A_KNOWN_DEVICE: f64 = 2.0;
const MOST_ON_A_NEW_DEVICE: f64 = 0.5;
const DOWNGRADE: f64 = 1.0;
const CONTRADICTED: f64 = 2.0;
/// Agents longer than this are cut before they are read.
const LONGEST_AGENT: usize = 512;

/// The tokens of browsers, and what each names. The order matters: each later browser names the earlier ones.
const BROWSERS: [(&str, Browser); 14] = [
    ("Edg/", Browser::Edge),
    ("EdgA/", Browser::Edge),
    ("EdgiOS/", Browser::Edge),
    ("OPR/", Browser::Opera),
    ("SamsungBrowser/", Browser::Samsung),
    ("Firefox/", Browser::Firefox),
    ("FxiOS/", Browser::Firefox),
    ("Chrome/", Browser::Chrome),
    ("CriOS/", Browser::Chrome),
    ("Version/", Browser::Safari),
    ("curl/", Browser::Tool),
    ("Wget/", Browser::Tool),
    ("python-requests/", Browser::Tool),
    ("Go-http-client/", Browser::Tool),
];
const SYSTEMS: [(&str, System); 7] = [
    ("iPhone", System::Ios),
    ("iPad", System::Ios),
    ("Android", System::Android),
    ("Windows NT", System::Windows),
    ("CrOS", System::ChromeOs),
    ("Mac OS X", System::MacOs),
    ("Linux", System::Linux),
];
/// The brands of `Sec-CH-UA`; whoever builds on Chromium names it too, so it comes last.
const BRANDS: [(&str, Browser); 5] = [
    ("\"Microsoft Edge\"", Browser::Edge),
    ("\"Opera\"", Browser::Opera),
    ("\"Samsung Internet\"", Browser::Samsung),
    ("\"Google Chrome\"", Browser::Chrome),
    ("\"Chromium\"", Browser::Chrome),
];
const PLATFORMS: [(&str, System); 7] = [
    ("\"Windows\"", System::Windows),
    ("\"macOS\"", System::MacOs),
    ("\"iOS\"", System::Ios),
    ("\"Android\"", System::Android),
    ("\"Chrome OS\"", System::ChromeOs),
    ("\"Chromium OS\"", System::ChromeOs),
    ("\"Linux\"", System::Linux),
];

impl Client {
    /// Reads a `User-Agent` (RFC 9110 §10.1.5) and Client Hints (RFC 8942, UA Client Hints), which win where they speak. `None` when neither is there.
    #[must_use]
    pub fn read(agent: Option<&str>, hints: &Hints<'_>) -> Option<Self> {
        if agent.is_none() && hints.brands.is_none() {
            return None;
        }
        let agent = cut(agent.unwrap_or_default());
        let brands = cut(hints.brands.unwrap_or_default());
        let (browser, version) = brand(brands).or_else(|| product(agent)).unwrap_or((Browser::Other, 0));
        let platform = hints.platform.and_then(|platform| first(cut(platform), &PLATFORMS));
        let system = platform.or_else(|| first(agent, &SYSTEMS)).unwrap_or(System::Other);
        let is_mobile = match hints.mobile {
            Some(mobile) => mobile.trim() == "?1",
            None => agent.contains("Mobile") || matches!(system, System::Ios | System::Android),
        };
        Some(Self { family: Family { browser, system, mobile: is_mobile }, version })
    }
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST_AGENT).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

fn first<T: Copy>(text: &str, tokens: &[(&str, T)]) -> Option<T> {
    tokens.iter().find(|(token, _)| text.contains(token)).map(|(_, meaning)| *meaning)
}

fn product(agent: &str) -> Option<(Browser, u16)> {
    BROWSERS.iter().find_map(|(token, browser)| agent.split_once(token).map(|(_, version)| (*browser, major(version))))
}

fn brand(brands: &str) -> Option<(Browser, u16)> {
    BRANDS.iter().find_map(|(name, browser)| {
        let (_, rest) = brands.split_once(name)?;
        Some((*browser, major(rest.trim_start_matches(|letter: char| !letter.is_ascii_digit() && letter != ','))))
    })
}

fn major(text: &str) -> u16 {
    text.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl From<Family> for String {
    fn from(family: Family) -> Self {
        format!("{}/{}/{}", family.browser.name(), family.system.name(), if family.mobile { "mobile" } else { "desktop" })
    }
}

impl TryFrom<String> for Family {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (browser, system, class) = (part(), part(), part());
        let browser = Browser::named(browser).ok_or("unknown browser family")?;
        let system = System::named(system).ok_or("unknown operating system")?;
        Ok(Self { browser, system, mobile: class == "mobile" })
    }
}

impl Family {
    /// One byte for each family.
    pub(crate) const fn code(self) -> u8 {
        (self.browser as u8) << 4 | (self.system as u8) << 1 | self.mobile as u8
    }
}

/// Text where people read, one number where it is stored: the places in the lists of names are part of the stored form.
impl Serialize for Family {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        if writer.is_human_readable() {
            return writer.serialize_str(&String::from(*self));
        }
        self.code().serialize(writer)
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if reader.is_human_readable() {
            return Self::try_from(String::deserialize(reader)?).map_err(D::Error::custom);
        }
        let code = u8::deserialize(reader)?;
        let browser = Browser::ALL.get(usize::from(code >> 4)).ok_or_else(|| D::Error::custom("unknown browser family"))?;
        let system = System::ALL.get(usize::from(code >> 1 & 7)).ok_or_else(|| D::Error::custom("unknown operating system"))?;
        Ok(Self { browser: *browser, system: *system, mobile: code & 1 == 1 })
    }
}

pub(crate) fn observe(sighting: &Sighting, known: &Known<'_>) -> Option<EvidenceItem> {
    let Some(client) = sighting.client else {
        return Some(EvidenceItem::new(Signal::Client, 0.0, &[], "the client does not say what it is"));
    };
    let baseline = known.baseline;
    let entry = baseline.family(client.family);
    let is_known_device = [sighting.key, sighting.cookie].into_iter().flatten().any(|device| baseline.knows_device(device));
    let most = if is_known_device { MOST_ON_A_KNOWN_DEVICE } else { MOST_ON_A_NEW_DEVICE };
    let subject = (entry.map_or(0.0, |entry| f64::from(entry.weight)) + COMMON) / (baseline.named() + 1.0);
    let nats = libm::log((0.6 * COMMON + 0.4 * subject) / subject).clamp(LEAST, most);
    // A proof answers this client with this handshake: no other one, and no other finding.
    let seen = u64::from(client.version) << 40 | u64::from(client.family.code()) << 32 | u64::from(sighting.tls.map_or(0, |tls| tls.0));
    let item = |nats: f64, text: &'static str| EvidenceItem::new(Signal::Client, nats, &seen.to_be_bytes(), text);
    let Some(entry) = entry else { return Some(item(nats, "the client is new to the subject")) };
    let is_older = client.version.saturating_add(1) < entry.newest;
    let is_other_tls = client.version == entry.newest && sighting.tls.zip(entry.tls).is_some_and(|(now, then)| now != then);
    Some(match () {
        () if is_other_tls => item(nats.max(0.0) + CONTRADICTED, "the handshake is not that of the client it claims to be"),
        // A version that cannot be read, where there was one, is no newer one.
        () if is_older => item(nats + DOWNGRADE, "the client is older than the one that the subject has used before"),
        () => item(nats, "the client is one that the subject has used before"),
    })
}
