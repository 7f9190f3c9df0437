//! A decision point with AuthZEN's certification policy, or another one, and the ways to ask it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::http::{self, Answer};
use crate::process::{Process, countersign, free_ports, serve};

/// The secret of `app`, which may search.
pub const SECRET: &str = "application-secret-of-this-test";
/// The bearer token of `app`.
pub const BEARER: &str = "bearer-token-of-this-test";
/// The bearer token of `suite`, which is in the file beside its configuration.
pub const SUITES_BEARER: &str = include_str!("../conformance/authzen/server/bearer").trim_ascii_end();
const CONFIGURATION: &str = include_str!("../conformance/authzen/server/countersign.toml");
/// The bearer token of `door`, which may evaluate and not search.
pub const OTHER_BEARER: &str = "another-bearer-token-of-this-test";

/// A running decision point. Dropping it ends it.
#[derive(Debug)]
pub struct Pdp {
    /// The process.
    pub process: Process,
    /// Scheme, host and port of the decision listener.
    pub url: String,
    /// The operations listener.
    pub operations: u16,
    /// The gRPC listener.
    pub grpc: u16,
    /// Where its configuration and data are.
    pub folder: tempfile::TempDir,
}

/// The folder of AuthZEN's certification policy.
///
/// # Panics
/// When it is not where it should be.
#[must_use]
pub fn policy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/authzen").canonicalize().unwrap()
}

/// The folder of the cases.
///
/// # Panics
/// When it is not where it should be.
#[must_use]
pub fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/authzen").canonicalize().unwrap()
}

impl Pdp {
    /// Starts with the certification policy and `more` configuration.
    #[track_caller]
    #[must_use]
    pub fn start(more: &str) -> Self {
        Self::with_policy(&policy(), more, |_| {})
    }

    /// Starts with a policy and `more` configuration; `prepare` puts files into its folder first.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn with_policy(policy: &Path, more: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [decision, operations, grpc] = free_ports();
        for (name, text) in [("secret", SECRET), ("suite", SUITES_BEARER), ("bearer", BEARER), ("other-bearer", OTHER_BEARER)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        prepare(folder.path());
        // What the documentation says to start, with other ports, another policy, and more callers.
        let documented = CONFIGURATION
            .replace("127.0.0.1:9180", &format!("127.0.0.1:{decision}"))
            .replace("127.0.0.1:9183\"", &format!("127.0.0.1:{operations}\"\ngrpc = \"127.0.0.1:{grpc}\""))
            .replace("../../../../policies/examples/authzen", &policy.display().to_string())
            .replace("bearer_file = \"bearer\"", "bearer_file = \"suite\"");
        let configuration = format!(
            r#"
{documented}
[[pep]]
id = "app"
secret_file = "secret"
bearer_file = "bearer"
from = ["127.0.0.1"]
authzen = "search"
may_assert = {{ subject = true, names = ["*"] }}
[[pep]]
id = "door"
bearer_file = "other-bearer"
from = ["127.0.0.1"]
may_assert = {{ subject = true }}
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
{more}
"#
        );
        std::fs::write(folder.path().join("countersign.toml"), configuration).unwrap();
        let process = serve(folder.path(), &[decision, operations, grpc]);
        Self { process, url: format!("http://127.0.0.1:{decision}"), operations, grpc, folder }
    }

    /// What an operator does, by the command.
    ///
    /// # Panics
    /// When it does not succeed.
    #[track_caller]
    #[must_use]
    pub fn operate(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(countersign());
        let output =
            command.args(arguments).arg("--json").arg("--config").arg(self.folder.path().join("countersign.toml")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks as `app`.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, path: &str, body: &Value) -> Answer {
        self.ask_with(path, &[("authorization", &format!("Bearer {BEARER}"))], body)
    }

    /// Asks with these headers.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn ask_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        http::send("POST", &format!("{}{path}", self.url), headers, Some(body))
    }
}
