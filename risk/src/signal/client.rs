//! The client: browser family × operating system × class, never the whole agent string, so that an update is not a new client.
//!
//! ln(0.6 g + 0.4 p) − ln p with p = (c + g) / (n + 1) and g = 0.05: with 0.4 the attacker copies what the subject uses. Clipped to −1 … 1.5 nats.

use countersign_sdk_types::Signal;
use serde::{Deserialize, Serialize};

use crate::{Baseline, EvidenceItem, Sighting};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $(#[allow(missing_docs, reason = "the name says it")] $variant),* }
    };
}

names!(
    /// A browser family.
    Browser { Chrome, Edge, Firefox, Opera, Safari, Tool, Other }
);
names!(
    /// An operating system.
    System { Windows, MacOs, Ios, Android, ChromeOs, Linux, Other }
);

/// What kind of client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Family {
    /// The browser.
    pub browser: Browser,
    /// The operating system.
    pub system: System,
    /// A phone or a tablet.
    pub mobile: bool,
}

const COMMON: f64 = 0.05;
/// Agents longer than this are cut before they are read.
const LONGEST_AGENT: usize = 512;

impl Family {
    /// Reads a `User-Agent` (RFC 9110 §10.1.5) by the tokens that browsers agree on. The order matters: each later browser names the earlier ones.
    #[must_use]
    pub fn parse(agent: &str) -> Self {
        let agent: String = agent.chars().take(LONGEST_AGENT).collect();
        let has = |token: &str| agent.contains(token);
        let browser = match () {
            () if has("Edg/") || has("EdgA/") || has("EdgiOS/") => Browser::Edge,
            () if has("OPR/") => Browser::Opera,
            () if has("Firefox/") || has("FxiOS/") => Browser::Firefox,
            () if has("Chrome/") || has("CriOS/") => Browser::Chrome,
            () if has("Safari/") && has("Version/") => Browser::Safari,
            () if agent.starts_with("curl/") || agent.starts_with("Wget/") || agent.starts_with("python-") => Browser::Tool,
            () => Browser::Other,
        };
        let system = match () {
            () if has("iPhone") || has("iPad") => System::Ios,
            () if has("Android") => System::Android,
            () if has("Windows NT") => System::Windows,
            () if has("CrOS") => System::ChromeOs,
            () if has("Mac OS X") => System::MacOs,
            () if has("Linux") => System::Linux,
            () => System::Other,
        };
        Self { browser, system, mobile: has("Mobile") || matches!(system, System::Ios | System::Android) }
    }
}

impl From<Family> for String {
    fn from(family: Family) -> Self {
        format!("{:?}/{:?}/{}", family.browser, family.system, if family.mobile { "mobile" } else { "desktop" })
    }
}

impl TryFrom<String> for Family {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (browser, system, class) = (part(), part(), part());
        let browsers = [Browser::Chrome, Browser::Edge, Browser::Firefox, Browser::Opera, Browser::Safari, Browser::Tool, Browser::Other];
        let systems = [System::Windows, System::MacOs, System::Ios, System::Android, System::ChromeOs, System::Linux, System::Other];
        let browser = browsers.into_iter().find(|known| format!("{known:?}") == browser).ok_or("unknown browser family")?;
        let system = systems.into_iter().find(|known| format!("{known:?}") == system).ok_or("unknown operating system")?;
        Ok(Self { browser, system, mobile: class == "mobile" })
    }
}

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    let Some(family) = sighting.family else {
        return Some(EvidenceItem::new(Signal::Client, 0.0, &[], "the client does not say what it is"));
    };
    let count = baseline.family(family);
    let subject = (count + COMMON) / (baseline.weight() + 1.0);
    let nats = libm::log((0.6 * COMMON + 0.4 * subject) / subject).clamp(-1.0, 1.5);
    let text = if count > 0.0 { "the client is one that the subject has used before" } else { "the client is new to the subject" };
    Some(EvidenceItem::new(Signal::Client, nats, String::from(family).as_bytes(), text))
}
