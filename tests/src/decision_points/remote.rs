//! The remote decision point: the real server, asked by the real client.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use countersign_pdp_store::{Expect, Options, StateEvent, Store, StoredCredential};
use countersign_sdk_client::{Builder, Client};
use countersign_sdk_types::CredentialId;
use serde_json::Value;

use super::{ORIGIN, Tested, WITH_PASSKEY, World};
use crate::issuer::ISS;
use crate::process::{Process, countersign, free_ports, serve};
use crate::stage::{now, subject};

/// The secret of the enforcement point `app`.
pub const SECRET: &str = "application-secret-of-the-suite";

/// A server that was started for the world. Dropping it ends it.
#[derive(Debug)]
pub struct Remote {
    /// The process.
    pub pdp: Process,
    /// The decision listener.
    pub decision: u16,
    /// The listener for browsers.
    pub public: u16,
    /// Where its configuration and data are.
    pub folder: tempfile::TempDir,
    client: Client,
}

impl Remote {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn start(world: &World) -> Self {
        Self::publishing(world, ORIGIN, "")
    }

    /// The same, with an application at another origin, and `more` configuration.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn publishing(world: &World, origin: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [decision, operations, public] = free_ports();
        World::write_policy(&folder.path().join("policy"));
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        std::fs::write(folder.path().join("jwks.json"), world.issuer.jwks().to_string()).unwrap();
        let auth =
            if origin.starts_with("http://") { format!("http://auth.localhost:{public}") } else { "https://auth.example".to_owned() };
        let configuration = format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
operations = "127.0.0.1:{operations}"
public = "127.0.0.1:{public}"
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
[[host]]
origin = "{origin}"
token_cookie = "access_token"
[step_up]
origin = "{auth}"
name = "Example"
[policy]
path = "policy"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
{}
{more}
"#,
            World::configuration()
        );
        std::fs::write(folder.path().join("countersign.toml"), configuration).unwrap();
        enroll(&folder.path().join("data"));
        let pdp = serve(folder.path(), &[decision, public, operations]);
        let client = client(decision).build().unwrap();
        Self { pdp, decision, public, folder, client }
    }

    /// Runs a command of an operator.
    ///
    /// # Panics
    /// When it does not succeed.
    #[track_caller]
    pub fn operate(&self, arguments: &[&str]) {
        let socket: PathBuf = self.folder.path().join("data/control.sock");
        let output = Command::new(countersign()).args(arguments).arg("--socket").arg(socket).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", self.pdp.output());
    }
}

/// A client of a server of this suite, to be completed.
#[must_use]
pub fn client(decision: u16) -> Builder {
    Client::builder(format!("http://127.0.0.1:{decision}")).pep("app", SECRET).deadline(Duration::from_secs(20))
}

/// One passkey, that may be copied to other devices.
fn enroll(data: &std::path::Path) {
    let store = Store::open(data, Options::default(), now()).unwrap();
    let credential = StoredCredential {
        id: CredentialId::new("cGFzc2tleQ").unwrap(),
        passkey: Value::Null,
        label: "phone".to_owned(),
        created: now(),
        backup_eligible: true,
        counter: 0,
    };
    let added = StateEvent::CredentialAdded { subject: subject(WITH_PASSKEY), credential };
    store.append(added, Expect::Any).wait().unwrap();
}

impl Tested for Remote {
    type Point = Client;

    fn point(&self) -> &Client {
        &self.client
    }

    fn revoke(&self, sub: &str) {
        self.operate(&["revoke", "subject", "--iss", ISS, "--sub", sub, "--reason", "the suite"]);
    }
}
