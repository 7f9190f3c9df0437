//! The one canonical form of a path and of a host. What means different things to different servers is refused, never repaired.
//!
//! No proxy normalizes for us, and each backend reads `..;`, `%2F` or `\` in its own way: agreement with the backend is only certain where there is
//! nothing to disagree about.

use std::net::{Ipv4Addr, Ipv6Addr};

use countersign_sdk_types::Host;
use serde::{Deserialize, Serialize};

/// A path that every server reads alike: absolute, unreserved octets decoded (RFC 3986 §6.2.2.2), other triplets in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CanonicalPath(String);

/// Why a path or a host was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// It does not begin with a slash.
    #[error("path does not begin with a slash")]
    Relative,
    /// It is longer than 8 KiB.
    #[error("path is longer than 8 KiB")]
    TooLong,
    /// `.` or `..` as a segment, plain or encoded.
    #[error("path has a dot segment")]
    DotSegment,
    /// `//`.
    #[error("path has an empty segment")]
    EmptySegment,
    /// `%2F`, `%5C` or a backslash.
    #[error("path has a hidden separator")]
    Separator,
    /// `;`, plain or encoded: some servers cut a parameter off there.
    #[error("path has a parameter")]
    Parameter,
    /// `#` or `%23`.
    #[error("path has a fragment")]
    Fragment,
    /// A control character, plain or encoded.
    #[error("path has a control character")]
    Control,
    /// `%25`: decoding it once more would make another path.
    #[error("path is encoded twice")]
    DoubleEncoding,
    /// `%` without two hexadecimal digits.
    #[error("path has a broken escape")]
    BrokenEscape,
    /// Octets that are no UTF-8, or raw octets outside ASCII.
    #[error("path is not UTF-8 in percent-encoding")]
    Encoding,
    /// Not a host name or an address literal.
    #[error("host is not a name or an address")]
    Host,
}

const LONGEST: usize = 8 * 1024;

impl CanonicalPath {
    /// Reads a raw path without its query.
    ///
    /// # Errors
    /// When the path is ambiguous; the error says why.
    pub fn parse(raw: &str) -> Result<Self, Ambiguous> {
        if raw.len() > LONGEST {
            return Err(Ambiguous::TooLong);
        }
        let rest = raw.strip_prefix('/').ok_or(Ambiguous::Relative)?;
        let mut segments = Vec::new();
        let mut remaining = rest.split('/').peekable();
        while let Some(segment) = remaining.next() {
            let canonical = canonical_segment(segment)?;
            match canonical.as_str() {
                "." | ".." => return Err(Ambiguous::DotSegment),
                // A trailing slash is a path of its own; an empty segment inside is not.
                "" if remaining.peek().is_some() => return Err(Ambiguous::EmptySegment),
                _ => segments.push(canonical),
            }
        }
        Ok(Self(format!("/{}", segments.join("/"))))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CanonicalPath {
    type Error = Ambiguous;
    fn try_from(raw: String) -> Result<Self, Ambiguous> {
        Self::parse(&raw)
    }
}

impl From<CanonicalPath> for String {
    fn from(path: CanonicalPath) -> Self {
        path.0
    }
}

fn canonical_segment(segment: &str) -> Result<String, Ambiguous> {
    let mut canonical = String::with_capacity(segment.len());
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let (octet, escaped) = match byte {
            b'%' => (escape(bytes.next(), bytes.next())?, true),
            _ if !byte.is_ascii() => return Err(Ambiguous::Encoding),
            _ => (byte, false),
        };
        refuse(octet)?;
        decoded.push(octet);
        let unreserved = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
        match escaped && !unreserved {
            true => canonical.push_str(&format!("%{octet:02X}")),
            false => canonical.push(char::from(octet)),
        }
    }
    std::str::from_utf8(&decoded).map_err(|_| Ambiguous::Encoding)?;
    Ok(canonical)
}

fn escape(high: Option<u8>, low: Option<u8>) -> Result<u8, Ambiguous> {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(Ambiguous::BrokenEscape);
    u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| Ambiguous::BrokenEscape)
}

const fn refuse(octet: u8) -> Result<(), Ambiguous> {
    match octet {
        b'/' | b'\\' => Err(Ambiguous::Separator),
        b';' => Err(Ambiguous::Parameter),
        b'#' => Err(Ambiguous::Fragment),
        b'%' => Err(Ambiguous::DoubleEncoding),
        0..=0x1f | 0x7f => Err(Ambiguous::Control),
        b' ' => Err(Ambiguous::Control),
        _ => Ok(()),
    }
}

/// Brings an authority (RFC 3986 §3.2) into its one form: lower case, without a trailing dot, without the scheme's own port.
///
/// # Errors
/// When it carries user information, is no ASCII host name or address literal, or its port is no port.
pub fn canonical_host(authority: &str, scheme: &str) -> Result<Host, Ambiguous> {
    let lower = authority.to_ascii_lowercase();
    let (name, port) = match lower.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        Some(_) if !lower.ends_with(']') => return Err(Ambiguous::Host),
        _ => (lower.as_str(), None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !is_name(name) && !is_literal(name) {
        return Err(Ambiguous::Host);
    }
    let port = port.map(|port| port.parse::<u16>().map_err(|_| Ambiguous::Host)).transpose()?;
    let own = match scheme {
        "https" | "wss" => 443,
        _ => 80,
    };
    let text = match port.filter(|port| *port != own) {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    Host::new(text).map_err(|_| Ambiguous::Host)
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        !label.is_empty() && label.len() <= 63 && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    // A last label of digits only would be an address in one of its odd spellings (`127.1`, `0x7f`): only the plain form is taken.
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && (!last_is_number || name.parse::<Ipv4Addr>().is_ok())
}

fn is_literal(name: &str) -> bool {
    name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests;
