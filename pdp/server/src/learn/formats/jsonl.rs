//! Our own format, for any other provider: one log-in an object, and nothing in it that is not named here.

use std::net::IpAddr;

use countersign_sdk_types::Timestamp;
use serde::Deserialize;

use super::{Login, Read, agent, device, methods, name, subject};
use crate::evaluation::Instant;
use crate::learn::Client;

pub(super) const PHISHING_RESISTANT: &[&str] = &["phr", "phrh", "passkey", "webauthn", "fido2"];
pub(super) const SECOND_FACTORS: &[&str] = &["mfa", "otp", "totp", "hotp", "push"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    at: At,
    iss: Option<String>,
    sub: String,
    address: Option<IpAddr>,
    user_agent: Option<String>,
    /// As decisions name devices.
    device: Option<String>,
    /// The `sid` of its tokens.
    session: Option<String>,
    /// An IANA zone.
    time_zone: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    success: Option<bool>,
}

/// RFC 3339, or milliseconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum At {
    Millis(i64),
    Text(Instant),
}

impl Record {
    pub(super) fn read(self) -> Result<Read, String> {
        if self.success == Some(false) {
            return Ok(Read::Failed);
        }
        let at = match self.at {
            At::Millis(at) => Timestamp(at),
            At::Text(Instant(at)) => at,
        };
        let (is_named, device) = (self.device.is_some(), device(self.device));
        if is_named && device.is_none() {
            return Err("the device is no name of one".to_owned());
        }
        let is_zone = |zone: &String| jiff::tz::db().get(zone).is_ok();
        if self.time_zone.as_ref().is_some_and(|zone| !is_zone(zone)) {
            return Err("the time zone is not one of IANA's".to_owned());
        }
        Ok(Read::Login(Login {
            at,
            issuer: self.iss.map(|iss| subject(Some(iss))).transpose()?,
            subject: subject(Some(self.sub))?,
            methods: methods(self.methods.into_iter().map(Some)),
            client: Client {
                address: self.address,
                user_agent: agent(self.user_agent),
                device,
                session: name(self.session),
                time_zone: name(self.time_zone),
            },
        }))
    }
}
