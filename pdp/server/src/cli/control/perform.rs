//! Each command as its requests, and the answer in words.

use axum::http::Method;
use countersign_pdp_engine::record::{EdgeGap, EdgeRecord, Record, SearchRecord};
use countersign_risk::Calibration;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::text::{clean, flag, instant, rfc3339, table};
use super::{AnySubject, ControlCommand, Credentials, Devices, Failure, Flag, Outcome, Revoke, Subject, Target, Token, Users};
use crate::control::code::IssuedCode;
use crate::control::credentials::Credentials as CredentialList;
use crate::control::emergency::BrokenGlass;
use crate::control::inventory::{Device, Devices as DeviceList, User};
use crate::control::records::{Calibrated, Soundness, Status, Walked, Why};
use crate::control::revocations::{Revocations, Revoked};

/// The answer says how fresh a decision must be to have seen what was changed.
pub(super) async fn perform(command: &ControlCommand, client: &Client) -> Result<Outcome, Failure> {
    let mut outcome = answer(command, client).await?;
    if let (Value::Object(members), Some(consistency)) = (&mut outcome.json, client.consistency()) {
        members.insert("consistency".to_owned(), json!(consistency));
    }
    Ok(outcome)
}

async fn answer(command: &ControlCommand, client: &Client) -> Result<Outcome, Failure> {
    match command {
        ControlCommand::Revoke { what, .. } => revoke(what, client).await,
        ControlCommand::Devices { what: Devices::List, .. } => list_devices(client).await,
        ControlCommand::Devices { what: Devices::Set { id, compliant, managed, label }, .. } => {
            set_device(id, *compliant, *managed, label.as_deref(), client).await
        }
        ControlCommand::Users { what: Users::Show { name }, .. } => {
            let user: User = client.read(&format!("/users/{}", segment(name))).await?;
            outcome(&user, user_text(&user))
        }
        ControlCommand::Users { what: Users::Set { name, role, roles }, .. } => {
            set_user(name, role.as_deref(), roles.as_deref(), client).await
        }
        ControlCommand::Credentials { what: Credentials::List(whose), .. } => list_credentials(whose, client).await,
        ControlCommand::Credentials { what: Credentials::Remove { id }, .. } => {
            client.change::<()>(Method::DELETE, &format!("/credentials/{}", segment(id)), &Value::Null).await?;
            outcome(&json!({ "removed": id }), format!("passkey {} is removed", clean(id)))
        }
        ControlCommand::EnrollCode { subject, minutes, .. } => enroll_code(subject, *minutes, client).await,
        ControlCommand::BreakGlass { subject, minutes, reason, .. } => break_glass(subject, *minutes, reason, client).await,
        ControlCommand::Learn { what, .. } => super::learn::perform(what, client).await,
        ControlCommand::Why { id, .. } => why(id, client).await,
        ControlCommand::Status { .. } => status(client).await,
        ControlCommand::Calibrate { .. } => calibrate(client).await,
        ControlCommand::Verify { .. } => verify(client).await,
    }
}

pub(super) fn outcome(answer: &impl Serialize, text: String) -> Result<Outcome, Failure> {
    let json = serde_json::to_value(answer).map_err(|error| Failure::could_not(error.to_string()))?;
    Ok(Outcome { json, text, is_found: false })
}

impl Subject {
    fn wire(&self) -> Value {
        json!({ "iss": self.iss, "sub": self.sub })
    }
}

impl Token {
    fn wire(&self) -> Value {
        match &self.digest {
            Some(digest) => json!({ "digest": digest }),
            None => json!({ "iss": self.iss, "jti": self.jti }),
        }
    }
}

impl Target {
    fn wire(&self) -> Value {
        match self {
            Self::Subject(subject) => json!({ "subject": subject.wire() }),
            Self::Session { id } => json!({ "session": id }),
            Self::Token(token) => json!({ "token": token.wire() }),
            Self::Device { id } => json!({ "device": id }),
        }
    }
}

async fn revoke(what: &Revoke, client: &Client) -> Result<Outcome, Failure> {
    let (target, because) = match what {
        Revoke::List => return list_revocations(client).await,
        Revoke::Undo { target } => return undo(target, client).await,
        Revoke::Subject { subject, because } => (Target::Subject(subject.clone()), because),
        Revoke::Session { id, because } => (Target::Session { id: id.clone() }, because),
        Revoke::Token { token, because } => (Target::Token(token.clone()), because),
        Revoke::Device { id, because } => (Target::Device { id: id.clone() }, because),
    };
    let body = json!({ "target": target.wire(), "reason": because.reason });
    let revoked: Revoked = client.change(Method::POST, "/revocations", &body).await?;
    outcome(&revoked, clean(&format!("{} is revoked", revoked.target)))
}

async fn undo(target: &Target, client: &Client) -> Result<Outcome, Failure> {
    let body = json!({ "target": target.wire() });
    client.change::<()>(Method::DELETE, "/revocations", &body).await?;
    outcome(&body, "the revocation is taken back".to_owned())
}

async fn list_revocations(client: &Client) -> Result<Outcome, Failure> {
    let list: Revocations = client.read("/revocations").await?;
    let row = |one: &Revoked| [one.target.to_string(), instant(one.at), one.by.clone(), one.reason.clone()];
    let rows: Vec<_> = list.revocations.iter().map(row).collect();
    outcome(&list, table(["what", "since", "by", "reason"], &rows, "nothing is revoked", list.cut))
}

async fn list_devices(client: &Client) -> Result<Outcome, Failure> {
    let list: DeviceList = client.read("/devices").await?;
    let row = |one: &Device| [one.id.to_string(), flag(one.compliant), flag(one.managed), one.label.clone().unwrap_or_default()];
    let rows: Vec<_> = list.devices.iter().map(row).collect();
    outcome(&list, table(["device", "compliant", "managed", "label"], &rows, "the store's inventory is empty", list.cut))
}

async fn set_device(
    id: &str,
    compliant: Option<Flag>,
    managed: Option<Flag>,
    label: Option<&str>,
    client: &Client,
) -> Result<Outcome, Failure> {
    let path = format!("/devices/{}", segment(id));
    let before: Option<Device> = client.find(&path).await?;
    let (was_compliant, was_managed, was_label) =
        before.map_or((None, None, None), |device| (device.compliant, device.managed, device.label));
    let body = json!({
        "compliant": compliant.map_or(was_compliant, Flag::meant),
        "managed": managed.map_or(was_managed, Flag::meant),
        "label": label.map(ToOwned::to_owned).or(was_label),
    });
    let device: Device = client.change(Method::PUT, &path, &body).await?;
    let (compliant, managed) = (flag(device.compliant), flag(device.managed));
    outcome(&device, clean(&format!("device {}: compliant {compliant}, managed {managed}", device.id)))
}

impl Flag {
    const fn meant(self) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::False => Some(false),
            Self::Unknown => None,
        }
    }
}

async fn set_user(name: &str, role: Option<&str>, roles: Option<&[String]>, client: &Client) -> Result<Outcome, Failure> {
    let path = format!("/users/{}", segment(name));
    let before: Option<User> = client.find(&path).await?;
    let (was_role, was_roles) = before.map_or((None, Vec::new()), |user| (user.role, user.roles));
    let roles = roles.map_or(was_roles, |roles| roles.iter().filter(|role| !role.is_empty()).cloned().collect());
    let body = json!({ "role": role.map(ToOwned::to_owned).or(was_role), "roles": roles });
    let user: User = client.change(Method::PUT, &path, &body).await?;
    outcome(&user, user_text(&user))
}

fn user_text(user: &User) -> String {
    let (role, roles) = (user.role.as_deref().unwrap_or("none"), user.roles.join(", "));
    clean(&format!("user {}: role {role}, roles {}", user.name, if roles.is_empty() { "none" } else { &roles }))
}

async fn list_credentials(whose: &AnySubject, client: &Client) -> Result<Outcome, Failure> {
    let query = match (&whose.iss, &whose.sub) {
        (Some(iss), Some(sub)) => format!("?iss={}&sub={}", segment(iss), segment(sub)),
        _ => String::new(),
    };
    let list: CredentialList = client.read(&format!("/credentials{query}")).await?;
    let rows = list.credentials.iter().map(|one| {
        let owner = format!("{} of {}", one.owner.sub.as_str(), one.owner.iss.as_str());
        let kind = if one.backup_eligible { "synced" } else { "device-bound" };
        [owner, one.label.clone(), instant(one.created), kind.to_owned(), one.counter.to_string(), one.id.to_string()]
    });
    let rows: Vec<_> = rows.collect();
    outcome(&list, table(["owner", "label", "enrolled", "kind", "counter", "id"], &rows, "no passkey is enrolled", list.cut))
}

async fn enroll_code(subject: &Subject, minutes: u64, client: &Client) -> Result<Outcome, Failure> {
    let body = json!({ "subject": subject.wire(), "minutes": minutes });
    let issued: IssuedCode = client.change(Method::POST, "/enroll-codes", &body).await?;
    let page = issued.url.as_deref().unwrap_or("none is configured");
    let text = format!(
        "code   {}\npage   {page}\nuntil  {}\nIt works once, for {} alone. It is not shown again.",
        issued.code,
        instant(issued.expires),
        subject.sub
    );
    outcome(&issued, clean(&text))
}

async fn break_glass(subject: &Subject, minutes: u64, reason: &str, client: &Client) -> Result<Outcome, Failure> {
    let body = json!({ "subject": subject.wire(), "minutes": minutes, "reason": reason });
    let broken: BrokenGlass = client.change(Method::POST, "/break-glass", &body).await?;
    let until = instant(broken.expires);
    outcome(&broken, clean(&format!("the glass is broken for {} until {until}: the policy decides what that is worth", subject.sub)))
}

/// The record of a decision.
pub(super) async fn record(id: &str, client: &Client) -> Result<Record, Failure> {
    let why: Why = client.read(&format!("/decisions/{}", segment(id))).await?;
    let another =
        |_| Failure::could_not("another version of the engine wrote this record; `countersign why --json` prints it as it is kept");
    serde_json::from_value(why.record).map_err(another)
}

async fn why(id: &str, client: &Client) -> Result<Outcome, Failure> {
    let why: Why = client.read(&format!("/decisions/{}", segment(id))).await?;
    let another = || "another version of the engine wrote this record; `--json` prints it as it is kept".to_owned();
    let search = || serde_json::from_value::<SearchRecord>(why.record.clone()).map(|search| search.to_string());
    let edge = || serde_json::from_value::<EdgeRecord>(why.record.clone()).map(|line| line.to_string());
    let gap = || serde_json::from_value::<EdgeGap>(why.record.clone()).map(|gap| gap.to_string());
    let other = || search().or_else(|_| edge()).or_else(|_| gap()).unwrap_or_else(|_| another());
    let text = why.explanation.as_ref().map_or_else(other, ToString::to_string);
    outcome(&why, clean(&text))
}

async fn status(client: &Client) -> Result<Outcome, Failure> {
    let status: Status = client.read("/status").await?;
    let revision = status.revision.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
    let text = format!(
        "version       {}\ntenant        {}\nnow           {}\nincarnation   {}\nactivated     {revision}\nlost records  {}\npolicy        {}",
        status.version,
        status.tenant,
        rfc3339(status.now),
        status.incarnation,
        status.lost_records,
        status.policy
    );
    outcome(&status, clean(&text))
}

async fn calibrate(client: &Client) -> Result<Outcome, Failure> {
    let found: Calibrated = client.walk("/calibrate").await?;
    let text = match &found.calibration {
        Some(calibration) => {
            let knots: Vec<String> = calibration.knots().iter().map(|(nats, points)| format!("[{nats:.1}, {points}]")).collect();
            format!("# from {} sessions that were let through\n[risk]\ncalibration = [{}]", found.sessions, knots.join(", "))
        }
        None => {
            format!("{} sessions were let through so far, and {} are needed: the shipped map stays", found.sessions, Calibration::ENOUGH)
        }
    };
    Ok(Outcome { is_found: found.calibration.is_none(), ..outcome(&found, text)? })
}

async fn verify(client: &Client) -> Result<Outcome, Failure> {
    let found: Soundness = client.walk("/verify").await?;
    let chain = |name: &str, walked: &Option<Walked>| match walked {
        Some(walked) => format!("{name}: {} records, the last is {} with hash {}", walked.records, walked.seq, walked.hash),
        None => format!("{name}: not kept on a disk"),
    };
    let text = match &found.damage {
        Some(damage) => clean(damage),
        None => [chain("state", &found.state), chain("decisions", &found.decisions)].join("\n"),
    };
    Ok(Outcome { is_found: !found.sound, ..outcome(&found, text)? })
}
