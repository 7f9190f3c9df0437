//! Who may sign: the file that ssh-keygen(1) describes under ALLOWED SIGNERS.

use std::path::Path;

use countersign_sdk_types::{Digest, Timestamp};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::names::shown;
use super::signature::{SignatureError, Signed};
use crate::files;

/// The largest file, and the most keys in it.
const LARGEST: u64 = 1024 * 1024;
const MAX_SIGNERS: usize = 10_000;
/// What a signature of git is made for.
const NAMESPACE: &str = "git";

/// Why a file of signers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignersError {
    #[error("the allowed signers cannot be read: {0}")]
    Unreadable(String),
    #[error("allowed signers, line {line}: {why}")]
    Line { line: usize, why: String },
    #[error("the allowed signers are none: whatever is offered is refused")]
    Empty,
}

/// Why a signature is not one of theirs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAllowed {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("it is signed by a key that is not among the allowed signers: {0}")]
    Unknown(String),
    #[error("the key of `{0}` may not sign for git")]
    Namespace(String),
    #[error("the key of `{0}` may not sign yet")]
    Early(String),
    #[error("the key of `{0}` may not sign any more")]
    Late(String),
}

/// Who may sign.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signers {
    all: Vec<Signer>,
    digest: Digest,
}

#[derive(Debug, PartialEq, Eq)]
struct Signer {
    name: String,
    key: KeyData,
    /// Patterns of what it may sign; any where there are none.
    namespaces: Option<Vec<String>>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Signers {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is not understood: half a list is none.
    pub(crate) fn read(path: &Path) -> Result<Self, SignersError> {
        let unreadable = |error: std::io::Error| SignersError::Unreadable(format!("`{}`: {error}", path.display()));
        Self::parse(&files::read(path, LARGEST).map_err(unreadable)?)
    }

    pub(super) fn parse(content: &[u8]) -> Result<Self, SignersError> {
        let text = std::str::from_utf8(content).map_err(|_| SignersError::Unreadable("they are not UTF-8".to_owned()))?;
        let lines = text.lines().enumerate().map(|(line, text)| (line + 1, text.trim()));
        let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let all = lines.map(|(line, text)| Signer::parse(text).map_err(|why| SignersError::Line { line, why }));
        let all = all.take(MAX_SIGNERS).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err(SignersError::Empty) } else { Ok(Self { all, digest: Digest(*blake3::hash(content).as_bytes()) }) }
    }

    /// Changes with the file.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Who of them signed this, as of now: a time that a commit states of itself is anybody's word.
    pub(super) fn who(&self, signed: &Signed, now: Timestamp) -> Result<&str, NotAllowed> {
        let key = signed.by()?;
        let mut why = NotAllowed::Unknown(key.fingerprint(ssh_key::HashAlg::Sha256).to_string());
        for signer in self.all.iter().filter(|signer| signer.key == key) {
            match signer.may(now) {
                Ok(()) => return Ok(&signer.name),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }
}

impl Signer {
    /// `principals [options] type key [comment]`.
    fn parse(line: &str) -> Result<Self, String> {
        let (principals, rest) = word(line)?;
        let name: String = principals.chars().filter(|letter| *letter != '"').collect();
        if name.is_empty() || name.chars().any(char::is_control) || name.len() > 200 {
            return Err("the principals are no names".to_owned());
        }
        let (next, after) = word(rest)?;
        let (options, key) = if is_key_type(next) { ("", rest) } else { (next, after) };
        let mut signer = Self { name, key: key_of(key)?, namespaces: None, after: None, before: None };
        for option in split(options, ',').into_iter().filter(|option| !option.is_empty()) {
            signer.option(option)?;
        }
        Ok(signer)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let once = |is_new: bool| if is_new { Ok(()) } else { Err(format!("`{}` is there twice", shown(name))) };
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                once(self.namespaces.is_none())?;
                self.namespaces = Some(value.split(',').map(str::to_owned).collect());
            }
            "valid-after" => {
                once(self.after.is_none())?;
                self.after = Some(instant(value)?);
            }
            "valid-before" => {
                once(self.before.is_none())?;
                self.before = Some(instant(value)?);
            }
            "cert-authority" => return Err("certificates are not read: list the keys themselves, not `cert-authority`".to_owned()),
            _ => return Err(format!("the option `{}` is not known", shown(name))),
        }
        Ok(())
    }

    fn may(&self, now: Timestamp) -> Result<(), NotAllowed> {
        let name = || self.name.clone();
        if !self.namespaces.as_ref().is_none_or(|patterns| is_listed(patterns, NAMESPACE)) {
            return Err(NotAllowed::Namespace(name()));
        }
        if self.after.is_some_and(|after| now < after) {
            return Err(NotAllowed::Early(name()));
        }
        if self.before.is_some_and(|before| now >= before) {
            return Err(NotAllowed::Late(name()));
        }
        Ok(())
    }
}

/// A list of patterns as OpenSSH reads it: one that begins with `!` takes away what another one gives.
fn is_listed(patterns: &[String], name: &str) -> bool {
    let matches = |pattern: &str| is_like(pattern.as_bytes(), name.as_bytes());
    let refused = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(matches);
    !refused && patterns.iter().map(String::as_str).any(matches)
}

/// `*` stands for anything, `?` for one byte.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last star stands, and what of the name it covers: at most one way back, so it ends in the product of both lengths.
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(b'?') => (at, from) = (at + 1, from + 1),
            Some(byte) if Some(byte) == name.get(from) => (at, from) = (at + 1, from + 1),
            _ => match star {
                Some((stood, covered)) => {
                    star = Some((stood, covered + 1));
                    (at, from) = (stood + 1, covered + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

fn is_key_type(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-")
}

fn key_of(text: &str) -> Result<KeyData, String> {
    let unreadable = || "there is no key that can be read".to_owned();
    let mut words = text.split_ascii_whitespace();
    let (kind, key) = words.next().zip(words.next()).ok_or_else(unreadable)?;
    let key = PublicKey::from_openssh(&format!("{kind} {key}")).map_err(|_| unreadable())?.key_data().clone();
    match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::Ecdsa(_) | KeyData::SkEcdsaSha2NistP256(_) | KeyData::Rsa(_) => Ok(key),
        _ => Err(format!("keys of the kind `{}` are not accepted", shown(kind))),
    }
}

/// The first word and the rest; blanks between quotes belong to the word.
fn word(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let end = text.find(|letter: char| {
        quoted ^= letter == '"';
        !quoted && letter.is_ascii_whitespace()
    });
    if quoted && end.is_none() {
        return Err("a quotation mark is missing".to_owned());
    }
    let (first, rest) = end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""));
    Ok((first, rest.trim_start()))
}

/// The parts between separators that stand outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let outside = move |letter: char| {
        quoted ^= letter == '"';
        !quoted && letter == separator
    };
    text.split(outside).collect()
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`. Without the `Z` it would be the time of whatever zone a machine is in.
fn instant(text: &str) -> Result<Timestamp, String> {
    let strange = || format!("`{}` is no date: write `YYYYMMDDZ` or `YYYYMMDDHHMMZ`, in UTC", shown(text));
    let digits = text.strip_suffix(['Z', 'z']).ok_or_else(strange)?;
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(strange());
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let year = digits.get(..4).and_then(|year| year.parse::<i16>().ok()).ok_or_else(strange)?;
    let parts = [(4, 6), (6, 8), (8, 10), (10, 12), (12, 14)].map(|(from, to)| part(from, to));
    let [Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else { return Err(strange()) };
    let time = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| strange())?;
    let time = jiff::tz::TimeZone::UTC.to_timestamp(time).map_err(|_| strange())?;
    Ok(Timestamp(time.as_millisecond()))
}

#[cfg(test)]
mod tests;
