//! The formats of logs: each reads one record, strictly, into a log-in or into nothing of interest.

mod entra;
mod jsonl;
mod keycloak;
mod okta;

use std::net::IpAddr;
use std::sync::Arc;

use clap::ValueEnum;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{DeviceId, Timestamp};
use serde::de::DeserializeOwned;

use super::gathered::Client;
use super::subjects;

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The System Log of Okta.
    Okta,
    /// Sign-in logs of Microsoft Entra ID, as Microsoft Graph gives them.
    Entra,
    /// User events of Keycloak.
    Keycloak,
    /// Our own: one log-in a line.
    Jsonl,
}

/// Which field of a record is the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectField {
    /// The provider's own id of the user.
    Id,
    /// The name by which the user logs in.
    Login,
}

/// Which identifiers of a log are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Devices too: the log names them as requests will.
    WithDevices,
    /// No devices: a device that never comes again would make all others look new.
    WithoutDevices,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// Something else.
    Other,
    /// A log-in that failed.
    Failed,
    /// A log-in.
    Login(Login),
}

/// A log-in, as its record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) at: Timestamp,
    /// Where the record names one.
    pub(crate) issuer: Option<String>,
    /// As the log names it.
    pub(crate) subject: String,
    /// By which methods it was verified, as the log names them.
    pub(crate) methods: Vec<String>,
    pub(crate) client: Client,
}

impl Format {
    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it, in words that repeat nothing of it.
    pub(crate) fn read(self, record: &[u8], field: SubjectField, kept: Kept) -> Result<Read, String> {
        let mut read = match self {
            Self::Okta => strictly::<okta::Event>(record)?.read(field),
            Self::Entra => strictly::<entra::SignIn>(record)?.read(field),
            Self::Keycloak => strictly::<keycloak::Event>(record)?.read(field),
            Self::Jsonl => strictly::<jsonl::Record>(record)?.read(),
        }?;
        if let (Read::Login(login), Kept::WithoutDevices) = (&mut read, kept) {
            login.client.device = None;
        }
        Ok(read)
    }

    /// Methods that are resistant to phishing.
    pub(super) const fn phishing_resistant(self) -> &'static [&'static str] {
        match self {
            Self::Okta => okta::PHISHING_RESISTANT,
            Self::Entra => entra::PHISHING_RESISTANT,
            Self::Keycloak => keycloak::PHISHING_RESISTANT,
            Self::Jsonl => jsonl::PHISHING_RESISTANT,
        }
    }

    /// Other second factors. Codes by telephone, text message and e-mail are not among them: they reach whoever took over the number or the mailbox.
    pub(super) const fn second_factors(self) -> &'static [&'static str] {
        match self {
            Self::Okta => okta::SECOND_FACTORS,
            Self::Entra => entra::SECOND_FACTORS,
            Self::Keycloak => keycloak::SECOND_FACTORS,
            Self::Jsonl => jsonl::SECOND_FACTORS,
        }
    }
}

fn strictly<T: DeserializeOwned>(record: &[u8]) -> Result<T, String> {
    strict::from_slice(record, Limits::REQUEST).map_err(|error| match error {
        // The library's words for a wrong type repeat the value.
        strict::StrictError::Refused(error) if error.is_data() && error.line() == 0 => {
            "a field is missing, unknown or of another type".to_owned()
        }
        other => other.to_string(),
    })
}

/// The longest agent that is kept, in bytes.
const LONGEST_AGENT: usize = 512;
/// The longest name of a method or a session.
const LONGEST_NAME: usize = 128;
const MOST_METHODS: usize = 16;

/// A subject is never guessed at.
fn subject(name: Option<String>) -> Result<String, String> {
    let name = name.filter(|name| !name.trim().is_empty()).ok_or("it names no subject")?;
    let is_plain = name.len() <= subjects::LONGEST && !name.chars().any(char::is_control);
    if is_plain { Ok(name) } else { Err("the subject's name is longer than 512 bytes or has control characters".to_owned()) }
}

/// An address, where it is one: providers write other things too.
fn address(text: Option<String>) -> Option<IpAddr> {
    text.and_then(|text| text.trim().parse().ok())
}

/// An agent, cut to what is read of it.
fn agent(text: Option<String>) -> Option<Arc<str>> {
    let text = text.filter(|text| !text.is_empty())?;
    let printable = text.chars().filter(|letter| !letter.is_control());
    let kept = printable.scan(0, |length, letter| {
        *length += letter.len_utf8();
        (*length <= LONGEST_AGENT).then_some(letter)
    });
    Some(kept.collect::<String>().into())
}

/// A name that can be kept; one that cannot is none.
fn name(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control))
}

/// Names of methods that can be kept.
fn methods(found: impl IntoIterator<Item = Option<String>>) -> Vec<String> {
    found.into_iter().filter_map(name).take(MOST_METHODS).collect()
}

/// A device, where it can be one.
fn device(text: Option<String>) -> Option<String> {
    text.filter(|text| DeviceId::new(text.as_str()).is_ok())
}
