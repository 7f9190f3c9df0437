//! The commands that work on a running server, over its local socket.

mod client;
mod learn;
mod perform;
pub(super) mod policies;
mod text;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use axum::http::Method;
use clap::{ArgAction, ArgGroup, Args, Subcommand, ValueEnum};
use countersign_pdp_engine::record::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{CONFIGURATION, COULD_NOT, USAGE, fail, say};
use crate::config::Config;
use client::Client;
pub(super) use text::clean;

/// Works on a running server.
#[derive(Debug, Subcommand)]
pub(super) enum ControlCommand {
    /// Stop believing a subject, a session, a token or a device; list what is revoked; take it back.
    Revoke {
        #[command(flatten)]
        door: Door,
        #[command(subcommand)]
        what: Revoke,
    },
    /// The device inventory of the store.
    Devices {
        #[command(flatten)]
        door: Door,
        #[command(subcommand)]
        what: Devices,
    },
    /// The directory of the store: roles by the `sub` of a token.
    Users {
        #[command(flatten)]
        door: Door,
        #[command(subcommand)]
        what: Users,
    },
    /// Enrolled passkeys.
    Credentials {
        #[command(flatten)]
        door: Door,
        #[command(subcommand)]
        what: Credentials,
    },
    /// Let a subject enrol a passkey, once, for some minutes.
    EnrollCode {
        #[command(flatten)]
        door: Door,
        #[command(flatten)]
        subject: Subject,
        /// How long the code works, 1 to 60.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
        minutes: u64,
    },
    /// Give a subject the emergency pass for a while. Loud, and in the journal for good.
    BreakGlass {
        #[command(flatten)]
        door: Door,
        #[command(flatten)]
        subject: Subject,
        /// For how long, 1 to 240.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=240))]
        minutes: u64,
        /// Why. It is kept.
        #[arg(long)]
        reason: String,
    },
    /// Teach what is normal for subjects, from the past.
    Learn {
        #[command(flatten)]
        door: Door,
        #[command(subcommand)]
        what: learn::Learn,
    },
    /// Explain a decision: score, reasons, and what would have allowed it.
    Why {
        #[command(flatten)]
        door: Door,
        /// The decision's id.
        id: String,
    },
    /// Say how the server is.
    Status {
        #[command(flatten)]
        door: Door,
    },
    /// From the recorded decisions that let somebody through, make a map from nats to points for this tenant, as `risk.calibration` takes it.
    Calibrate {
        #[command(flatten)]
        door: Door,
    },
    /// Walk over both chains of the journal and name the first bad record.
    Verify {
        #[command(flatten)]
        door: Door,
    },
}

/// Where the server is, and how the answer is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(super) struct Door {
    /// The control socket of the server.
    #[arg(long, global = true, conflicts_with = "config", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The configuration of the server, which says where its data folder and so its socket is [default: ./countersign.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A subject.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(skip)]
pub(super) struct Subject {
    /// The `iss` of its tokens.
    #[arg(long)]
    iss: String,
    /// The `sub` of its tokens.
    #[arg(long)]
    sub: String,
}

/// A subject, or all.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct AnySubject {
    /// The `iss` of its tokens.
    #[arg(long, requires = "sub")]
    iss: Option<String>,
    /// The `sub` of its tokens.
    #[arg(long, requires = "iss")]
    sub: Option<String>,
}

/// A token, never by its text.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(skip)]
pub(super) struct Token {
    /// The issuer of the token.
    #[arg(long, requires = "jti", required_unless_present = "digest")]
    iss: Option<String>,
    /// The issuer's name for the token.
    #[arg(long, requires = "iss", required_unless_present = "digest")]
    jti: Option<String>,
    /// BLAKE3 of the whole token, in hexadecimal.
    #[arg(long, conflicts_with_all = ["iss", "jti"])]
    digest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(super) enum Target {
    /// Everything of a subject.
    Subject(Subject),
    /// One session, as decisions name it.
    Session {
        /// The session.
        id: String,
    },
    /// One token.
    Token(Token),
    /// One device.
    Device {
        /// The device.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Revoke {
    /// Everything of a subject.
    Subject {
        #[command(flatten)]
        subject: Subject,
        #[command(flatten)]
        because: Because,
    },
    /// One session, as decisions name it.
    Session {
        /// The session.
        id: String,
        #[command(flatten)]
        because: Because,
    },
    /// One token.
    Token {
        #[command(flatten)]
        token: Token,
        #[command(flatten)]
        because: Because,
    },
    /// One device.
    Device {
        /// The device.
        id: String,
        #[command(flatten)]
        because: Because,
    },
    /// What is revoked, the latest first.
    List,
    /// Take a revocation back.
    Undo {
        #[command(subcommand)]
        target: Target,
    },
}

/// Why. Operators read it later.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct Because {
    /// Why. It is kept, and denials name it to operators.
    #[arg(long, default_value = "revoked by an operator")]
    reason: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Devices {
    /// Every device of the store's inventory.
    List,
    /// Say what a device is. What is not named stays as it is.
    #[command(group = ArgGroup::new("said").required(true).multiple(true).args(["compliant", "managed", "label"]))]
    Set {
        /// The device.
        id: String,
        /// It meets the rules.
        #[arg(long, value_name = "FLAG")]
        compliant: Option<Flag>,
        /// The organisation manages it.
        #[arg(long, value_name = "FLAG")]
        managed: Option<Flag>,
        /// The name that people see.
        #[arg(long)]
        label: Option<String>,
    },
}

/// A flag of a device. A policy sees the worse of the two when it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Flag {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Say what a user is. What is not named stays as it is.
    #[command(group = ArgGroup::new("said").required(true).multiple(true).args(["role", "roles"]))]
    Set {
        /// The `sub` of the user's tokens.
        name: String,
        /// The one role of the simple policies.
        #[arg(long)]
        role: Option<String>,
        /// All roles, separated by commas; empty for none.
        #[arg(long, value_delimiter = ',', action = ArgAction::Set, num_args = 1)]
        roles: Option<Vec<String>>,
    },
    /// What the store's directory says of a user.
    Show {
        /// The `sub` of the user's tokens.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Credentials {
    /// The passkeys of a subject, or of all.
    List(AnySubject),
    /// Take a passkey away.
    Remove {
        /// The credential id.
        id: String,
    },
}

/// What a command came to.
struct Outcome {
    json: Value,
    text: String,
    /// The command looked for something bad, and it is there.
    is_found: bool,
}

/// Why a command could not be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn could_not(text: impl Into<String>) -> Self {
        Self { code: COULD_NOT, text: text.into() }
    }
}

impl ControlCommand {
    const fn door(&self) -> &Door {
        match self {
            Self::Revoke { door, .. }
            | Self::Devices { door, .. }
            | Self::Users { door, .. }
            | Self::Credentials { door, .. }
            | Self::EnrollCode { door, .. }
            | Self::BreakGlass { door, .. }
            | Self::Learn { door, .. }
            | Self::Why { door, .. }
            | Self::Status { door }
            | Self::Calibrate { door }
            | Self::Verify { door } => door,
        }
    }
}

/// Runs a command.
pub(super) fn run(command: &ControlCommand) -> ExitCode {
    answered(command.door(), socket(command.door()).and_then(|socket| done(command, socket)))
}

fn answered(door: &Door, done: Result<Outcome, Failure>) -> ExitCode {
    match done {
        Err(failure) => fail(failure.code, &failure.text),
        Ok(outcome) => {
            let json = || serde_json::to_string_pretty(&outcome.json).unwrap_or_default();
            let _ = say(&if door.json { json() } else { outcome.text });
            if outcome.is_found { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

/// Works on the policies of a running server.
pub(super) fn policies(door: &Door, asked: &policies::Asked) -> ExitCode {
    let done = socket(door).and_then(|socket| runtime()?.block_on(policies::perform(asked, &Client::new(socket))));
    answered(door, done)
}

fn done(command: &ControlCommand, socket: PathBuf) -> Result<Outcome, Failure> {
    runtime()?.block_on(perform::perform(command, &Client::new(socket)))
}

/// Asks a running server for a record, for commands that say more of it than `why`.
pub(super) fn record(door: &Door, id: &str) -> Result<Record, Failure> {
    let client = Client::new(socket(door)?);
    runtime()?.block_on(perform::record(id, &client))
}

/// Asks a running server to do something, for commands that stand elsewhere.
pub(super) fn post<T: DeserializeOwned>(door: &Door, path: &str, body: &impl Serialize) -> Result<T, Failure> {
    let client = Client::new(socket(door)?);
    runtime()?.block_on(client.change(Method::POST, path, body))
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Failure::could_not(error.to_string()))
}

const USUAL_CONFIG: &str = "countersign.toml";

fn socket(door: &Door) -> Result<PathBuf, Failure> {
    if let Some(socket) = &door.socket {
        return Ok(socket.clone());
    }
    let usual = Path::new(USUAL_CONFIG);
    let file = door.config.as_deref().unwrap_or(usual);
    if door.config.is_none() && !usual.exists() {
        let text = "there is no `countersign.toml` in this folder; name the socket with `--socket`, or the configuration with `--config`";
        return Err(Failure { code: USAGE, text: text.to_owned() });
    }
    let config = Config::load(file).map_err(|error| Failure { code: CONFIGURATION, text: error.to_string() })?;
    Ok(config.control_socket())
}
