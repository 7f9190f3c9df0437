//! The real binary behind the real nginx, with the configuration that `sdk/examples/nginx` shows.

use std::path::Path;
use std::process::Command;

use countersign_pdp_store::{Options, Store};
use countersign_sdk_types::{DecisionId, Timestamp};
use countersign_tests::http::{self, Answer};
use countersign_tests::issuer::{AUDIENCE, ISS, Issuer};
use countersign_tests::process::{Process, countersign, free_ports, parts};
use countersign_tests::upstream::Upstream;
use serde_json::{Value, json};

const SECRET: &str = "nginx-secret-for-this-test";
const EXAMPLE: &str = include_str!("../../sdk/examples/nginx/countersign.conf");

struct Stage {
    pdp: Option<Process>,
    _nginx: Process,
    app: Upstream,
    issuer: Issuer,
    port: u16,
    decision: u16,
    folder: tempfile::TempDir,
}

impl Stage {
    /// One decision point with the seed's policy, nginx before it, an application behind.
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (app, issuer) = (Upstream::start(), Issuer::default());
        let [port, decision, operations] = free_ports();
        write_configuration(folder.path(), &issuer, port, decision, operations);
        let mut command = Command::new(countersign());
        command.arg("serve").arg("--config").arg(folder.path().join("countersign.toml"));
        let mut pdp = Process::start(&mut command, &folder.path().join("pdp.log"));
        pdp.wait_for_port(decision);
        pdp.wait_for_port(operations);
        assert_eq!(http::send("GET", &format!("http://127.0.0.1:{operations}/readyz"), &[], None).status, 200);
        let configuration = EXAMPLE
            .replace("127.0.0.1:9180", &format!("127.0.0.1:{decision}"))
            .replace("127.0.0.1:9000", &format!("127.0.0.1:{}", app.port()))
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("replace-this-secret", SECRET)
            .replace("proxy_connect_timeout 200ms", "proxy_connect_timeout 10s")
            .replace("proxy_read_timeout 500ms", "proxy_read_timeout 10s");
        let nginx = countersign_tests::nginx::start(folder.path(), &configuration, port);
        Self { pdp: Some(pdp), _nginx: nginx, app, issuer, port, decision, folder }
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let host = format!("payroll.localhost:{}", self.port);
        let headers: Vec<_> = [("host", host.as_str())].into_iter().chain(headers.iter().copied()).collect();
        http::send("GET", &format!("http://127.0.0.1:{}{target}", self.port), &headers, None)
    }

    /// As a subject with a device that the inventory lists as compliant.
    fn get_as(&self, subject: &str, claims: &Value, target: &str, more: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.issuer.token(subject, claims));
        let own = [("authorization", bearer.as_str()), ("cookie", "__Host-countersign-device=laptop")];
        self.get(target, &own.iter().chain(more).copied().collect::<Vec<_>>())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("pdp.log")).unwrap()
    }
}

fn write_configuration(folder: &Path, issuer: &Issuer, port: u16, decision: u16, operations: u16) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("secret", SECRET);
    write("jwks.json", &issuer.jwks().to_string());
    let laptop = countersign_pdp_engine::request::device_of("laptop").unwrap();
    write("users.json", &json!({"alice": {"role": "admin"}, "bob": {"role": "clerk"}}).to_string());
    write("devices.json", &json!({(laptop.as_str()): {"compliant": true, "managed": true}}).to_string());
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/seed").canonicalize().unwrap();
    let parts = parts();
    write(
        "countersign.toml",
        &format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
operations = "127.0.0.1:{operations}"
[proxy]
trusted = ["127.0.0.1"]
[[pep]]
id = "nginx"
secret_file = "secret"
from = ["127.0.0.1"]
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
"#,
            parts.join("city.mmdb").display(),
            parts.join("asn.mmdb").display(),
            seed.display()
        ),
    );
}

#[test]
fn the_seed_policy_decides_behind_nginx() {
    let mut stage = Stage::set();
    let none = json!({});

    let allowed = stage.get_as("alice", &none, "/payroll?year=2026", &[]);
    assert_eq!(allowed.status, 200, "{allowed:?}\n{}", stage.log());
    let reached = allowed.json();
    assert_eq!(reached["target"], "/payroll?year=2026");
    assert_eq!(reached["headers"]["remote-user"], json!(["alice"]));
    assert!(reached["headers"]["x-countersign-decision"][0].as_str().unwrap().starts_with("main."));

    // A client cannot bring an identity of its own, nor steer the decision with another proxy's headers.
    let spoofed = [("remote-user", "root"), ("x-forwarded-uri", "/public"), ("x-real-ip", "192.0.2.1"), ("x-countersign-subject", "root")];
    let spoofing = stage.get_as("alice", &none, "/payroll", &spoofed).json();
    assert_eq!(spoofing["headers"]["remote-user"], json!(["alice"]));
    assert!(spoofing["headers"]["x-countersign-subject"].is_null());

    let reached_before = stage.app.served();
    let refused = |answer: Answer, status: u16, why: &str| {
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        assert!(!answer.body.contains("reached"), "{why}");
    };
    refused(stage.get_as("bob", &none, "/payroll", &[]), 403, "not an admin");
    refused(stage.get_as("mallory", &none, "/payroll", &[]), 403, "not in the directory");
    refused(stage.get_as("alice", &json!({"aud": "other"}), "/payroll", &[]), 401, "another audience");
    refused(stage.get_as("alice", &json!({"exp": 1}), "/payroll", &[]), 401, "expired");
    refused(stage.get_as("alice", &json!({"acr": "phr", "cnf": {"jkt": "x"}}), "/payroll", &[]), 403, "a bound token without its key");
    for path in ["/public/%2e%2e/payroll", "/a%2fb", "/a;b", "//payroll", "/%252e/x"] {
        refused(stage.get_as("alice", &none, path, &[]), 403, path);
    }
    let unknown_device = format!("Bearer {}", stage.issuer.token("alice", &none));
    refused(stage.get("/payroll", &[("authorization", &unknown_device)]), 403, "a device that nobody vouches for");
    let nobody = stage.get("/payroll", &[]);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")), "{nobody:?}");
    let elsewhere = http::send("GET", &format!("http://127.0.0.1:{}/", stage.port), &[("host", "evil.example")], None);
    refused(elsewhere, 421, "a host that is nobody's");
    assert_eq!(stage.app.served(), reached_before, "no refused request reached the application");

    // A path in report mode lets pass what the policy refuses, and nothing else.
    let reported = stage.get_as("bob", &none, "/new/page", &[]);
    assert_eq!((reported.status, &reported.json()["headers"]["remote-user"]), (200, &Value::Null), "{reported:?}");
    refused(stage.get_as("bob", &json!({"aud": "other"}), "/new/page", &[]), 401, "unauthenticated is not reported");
    refused(stage.get_as("bob", &none, "/newer", &[]), 403, "another path");

    // An application that knows only its session cookie: login first, then it says once whose cookie it is.
    let wiki = format!("wiki.localhost:{}", stage.port);
    let visit = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = [("host", wiki.as_str())].into_iter().chain(headers.iter().copied()).collect();
        http::send("GET", &format!("http://127.0.0.1:{}/page?x=1", stage.port), &headers, None)
    };
    let sent = visit(&[("accept", "text/html")]);
    let expected = format!("http://login.localhost/in?app=wiki&return=http%3A%2F%2Fwiki%2Elocalhost%3A{}%2Fpage%3Fx%3D1", stage.port);
    assert_eq!((sent.status, sent.header("location")), (302, Some(expected.as_str())), "{sent:?}");
    refused(visit(&[]), 401, "an API client is not redirected");
    let cookie = "sid=0123456789abcdef0123; __Host-countersign-device=laptop";
    refused(visit(&[("cookie", cookie)]), 401, "nobody said whose cookie it is");
    let link = |pep: &str| {
        let body =
            json!({"origin": format!("http://{wiki}"), "cookie": "0123456789abcdef0123", "token": stage.issuer.token("alice", &none)});
        let url = format!("http://127.0.0.1:{}/countersign/v1/sessions", stage.decision);
        http::send("PUT", &url, &[("x-countersign-pep", &format!("{pep}:{SECRET}"))], Some(&body)).status
    };
    assert_eq!(link("nginx"), 403, "a proxy may not link sessions");
    assert_eq!(link("wiki"), 204);
    let known = visit(&[("cookie", cookie)]);
    assert_eq!((known.status, &known.json()["headers"]["remote-user"]), (200, &json!(["alice"])), "{known:?}");

    // No token, cookie or secret in the log.
    let token = stage.issuer.token("alice", &none);
    let log = stage.log();
    assert!(log.contains("\"decided\"") && !log.contains(SECRET) && !log.contains("laptop"), "{log}");
    assert!(!log.contains(token.split('.').next().unwrap()));

    // It ends when it is told to; without it nobody passes.
    let mut pdp = stage.pdp.take().unwrap();
    assert!(pdp.terminate().success());
    refused(stage.get_as("alice", &none, "/payroll", &[]), 500, "nobody decides");

    // The record of the allowed request was on the disk before the answer left.
    let id = reached["headers"]["x-countersign-decision"][0].as_str().unwrap();
    let store = Store::open(&stage.folder.path().join("data"), Options::default(), Timestamp(2_000_000_000_000)).unwrap();
    let record = store.decision(&DecisionId::new(id).unwrap()).unwrap().unwrap().to_string();
    assert!(record.contains("alice") && !record.contains("Bearer") && !record.contains(token.split('.').next().unwrap()), "{record}");
}

#[test]
fn a_broken_configuration_is_refused_with_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("c.toml"),
        "[listen]\ndecision = \"x\"\noperations = \"y\"\n[policy]\npath = \".\"\n[store]\ndir = \"data\"\n",
    )
    .unwrap();
    let output = Command::new(countersign()).arg("check-config").arg("--config").arg(folder.path().join("c.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(["listen.decision", "listen.operations", "pep"].iter().all(|key| said.contains(key)), "{said}");
    let usage = Command::new(countersign()).arg("--nonsense").output().unwrap();
    assert_eq!(usage.status.code(), Some(64));
}
