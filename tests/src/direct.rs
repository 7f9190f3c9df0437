//! A decision point alone, asked directly as an application does (AuthZEN), with a configuration that a test completes.

use std::path::Path;

use serde_json::{Value, json};

use crate::http;
use crate::issuer::AUDIENCE;
use crate::process::{Process, free_ports, serve};

const SECRET: &str = "application-secret-of-this-test";

/// A running decision point. Dropping it ends it.
#[derive(Debug)]
pub struct Direct {
    /// The process.
    pub pdp: Process,
    /// The decision listener.
    pub decision: u16,
    /// The operations listener.
    pub operations: u16,
    /// The listener for OPA's clients, where there is one.
    pub opa: u16,
    /// Where its configuration and data are.
    pub folder: tempfile::TempDir,
}

impl Direct {
    /// Starts with the seed's policy and `more` configuration; `prepare` puts files into its folder first.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn start(more: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::listening(&[], more, prepare)
    }

    /// As [`Direct::start`], with a listener for OPA's clients.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn with_opa(more: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::listening(&["opa"], more, prepare)
    }

    /// The same folder and ports once more, after the process was ended.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.pdp = serve(self.folder.path(), &[self.decision, self.operations]);
    }

    #[track_caller]
    fn listening(also: &[&str], more: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [decision, operations, opa] = free_ports();
        let listen: String = also.iter().map(|name| format!("{name} = \"127.0.0.1:{opa}\"\n")).collect();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/seed").canonicalize().unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        prepare(folder.path());
        let configuration = format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
operations = "127.0.0.1:{operations}"
{listen}
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true, client_address = true }}
[[host]]
origin = "https://payroll.example"
[policy]
path = "{}"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
{more}
"#,
            seed.display()
        );
        std::fs::write(folder.path().join("countersign.toml"), configuration).unwrap();
        let mut ports = vec![decision, operations];
        ports.extend((!also.is_empty()).then_some(opa));
        let pdp = serve(folder.path(), &ports);
        Self { pdp, decision, operations, opa, folder }
    }

    /// Asks about a request that carries a token.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn presented(&self, token: &str) -> Value {
        let headers = [["authorization".to_owned(), format!("Bearer {token}")]];
        let presented = json!({"method": "GET", "scheme": "https", "host": "payroll.example", "target": "/payroll", "headers": headers});
        let question = json!({
            "subject": {"type": "token", "id": "presented"}, "action": {"name": "GET"},
            "resource": {"type": "route", "id": "payroll.example/payroll"}, "context": {"http": presented},
        });
        self.asked(&question)
    }

    /// Asks a question.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn asked(&self, question: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}/access/v1/evaluation", self.decision);
        http::send("POST", &url, &[("x-countersign-pep", &format!("app:{SECRET}"))], Some(question)).json()
    }

    /// Status and text of `/readyz`.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn ready(&self) -> (u16, String) {
        let answer = http::send("GET", &format!("http://127.0.0.1:{}/readyz", self.operations), &[], None);
        (answer.status, answer.body)
    }
}

/// The configuration of an issuer whose key set is at a loopback port.
#[must_use]
pub fn issuer_at(iss: &str, port: u16, map: &str) -> String {
    format!(
        "[[issuer]]\niss = \"{iss}\"\njwks_url = \"http://127.0.0.1:{port}/jwks\"\nalgorithms = [\"ES256\"]\naudiences = [\"{AUDIENCE}\"]\n{map}\n"
    )
}
