//! Okta's System Log: `GET /api/v1/logs`, an array of LogEvent objects.
//!
//! The classic engine names the factor in `debugContext.debugData.factor`; the Identity Engine names the authenticator among the targets, with what its
//! use proved. `user.authentication.sso` is a log-in to an application by a session that there was, so it verifies nothing.

use serde::Deserialize;

use super::{Login, Read, SubjectField, address, agent, methods, name, subject};
use crate::evaluation::Instant;
use crate::learn::Client;

/// What a target says when its use was resistant to phishing; worth the same whatever the authenticator was.
const RESISTANT: &str = "PHISHING_RESISTANT";

pub(super) const PHISHING_RESISTANT: &[&str] =
    &[RESISTANT, "FIDO_WEBAUTHN", "WEBAUTHN", "FIDO_U2F", "U2F", "SIGNED_NONCE", "SMART_CARD_IDP", "X509"];
pub(super) const SECOND_FACTORS: &[&str] = &[
    "OKTA_VERIFY_PUSH",
    "OKTA_SOFT_TOKEN",
    "GOOGLE_SOFT_TOKEN",
    "TOKEN:SOFTWARE:TOTP",
    "TOKEN:HARDWARE",
    "TOKEN:HOTP",
    "YUBIKEY_TOKEN",
    "SYMANTEC_SOFT_TOKEN",
    "RSA_TOKEN",
    "DUO_SECURITY",
    "PUSH",
    "OTP",
    "Get a push notification",
    "Enter a code",
    "Use Okta FastPass",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    event_type: String,
    published: Instant,
    outcome: Option<Outcome>,
    actor: Option<Actor>,
    client: Option<OfClient>,
    authentication_context: Option<AuthenticationContext>,
    debug_context: Option<DebugContext>,
    target: Option<Vec<Target>>,
}

#[derive(Deserialize)]
struct Outcome {
    result: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    alternate_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OfClient {
    ip_address: Option<String>,
    user_agent: Option<UserAgent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserAgent {
    raw_user_agent: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthenticationContext {
    credential_type: Option<String>,
    external_session_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DebugContext {
    debug_data: Option<DebugData>,
}

#[derive(Deserialize)]
struct DebugData {
    factor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail_entry: Option<DetailEntry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DetailEntry {
    method_type_used: Option<String>,
    /// A list, written as one text: `[USER_PRESENCE, PHISHING_RESISTANT]`.
    method_used_verified_properties: Option<String>,
}

impl Event {
    pub(super) fn read(self, field: SubjectField) -> Result<Read, String> {
        let verifies = match self.event_type.as_str() {
            "user.session.start" | "user.authentication.auth_via_mfa" | "user.authentication.verify" => true,
            "user.authentication.sso" => false,
            _ => return Ok(Read::Other),
        };
        let Some(actor) = self.actor.filter(|actor| actor.kind.as_deref() == Some("User")) else { return Ok(Read::Other) };
        if self.outcome.and_then(|outcome| outcome.result).as_deref() != Some("SUCCESS") {
            return Ok(Read::Failed);
        }
        let context = self.authentication_context.unwrap_or_default();
        let factor = self.debug_context.and_then(|context| context.debug_data).and_then(|data| data.factor);
        let used = self.target.unwrap_or_default().into_iter().flat_map(Target::methods);
        let found: Vec<_> = [factor, context.credential_type].into_iter().chain(used).collect();
        let client = self.client.unwrap_or_default();
        Ok(Read::Login(Login {
            at: self.published.0,
            issuer: None,
            subject: subject(match field {
                SubjectField::Id => actor.id,
                SubjectField::Login => actor.alternate_id,
            })?,
            methods: if verifies { methods(found) } else { Vec::new() },
            client: Client {
                address: address(client.ip_address),
                user_agent: agent(client.user_agent.and_then(|agent| agent.raw_user_agent)),
                session: name(context.external_session_id),
                ..Client::default()
            },
        }))
    }
}

impl Target {
    fn methods(self) -> Vec<Option<String>> {
        if !matches!(self.kind.as_deref(), Some("AuthenticatorEnrollment" | "AuthenticatorMethod")) {
            return Vec::new();
        }
        let used = self.detail_entry.unwrap_or_default();
        let properties = used.method_used_verified_properties.unwrap_or_default();
        let is_resistant = properties.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|one| one == RESISTANT);
        vec![used.method_type_used, is_resistant.then(|| RESISTANT.to_owned())]
    }
}
