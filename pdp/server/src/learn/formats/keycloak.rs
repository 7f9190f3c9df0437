//! Keycloak's user events: `GET /admin/realms/{realm}/events`, an array of EventRepresentation objects.
//!
//! The credential that was used last is in `details.credential_type`; the WebAuthn authenticator also says whether the user was verified.

use std::collections::BTreeMap;

use countersign_sdk_types::Timestamp;
use serde::Deserialize;

use super::{Login, Read, SubjectField, address, agent, methods, name, subject};
use crate::learn::Client;

pub(super) const PHISHING_RESISTANT: &[&str] = &["webauthn", "webauthn-passwordless", "passkey", "x509"];
pub(super) const SECOND_FACTORS: &[&str] = &["otp", "totp", "hotp"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    /// Milliseconds since 1970.
    time: i64,
    #[serde(rename = "type")]
    kind: String,
    user_id: Option<String>,
    session_id: Option<String>,
    ip_address: Option<String>,
    error: Option<String>,
    details: Option<BTreeMap<String, Option<String>>>,
}

impl Event {
    pub(super) fn read(self, field: SubjectField) -> Result<Read, String> {
        match (self.kind.as_str(), &self.error) {
            ("LOGIN", None) => {}
            ("LOGIN" | "LOGIN_ERROR", _) => return Ok(Read::Failed),
            _ => return Ok(Read::Other),
        }
        let mut details = self.details.unwrap_or_default();
        let mut detail = |name: &str| details.remove(name).flatten();
        let level = detail("acr").map(|acr| format!("acr:{acr}"));
        let by_key = detail("web_authn_authenticator_user_verification_checked").map(|_| "webauthn".to_owned());
        let found = methods([detail("credential_type"), by_key, level]);
        Ok(Read::Login(Login {
            at: Timestamp(self.time),
            issuer: None,
            subject: subject(match field {
                SubjectField::Id => self.user_id,
                SubjectField::Login => detail("username"),
            })?,
            methods: found,
            client: Client {
                address: address(self.ip_address),
                user_agent: agent(detail("user_agent")),
                session: name(self.session_id),
                ..Client::default()
            },
        }))
    }
}
