//! How long a decision may be believed after it was given, what it rests on, and how its end is told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::IdError;
use crate::{Millis, Revision, RiskScore};

/// The name of one thing that a decision rests on (a subject, a session, a device, a token), as 16 bytes of a keyed hash: written as 32 lower-case
/// hexadecimal digits. It can be compared, and says nothing to whoever does not know the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(pub [u8; 16]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

impl TryFrom<String> for Tag {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| is_hex && text.len() == 32);
        number.map(|number| Self(number.to_be_bytes())).ok_or(IdError::Form)
    }
}

/// A position in the stream of endings of one life of a decision point, as `life-seq`: the id of a watch event. Positions of two lives cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch {
    /// Which stream: a number that no two lives of any decision point share.
    pub life: u64,
    /// How many events were told in it.
    pub seq: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.life, self.seq)
    }
}

impl FromStr for Epoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (life, seq) = text.split_once('-').ok_or(IdError::Form)?;
        Ok(Self { life: number(life)?, seq: number(seq)? })
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.to_string()
    }
}

impl TryFrom<String> for Epoch {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

/// Digits only: the parser of the standard library takes a sign as well.
fn number(text: &str) -> Result<u64, IdError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(IdError::Form)
}

/// How fresh a decision is, as `chain-seq`: the log that it was made from, and how much of that log it had seen. Accepted back as a floor: a decision that
/// must be at least as fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Consistency {
    /// Which log. Two logs cannot be compared.
    pub chain: u64,
    /// The last record of it that was seen.
    pub seq: u64,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.chain, self.seq)
    }
}

impl From<Consistency> for String {
    fn from(consistency: Consistency) -> Self {
        consistency.to_string()
    }
}

impl TryFrom<String> for Consistency {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let (chain, seq) = text.split_once('-').filter(|(chain, _)| chain.len() == 16).ok_or(IdError::Form)?;
        let is_hex = chain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let chain = u64::from_str_radix(chain, 16).ok().filter(|_| is_hex).ok_or(IdError::Form)?;
        Ok(Self { chain, seq: number(seq)? })
    }
}

/// Leave to repeat an allow for the same question without asking again: for this long, from when the question was asked, and only until one of these ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// How long, at most. Counted from before the question was sent, on a clock that only runs forward.
    #[serde(rename = "ttl_ms")]
    pub ttl: Millis,
    /// What was told before the facts were read: an ending that is told after it ends this lease, however late the answer arrives.
    pub epoch: Epoch,
    /// The policy that allowed it.
    pub revision: Revision,
    /// The risk stays below this, or the decision point says that it ended.
    pub risk_below: RiskScore,
    /// What it rests on.
    pub depends_on: Vec<Tag>,
}

/// What an enforcement point asks for with a question, in `context.countersign`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<WantedLease>,
    /// An answer that is at least this fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Consistency>,
}

/// The lease that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedLease {
    /// The longest that is of use. The decision point may give less, and none.
    #[serde(rename = "ttl_ms")]
    pub ttl: Millis,
    /// The name of the watch of whoever asks: it is told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchName>,
}

/// How a watch is called by the enforcement point that opened it: 1 to 64 letters, digits, `-`, `_` and `.`, chosen at random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WatchName(String);

impl WatchName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WatchName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if (1..=64).contains(&text.len()) && is_plain { Ok(Self(text)) } else { Err(IdError::Form) }
    }
}

impl From<WatchName> for String {
    fn from(name: WatchName) -> Self {
        name.0
    }
}

/// Why something that decisions rest on is no longer what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was revoked.
    Revoked,
    /// It is locked for a while.
    Locked,
    /// Its risk rose.
    Risk,
    /// What is known of the device changed.
    Device,
    /// What is known of the subject changed: roles, credentials, grants, links.
    Subject,
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchEvent {
    /// The first of a watch: from now on, everything is told.
    Hello {
        /// Something is told at least this often, if only that the watch lives.
        #[serde(rename = "heartbeat_ms")]
        heartbeat: Millis,
        /// How long a lease may still be used when the watch is lost.
        #[serde(rename = "floor_ms")]
        floor: Millis,
        /// The active policy.
        revision: Revision,
    },
    /// Leases that rest on any of these end.
    Ended {
        /// Why.
        reason: Ending,
        /// The names.
        depends_on: Vec<Tag>,
    },
    /// Leases of every other policy end.
    Policy {
        /// The policy that is active now.
        revision: Revision,
    },
    /// Every lease ends: more changed, or was missed, than can be told.
    Reset {},
    /// This decision point is about to end: watch another, after a random part of this time.
    Draining {
        /// The longest to wait.
        #[serde(rename = "within_ms")]
        within: Millis,
    },
}

#[cfg(test)]
mod tests {
    //! The texts of names and positions, and what is refused of them.

    use super::*;

    #[track_caller]
    fn round<T: TryFrom<String> + Into<String> + Clone>(text: &str, is_read: bool) {
        let read = T::try_from(text.to_owned()).ok();
        assert_eq!(read.is_some(), is_read, "{text}");
        if let Some(read) = read {
            assert_eq!(read.into(), text);
        }
    }

    #[test]
    fn texts_are_read_as_they_are_written_and_no_other_way() {
        round::<Tag>("000102030405060708090a0b0c0d0e0f", true);
        round::<Tag>("000102030405060708090A0B0C0D0E0F", false);
        round::<Tag>("+00102030405060708090a0b0c0d0e0f", false);
        round::<Tag>("00", false);
        round::<Epoch>("12-345", true);
        round::<Epoch>("12-+345", false);
        round::<Epoch>("12-", false);
        round::<Epoch>("-1-2", false);
        round::<Consistency>("00000000000000ff-7", true);
        round::<Consistency>("ff-7", false);
        round::<Consistency>("00000000000000FF-7", false);
        round::<WatchName>("pep-1.a_B", true);
        round::<WatchName>("", false);
        round::<WatchName>("a b", false);
        round::<WatchName>(&"a".repeat(65), false);
    }

    #[test]
    fn a_lease_has_one_form() {
        let lease = Lease {
            ttl: Millis(30_000),
            epoch: Epoch { life: 3, seq: 9 },
            revision: Revision::new("r1").unwrap(),
            risk_below: RiskScore::new(30).unwrap(),
            depends_on: vec![Tag([7; 16])],
        };
        let text = r#"{"ttl_ms":30000,"epoch":"3-9","revision":"r1","risk_below":30,"depends_on":["07070707070707070707070707070707"]}"#;
        assert_eq!(serde_json::to_string(&lease).unwrap(), text);
        assert_eq!(serde_json::from_str::<Lease>(text).unwrap(), lease);
    }

    #[test]
    fn an_event_has_one_form() {
        let event = WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![Tag([1; 16])] };
        let text = r#"{"type":"ended","reason":"revoked","depends_on":["01010101010101010101010101010101"]}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::to_string(&WatchEvent::Reset {}).unwrap(), r#"{"type":"reset"}"#);
    }
}
