//! A decision point that is watched, and a watch over HTTP/1.1.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::process::{PATIENCE, Process, countersign, free_ports};

/// What authenticates the enforcement point `watcher`.
pub const PEP: &str = "watcher:watcher-secret-of-this-test";
const SECRET: &str = "watcher-secret-of-this-test";
/// Everybody may read.
pub const POLICY: &str = "package authz\nimport rego.v1\ndefault allow := false\nallow if input.action.name == \"read\"\n";

/// A running decision point. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    /// Where its configuration, policy and data are.
    pub folder: tempfile::TempDir,
    /// The decision listener.
    pub decision: u16,
    /// The listener for HTTP/2.
    pub grpc: u16,
    /// The operations listener.
    pub operations: u16,
}

impl Server {
    /// Starts with `more` configuration.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [decision, grpc, operations] = free_ports();
        std::fs::create_dir(folder.path().join("policy")).unwrap();
        std::fs::write(folder.path().join("policy/read.rego"), POLICY).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        let configuration = format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
grpc = "127.0.0.1:{grpc}"
operations = "127.0.0.1:{operations}"
[[pep]]
id = "watcher"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true, client_address = true, names = ["*"] }}
[[pep]]
id = "proxy"
secret_file = "secret"
from = ["127.0.0.1"]
authzen = "none"
[policy]
path = "policy"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
{more}
"#
        );
        std::fs::write(folder.path().join("countersign.toml"), configuration).unwrap();
        let mut server = Self { process: None, folder, decision, grpc, operations };
        server.begin();
        server
    }

    /// Starts it, again.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn begin(&mut self) {
        let mut command = Command::new(countersign());
        command.arg("serve").arg("--config").arg(self.folder.path().join("countersign.toml")).env("RUST_LOG", "warn");
        let mut process = Process::start(&mut command, &self.folder.path().join("pdp.log"));
        [self.decision, self.grpc, self.operations].iter().for_each(|port| process.wait_for_port(*port));
        self.process = Some(process);
        assert_eq!(http::send("GET", &format!("http://127.0.0.1:{}/readyz", self.operations), &[], None).status, 200);
    }

    /// The process.
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Where decisions are asked for.
    #[must_use]
    pub fn evaluation(&self) -> String {
        format!("http://127.0.0.1:{}/access/v1/evaluation", self.decision)
    }

    /// A question about a subject, for a lease of a watch where one is named.
    #[must_use]
    pub fn question(subject: &str, action: &str, watch: Option<&str>) -> Value {
        let mut question = json!({
            "subject": {"type": "user", "id": subject},
            "action": {"name": action},
            "resource": {"type": "page", "id": "1"},
        });
        if let Some(watch) = watch {
            question["context"] = json!({"countersign": {"lease": {"ttl_ms": 30_000, "watch": watch}}});
        }
        question
    }

    /// The socket of this machine's operators.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.path().join("data/control.sock")
    }

    /// Revokes everything of a subject.
    ///
    /// # Panics
    /// When that is refused.
    #[track_caller]
    pub fn revoke(&self, subject: &str) {
        revoke(&self.control(), subject).unwrap();
    }

    /// What is counted under a name.
    ///
    /// # Panics
    /// When nothing is.
    #[track_caller]
    #[must_use]
    pub fn counted(&self, name: &str) -> f64 {
        let text = http::send("GET", &format!("http://127.0.0.1:{}/metrics", self.operations), &[], None).body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.trim().parse().unwrap()
    }

    fn stat(&self, file: &str) -> Result<String, String> {
        let id = self.process.as_ref().ok_or("it has ended")?.id();
        let path = format!("/proc/{id}/{file}");
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn resident(&self) -> Result<usize, String> {
        let status = self.stat("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: usize = line.trim().trim_end_matches("kB").trim().parse().map_err(|_| "VmRSS is no number")?;
        Ok(kilobytes * 1024)
    }

    /// Processor time, in seconds: of 100 ticks, as on every Linux.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn cpu(&self) -> Result<f64, String> {
        let stat = self.stat("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).ok_or("no processor time");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// Open files that are sockets.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn sockets(&self) -> Result<usize, String> {
        let id = self.process.as_ref().ok_or("it has ended")?.id();
        let files = std::fs::read_dir(format!("/proc/{id}/fd")).map_err(|error| error.to_string())?;
        let is_socket =
            |file: &std::fs::DirEntry| std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        Ok(files.filter_map(Result::ok).filter(is_socket).count())
    }
}

/// Revokes everything of a subject whom `watcher` asserts, as an operator on this machine does.
///
/// # Errors
/// When that is refused, or nobody answers.
pub fn revoke(socket: &Path, subject: &str) -> Result<(), String> {
    let body = json!({"target": {"subject": {"iss": "pep:watcher", "sub": subject}}, "reason": "a test"}).to_string();
    let request = format!(
        "POST /countersign/v1/revocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 20") { Ok(()) } else { Err(format!("the revocation was not taken: {answer}")) }
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub data: Value,
}

/// Something of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// A comment.
    Alive,
    /// The end.
    End,
}

/// A watch over HTTP/1.1.
#[derive(Debug)]
pub struct Watch {
    stream: TcpStream,
    /// What came and was not read yet, without the chunks' own lines.
    text: String,
    raw: Vec<u8>,
    /// The status and the headers.
    pub head: String,
}

impl Watch {
    /// Opens one.
    ///
    /// # Panics
    /// When nobody answers.
    #[track_caller]
    #[must_use]
    pub fn open(port: u16, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(stream, "GET /countersign/v1/watch{query} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{headers}\r\n")
            .unwrap();
        let mut watch = Self { stream, text: String::new(), raw: Vec::new(), head: String::new() };
        while !watch.raw.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(watch.fill(), "no answer: {:?}", String::from_utf8_lossy(&watch.raw));
        }
        let end = watch.raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        watch.head = String::from_utf8(watch.raw.drain(..end).collect()).unwrap();
        watch
    }

    /// Opens one as `watcher`, which must succeed, and reads its first event.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    #[must_use]
    pub fn hello(port: u16, query: &str, last: Option<&str>) -> (Self, Event) {
        let headers: Vec<_> = [("x-countersign-pep", PEP)].into_iter().chain(last.map(|last| ("last-event-id", last))).collect();
        let mut watch = Self::open(port, query, &headers);
        assert_eq!(watch.status(), 200, "{}", watch.head);
        let hello = watch.event();
        assert_eq!(hello.name, "hello");
        (watch, hello)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The next event; signs of life are passed over.
    ///
    /// # Panics
    /// When the watch ends.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        loop {
            match self.next() {
                Heard::Event(event) => return event,
                Heard::Alive => {}
                Heard::End => panic!("the watch ended"),
            }
        }
    }

    /// What comes next.
    ///
    /// # Panics
    /// When nothing does for long, or it is no server-sent event.
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it fails by panicking")]
    pub fn next(&mut self) -> Heard {
        loop {
            while let Some(chunk) = self.chunk() {
                self.text.push_str(&chunk);
            }
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return heard(&block);
            }
            if !self.fill() {
                return Heard::End;
            }
        }
    }

    /// Waits for bytes; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut some = [0; 4096];
        match self.stream.read(&mut some) {
            Ok(0) => false,
            Ok(length) => {
                self.raw.extend_from_slice(&some[..length]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    /// The next whole chunk (RFC 9112, §7.1).
    fn chunk(&mut self) -> Option<String> {
        let line = self.raw.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&self.raw[..line]).unwrap(), 16).unwrap();
        let end = line + 2 + size + 2;
        if size == 0 || self.raw.len() < end {
            return None;
        }
        let chunk = String::from_utf8(self.raw[line + 2..line + 2 + size].to_vec()).unwrap();
        self.raw.drain(..end);
        Some(chunk)
    }
}

/// One block of a stream.
///
/// # Panics
/// When it is no event and no comment.
#[track_caller]
#[must_use]
pub fn heard(block: &str) -> Heard {
    if block.trim() == ":" {
        return Heard::Alive;
    }
    let field = |name: &str| {
        let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {block:?}"))
    };
    let data = serde_json::from_str(field("data")).unwrap();
    Heard::Event(Event { id: field("id").to_owned(), name: field("event").to_owned(), data })
}
