//! Microsoft Entra ID's sign-in log: `GET /auditLogs/signIns` of Microsoft Graph, a page `{"value": […]}` of signIn objects.
//!
//! A step that was satisfied by a claim in a token, or earlier, was not taken now: it verifies nothing of this sign-in.

use serde::Deserialize;

use super::{Login, Read, SubjectField, address, agent, device, methods, name, subject};
use crate::evaluation::Instant;
use crate::learn::Client;

pub(super) const PHISHING_RESISTANT: &[&str] = &[
    "FIDO2*",
    "Passkey*",
    "Windows Hello for Business",
    "X.509 Certificate",
    "Certificate-based authentication*",
    "Platform Credential*",
    "macOS Platform Credential*",
];
pub(super) const SECOND_FACTORS: &[&str] = &[
    "Mobile app notification",
    "Mobile app verification code",
    "Microsoft Authenticator*",
    "Authenticator App*",
    "Push Notification",
    "OATH verification code",
    "Software OATH token",
    "Hardware OATH token",
    "OATH software token",
    "OATH hardware token",
    "Passwordless phone sign-in",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignIn {
    created_date_time: Instant,
    user_id: Option<String>,
    user_principal_name: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    session_id: Option<String>,
    is_interactive: Option<bool>,
    status: Status,
    authentication_requirement: Option<String>,
    authentication_details: Option<Vec<Step>>,
    device_detail: Option<DeviceDetail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    error_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    authentication_method: Option<String>,
    authentication_step_result_detail: Option<String>,
    succeeded: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeviceDetail {
    device_id: Option<String>,
    browser: Option<String>,
    operating_system: Option<String>,
}

impl SignIn {
    pub(super) fn read(self, field: SubjectField) -> Result<Read, String> {
        if self.status.error_code != 0 {
            return Ok(Read::Failed);
        }
        let found = match self.authentication_details {
            // What was required may have been satisfied earlier; who knows better says so in the mapping.
            None => vec![self.authentication_requirement],
            Some(steps) => steps.into_iter().filter(Step::is_taken).map(|step| step.authentication_method).collect(),
        };
        let is_interactive = self.is_interactive.unwrap_or(true);
        let detail = self.device_detail.unwrap_or_default();
        Ok(Read::Login(Login {
            at: self.created_date_time.0,
            issuer: None,
            subject: subject(match field {
                SubjectField::Id => self.user_id,
                SubjectField::Login => self.user_principal_name,
            })?,
            methods: if is_interactive { methods(found) } else { Vec::new() },
            client: Client {
                address: address(self.ip_address),
                user_agent: agent(self.user_agent.filter(|agent| !agent.is_empty()).or_else(|| detail.agent())),
                device: device(detail.device_id),
                session: name(self.session_id),
                ..Client::default()
            },
        }))
    }
}

impl Step {
    fn is_taken(&self) -> bool {
        let detail = self.authentication_step_result_detail.as_deref().unwrap_or_default().to_lowercase();
        let is_earlier = ["claim in", "previously satisfied", "satisfied by token"].iter().any(|earlier| detail.contains(earlier));
        self.succeeded == Some(true) && !is_earlier
    }
}

impl DeviceDetail {
    /// The browser and the system, in the tokens that browsers put into an agent: version 1.0 of the API gives no agent.
    fn agent(&self) -> Option<String> {
        let (browser, system) = (self.browser.as_deref()?, self.operating_system.as_deref()?);
        let browser = match browser {
            name if name.starts_with("Edge") => "Edg/",
            name if name.starts_with("Opera") => "OPR/",
            name if name.starts_with("Firefox") => "Firefox/",
            name if name.starts_with("Chrome") => "Chrome/",
            name if name.contains("Safari") => "Version/ Safari/",
            _ => return None,
        };
        let system = match system.to_lowercase() {
            name if name.starts_with("windows") => "Windows NT",
            name if name.starts_with("mac") => "Mac OS X",
            name if name.starts_with("ios") => "iPhone",
            name if name.starts_with("android") => "Android",
            name if name.starts_with("chrome") => "CrOS",
            name if name.starts_with("linux") => "Linux",
            _ => return None,
        };
        Some(format!("{system} {browser}"))
    }
}
