//! The whole scene of a step-up: a decision point, a real proxy before two protected hosts and the auth origin, an application behind.
//!
//! The proxy takes the client's address from a header here, as if each request came over the network of that place.

use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_pdp_store::{Expect, Options, StateEvent, Store};
use countersign_risk::{RawSighting, Salts, Sighting, Strength, SubjectSalt};
use countersign_sdk_types::{Asn, Coordinates, Country, Kilometers, Place, PlaceRecord, SessionId, SubjectId, Tenant, Timestamp};
use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::issuer::{AUDIENCE, ISS, Issuer};
use crate::process::{self, Process, countersign, free_ports, parts};
use crate::proxy::{Places, Proxy, Running};
use crate::upstream::Upstream;

/// The header by which a test says where a request comes from.
pub const FROM: &str = "x-test-from";
/// A home in Paris.
pub const PARIS: &str = "192.0.2.10";
/// Somewhere in Singapore.
pub const SINGAPORE: &str = "203.0.113.7";
/// The agent of the owner's browser; the thief's is whatever the test says.
pub const OWNERS_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";

/// What authenticates the proxy.
pub const SECRET: &str = "nginx-secret-for-this-test";
const HOUR: i64 = 3_600_000;

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Stage {
    pdp: Option<Process>,
    _proxy: Running,
    /// What is behind the proxy.
    pub app: Upstream,
    /// Who signs tokens.
    pub issuer: Issuer,
    /// The proxy's port: every host is reached there.
    pub port: u16,
    /// The decision listener.
    pub decision: u16,
    /// The public listener, behind the proxy.
    pub public: u16,
    /// The operations listener.
    pub operations: u16,
    /// Where configuration, data and logs are.
    pub folder: tempfile::TempDir,
}

/// With what a scene is set.
#[derive(Debug)]
pub struct Scenery {
    /// What stands before the applications.
    pub proxy: Proxy,
    /// For how many milliseconds it waits for an answer. A machine that also runs browsers and compilers is slow now and then.
    pub patience_ms: u32,
    /// A folder under `policies/`.
    pub policy: &'static str,
    /// The directory of users.
    pub users: Value,
    /// The inventory of devices.
    pub devices: Value,
    /// Who has a past.
    pub past: &'static [&'static str],
    /// What else the journal holds before the decision point starts.
    pub more: fn() -> Vec<StateEvent>,
    /// What else the configuration says.
    pub settings: String,
}

impl Default for Scenery {
    fn default() -> Self {
        let employee = json!({"role": "employee"});
        Self {
            proxy: Proxy::Nginx,
            patience_ms: 10_000,
            policy: "starter",
            users: json!({"alice": employee, "bob": employee}),
            devices: json!({}),
            past: &["alice", "bob"],
            more: Vec::new,
            settings: String::new(),
        }
    }
}

/// Now, as the wall clock has it.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a test tells stories that happen now")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

impl Stage {
    /// Sets the scene: alice and bob are employees who work from Paris at hours that are not this one.
    ///
    /// # Panics
    /// When a part is missing.
    #[track_caller]
    #[must_use]
    pub fn set() -> Self {
        Self::with(&Scenery::default())
    }

    /// The same with another policy, other people, other devices, another past.
    ///
    /// # Panics
    /// When a part is missing.
    #[track_caller]
    #[must_use]
    pub fn with(scenery: &Scenery) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (app, issuer) = (Upstream::start(), Issuer::default());
        let [port, decision, grpc, public, operations] = free_ports();
        let ports = Ports { port, decision, grpc, public, operations };
        write_configuration(folder.path(), &issuer, ports, scenery);
        teach(&folder.path().join("data"), scenery);
        let pdp = serve(folder.path(), ports);
        let places = Places { port, decision, grpc, public, app: app.port(), secret: SECRET, patience_ms: scenery.patience_ms };
        let proxy = scenery.proxy.start(folder.path(), &places);
        Self { pdp: Some(pdp), _proxy: proxy, app, issuer, port, decision, public, operations, folder }
    }

    /// The configuration of nginx for this stage on another port, for a test that puts something before it.
    #[must_use]
    pub fn proxying_on(&self, port: u16) -> String {
        let Self { decision, public, .. } = *self;
        Places { port, decision, grpc: 0, public, app: self.app.port(), secret: SECRET, patience_ms: 10_000 }.of_nginx()
    }

    /// An address on one of the hosts: `payroll`, `wiki` or `auth`.
    #[must_use]
    pub fn url(&self, host: &str, target: &str) -> String {
        format!("http://{host}.localhost:{}{target}", self.port)
    }

    /// Sends a request through the proxy to one of the hosts.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    #[must_use]
    pub fn send(&self, method: &str, host: &str, target: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let host = format!("{host}.localhost:{}", self.port);
        let headers: Vec<_> = [("host", host.as_str())].into_iter().chain(headers.iter().copied()).collect();
        http::send(method, &format!("http://127.0.0.1:{}{target}", self.port), &headers, body)
    }

    /// What the decision point has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("pdp.log")).unwrap()
    }

    /// Runs a command of an operator on this machine.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn operate(&self, arguments: &[&str]) -> std::process::Output {
        let socket = self.folder.path().join("data/control.sock");
        Command::new(countersign()).args(arguments).arg("--socket").arg(socket).output().unwrap()
    }

    /// The same, for a command that must succeed and prints JSON.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    #[must_use]
    pub fn operated(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.operate(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
    }

    /// The decision point, while it runs.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn pdp(&self) -> &Process {
        self.pdp.as_ref().unwrap()
    }

    /// Ends the decision point as a platform does.
    ///
    /// # Panics
    /// When it does not end cleanly.
    #[track_caller]
    pub fn end(&mut self) -> PathBuf {
        assert!(self.pdp.take().unwrap().terminate().success());
        self.folder.path().join("data")
    }
}

#[derive(Clone, Copy)]
struct Ports {
    port: u16,
    decision: u16,
    grpc: u16,
    public: u16,
    operations: u16,
}

fn serve(folder: &Path, ports: Ports) -> Process {
    let pdp = process::serve(folder, &[ports.decision, ports.public, ports.operations]);
    // The ports are bound first, and served last: an answer says that everything else is there too.
    assert_eq!(http::send("GET", &format!("http://127.0.0.1:{}/readyz", ports.operations), &[], None).status, 200);
    pdp
}

fn write_configuration(folder: &Path, issuer: &Issuer, ports: Ports, scenery: &Scenery) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("secret", SECRET);
    write("jwks.json", &issuer.jwks().to_string());
    write("users.json", &scenery.users.to_string());
    write("devices.json", &scenery.devices.to_string());
    let grpc = if scenery.proxy == Proxy::EnvoyGrpc { format!("grpc = \"127.0.0.1:{}\"", ports.grpc) } else { String::new() };
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(scenery.policy).canonicalize().unwrap();
    let (Ports { port, decision, public, operations, .. }, parts, pep) = (ports, parts(), scenery.proxy.pep());
    let certificate = if scenery.proxy == Proxy::Nginx { "client_certificate = \"nginx\"" } else { "" };
    write(
        "countersign.toml",
        &format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
{grpc}
public = "127.0.0.1:{public}"
operations = "127.0.0.1:{operations}"
[proxy]
trusted = ["127.0.0.1"]
[[pep]]
id = "{pep}"
secret_file = "secret"
from = ["127.0.0.1"]
{certificate}
[[pep]]
id = "wiki"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ session = true }}
[[host]]
origin = "http://payroll.localhost:{port}"
token_cookie = "access_token"
dangerous_report = ["/new"]
[[host]]
origin = "http://wiki.localhost:{port}"
session_cookie = "sid"
login_url = "http://login.localhost/in?app=wiki"
[step_up]
origin = "http://auth.localhost:{port}"
name = "Example"
[[issuer]]
iss = "{ISS}"
jwks_file = "jwks.json"
algorithms = ["ES256"]
audiences = ["{AUDIENCE}"]
[places]
city = "{}"
asn = "{}"
[directory]
users = "users.json"
devices = "devices.json"
[policy]
path = "{}"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
{}
"#,
            parts.join("city.mmdb").display(),
            parts.join("asn.mmdb").display(),
            policy.display(),
            scenery.settings
        ),
    );
}

/// A subject of the tests' issuer.
///
/// # Panics
/// Never, for plain names.
#[must_use]
pub fn subject(sub: &str) -> SubjectId {
    SubjectId { tenant: Tenant::new("main").unwrap(), iss: ISS.to_owned(), sub: sub.to_owned() }
}

/// Five weeks of step-ups in Paris, half a day away from this hour, and one an hour ago.
fn teach(data: &Path, scenery: &Scenery) {
    let store = Store::open(data, Options::default(), now()).unwrap();
    scenery.past.iter().for_each(|sub| teach_of(&store, sub));
    for event in (scenery.more)() {
        store.append(event, Expect::Any).wait().unwrap();
    }
}

fn teach_of(store: &Store, sub: &str) {
    let salt = |subject: &SubjectId| SubjectSalt::new(store.salt(subject, || Some([7; 32])).unwrap().0);
    let organisation = SubjectId { tenant: Tenant::new("main").unwrap(), iss: String::new(), sub: String::new() };
    let salts = Salts { subject: salt(&subject(sub)), organisation: salt(&organisation) };
    let place = Place::Known(PlaceRecord {
        country: Country::new("FR"),
        at: Some(Coordinates { lat: 48.8566, lon: 2.3522 }),
        radius: Some(Kilometers(20.0)),
        time_zone: Some("Europe/Paris".to_owned()),
        asn: Some(Asn(64_496)),
        ..PlaceRecord::default()
    });
    let days = (1..=35).flat_map(|day| [-1, 0, 1].map(|hour| Timestamp(now().0 - day * 24 * HOUR + (12 + hour) * HOUR)));
    for at in days.chain([Timestamp(now().0 - HOUR)]) {
        let session = SessionId::new(format!("sid:past-{}", at.0)).unwrap();
        let raw = RawSighting { address: PARIS.parse().ok(), user_agent: Some(OWNERS_AGENT), ..RawSighting::new(at, &place, &session) };
        let event = Sighting::new(&raw, &salts).learned(Strength::StepUp);
        store.append(StateEvent::Learned { subject: subject(sub), event }, Expect::Any).wait().unwrap();
    }
}
