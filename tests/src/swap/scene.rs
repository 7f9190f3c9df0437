//! The server whose policy changes: the starter policy with one refusal more, which is of the one side or of the other.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_pdp_server::policies;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use super::{Options, Swap};
use crate::http;
use crate::process::{Process, countersign, free_ports};

/// What authenticates who asks.
pub(super) const PEP: &str = "app:application-secret-of-this-measurement";
const SECRET: &str = "application-secret-of-this-measurement";
/// More people than any measurement asks about.
const PEOPLE: u32 = 10_000;

/// Which resource a revision refuses: every answer tells which of the two gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// What this revision answers to a question.
    pub(super) const fn allows(self, number: u32) -> bool {
        !matches!((self, number % 2), (Self::Left, 0) | (Self::Right, 1))
    }

    fn rule(self) -> String {
        format!("package authz\n\nimport rego.v1\n\nrefusals contains \"closed\" if input.resource.id == \"{}\"\n", self.name())
    }

    pub(super) fn files(self) -> policies::Files {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/starter");
        let read = |name: &str| (name.to_owned(), fs::read(starter.join(name)).unwrap());
        let mut files = ["access.rego", "access_test.rego", "data.json"].map(read).to_vec();
        files.push(("side.rego".to_owned(), self.rule().into_bytes()));
        files
    }

    /// How records name it.
    pub(super) fn revision(self) -> Result<String, String> {
        policies::source("authz", self.files()).map(|source| source.digest().to_string())
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Scene {
    process: Process,
    pub(super) folder: TempDir,
    pub(super) decision: u16,
}

impl Scene {
    /// Starts on these files, in the folder `policy`, with `more` configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub(super) fn start(more: &str, files: &policies::Files) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join("policy").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self::of(folder, &format!("path = \"policy\"\n{more}"), &[])
    }

    /// Starts with what the configuration says of `[policy]` from there on, and with ports that are waited for beside its own.
    pub(super) fn of(folder: TempDir, policy: &str, ports: &[u16]) -> Self {
        let [decision, operations] = free_ports();
        let people: Map<String, Value> = (0..PEOPLE).map(|at| (format!("person-{at}"), json!({"role": "employee"}))).collect();
        fs::write(folder.path().join("users.json"), Value::from(people).to_string()).unwrap();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        let mut configuration = format!("[listen]\ndecision = \"127.0.0.1:{decision}\"\noperations = \"127.0.0.1:{operations}\"\n");
        configuration.extend(ports.iter().map(|port| format!("control = \"127.0.0.1:{port}\"\n")));
        let _ = write!(
            configuration,
            "[[pep]]\nid = \"app\"\nsecret_file = \"secret\"\nfrom = [\"127.0.0.1\"]\nmay_assert = {{ subject = true }}\n\
             [directory]\nusers = \"users.json\"\n[store]\ndir = \"data\"\n\
             # A machine that also makes the load is slow now and then.\n[decision]\ndeadline_ms = 8000\npolicy_budget_ms = 4000\n[policy]\n{policy}"
        );
        fs::write(folder.path().join("countersign.toml"), configuration).unwrap();
        let mut command = Command::new(countersign());
        command.arg("serve").arg("--config").arg(folder.path().join("countersign.toml"));
        let mut process = Process::start(&mut command, &folder.path().join("pdp.log"));
        [&[decision, operations], ports].concat().iter().for_each(|port| process.wait_for_port(*port));
        assert_eq!(http::send("GET", &format!("http://127.0.0.1:{operations}/readyz"), &[], None).status, 200);
        Self { process, folder, decision }
    }

    /// A question: every subject asks for both sides in turn.
    pub(super) fn question(&self, subjects: u32, number: u32) -> String {
        let subject = number / 2 % subjects.min(PEOPLE);
        let side = if number.is_multiple_of(2) { Side::Left } else { Side::Right };
        question(subject, side.name())
    }

    /// Puts the other side into the folder, again and again, and says when.
    pub(super) async fn swaps(&self, begun: Instant, options: Options) -> Result<Vec<Swap>, String> {
        let (mut swaps, mut side) = (Vec::new(), Side::Left);
        let mut due = Duration::from_secs(u64::from(options.every)) / 2;
        while due + Duration::from_secs(u64::from(options.every)) <= Duration::from_secs(u64::from(options.seconds)) {
            sleep_until(begun + due).await;
            side = side.other();
            let (aside, file) = (self.folder.path().join("side.rego"), self.folder.path().join("policy/side.rego"));
            fs::write(&aside, side.rule()).and_then(|()| fs::rename(&aside, &file)).map_err(|error| error.to_string())?;
            swaps.push(Swap { side, written: begun.elapsed(), first: None, done: None });
            due += Duration::from_secs(u64::from(options.every));
        }
        Ok(swaps)
    }

    /// Ends the server as a platform does, and gives its folder.
    ///
    /// # Panics
    /// When it does not end cleanly.
    pub(super) fn end(mut self) -> TempDir {
        assert!(self.process.terminate().success(), "{}", self.process.output());
        self.folder
    }

    /// What the server has printed, decisions aside.
    pub(super) fn output(&self) -> String {
        let output = self.process.output();
        let lines = output.lines().filter(|line| !line.contains("countersign::decision"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a person may read something.
pub(super) fn question(person: u32, resource: &str) -> String {
    let (subject, resource) = (json!({"type": "user", "id": format!("person-{person}")}), json!({"type": "page", "id": resource}));
    json!({"subject": subject, "action": {"name": "read"}, "resource": resource}).to_string()
}
