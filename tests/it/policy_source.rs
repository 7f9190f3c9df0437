//! Where policies come from, by the real server: a bundle at a URL that is signed and looked at when somebody tells, and starts without it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_tests::http;
use countersign_tests::process::{Process, countersign, free_ports, serve, wait_for};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const SECRET: &str = "application-secret-of-this-test";
const WEBHOOK: &str = "webhook-secret-of-this-test";
const SIGNING: &[u8] = b"signing-secret-of-this-test-32-bytes-long";

fn policy(action: &str) -> String {
    format!("package authz\n\nimport rego.v1\n\nallow := input.action.name == \"{action}\"\n")
}

fn hmac_of(secret: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bundle as `opa build` and `opa sign` make it.
fn bundle(rego: &str, secret: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, rego.as_bytes());
    let listed = json!({"files": [{"name": "access.rego", "hash": hex(digest.as_ref()), "algorithm": "SHA-256"}]});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "release"})), part(&listed));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac_of(secret, signed.as_bytes())));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in [("access.rego", rego.to_owned()), (".signatures.json", json!({"signatures": [token]}).to_string())] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Serves one bundle by its entity tag, or nothing.
struct Host {
    port: u16,
    bundle: Arc<Mutex<Option<Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
}

impl Host {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (bundle, asked) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (served, count) = (Arc::clone(&bundle), Arc::clone(&asked));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&answer(&head, served.lock().unwrap().as_deref()));
            }
        });
        Self { port, bundle, asked }
    }

    fn offer(&self, bundle: Option<Vec<u8>>) {
        *self.bundle.lock().unwrap() = bundle;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(head: &[String], bundle: Option<&[u8]>) -> Vec<u8> {
    let Some(bundle) = bundle else { return b"HTTP/1.1 503 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec() };
    let tag = format!("\"{}\"", blake3::hash(bundle));
    if head.iter().any(|line| line.to_lowercase().starts_with("if-none-match") && line.contains(&tag)) {
        return b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_vec();
    }
    let mut whole = format!("HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bundle.len()).into_bytes();
    whole.extend(bundle);
    whole
}

/// A configured decision point: nothing but news make it look, since its poll is a day.
struct Scene {
    folder: tempfile::TempDir,
    host: Host,
    decision: u16,
    control: u16,
    operations: u16,
}

impl Scene {
    fn new() -> Self {
        let (folder, host) = (tempfile::tempdir().unwrap(), Host::start());
        let [decision, control, operations] = free_ports();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), SECRET).unwrap();
        fs::write(at("webhook"), WEBHOOK).unwrap();
        fs::write(at("signing"), SIGNING).unwrap();
        let configuration = format!(
            r#"
[listen]
decision = "127.0.0.1:{decision}"
control = "127.0.0.1:{control}"
operations = "127.0.0.1:{operations}"
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true }}
[policy]
bundle = "http://127.0.0.1:{}/bundle.tar.gz"
poll_s = 86400
webhook_secret_file = "webhook"
[[policy.key]]
id = "release"
algorithm = "HS256"
file = "signing"
[store]
dir = "data"
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
"#,
            host.port
        );
        fs::write(at("countersign.toml"), configuration).unwrap();
        Self { folder, host, decision, control, operations }
    }

    fn start(&self) -> Process {
        serve(self.folder.path(), &[self.decision, self.control, self.operations])
    }

    /// What a server says that does not start.
    fn refused(&self) -> String {
        let output = self.command(&["serve"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Output {
        let config = self.folder.path().join("countersign.toml");
        Command::new(countersign()).args(arguments).arg("--config").arg(config).output().unwrap()
    }

    fn allows(&self, action: &str) -> bool {
        let question = json!({
            "subject": {"type": "user", "id": "alice"}, "action": {"name": action}, "resource": {"type": "document", "id": "1"},
        });
        let url = format!("http://127.0.0.1:{}/access/v1/evaluation", self.decision);
        let answer = http::send("POST", &url, &[("x-countersign-pep", &format!("app:{SECRET}"))], Some(&question)).json();
        answer["decision"].as_bool().unwrap_or_else(|| panic!("{answer}"))
    }

    /// Tells the webhook; its status.
    fn tell(&self, header: &str, value: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/countersign/v1/policies/webhook", self.control);
        http::send("POST", &url, &[(header, value)], Some(&body())).status
    }

    fn is_counted(&self, outcome: &str, count: u32) -> bool {
        let metrics = http::send("GET", &format!("http://127.0.0.1:{}/metrics", self.operations), &[], None).body;
        metrics.contains(&format!("countersign_policy_webhooks_total{{outcome=\"{outcome}\"}} {count}"))
    }

    fn kept(&self) -> Vec<std::path::PathBuf> {
        let folder: &Path = &self.folder.path().join("data/policies");
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn body() -> Value {
    json!({"ref": "refs/heads/main"})
}

#[test]
fn news_wake_a_look_and_only_who_has_the_secret_brings_them() {
    let scene = Scene::new();
    scene.host.offer(Some(bundle(&policy("read"), SIGNING)));
    let pdp = scene.start();
    assert!(scene.allows("read") && !scene.allows("write"));

    scene.host.offer(Some(bundle(&policy("write"), SIGNING)));
    let before = scene.host.asked();
    assert_eq!(scene.tell("x-hub-signature-256", &format!("sha256={}", hex(&hmac_of(b"another secret", b"{}")))), 401);
    assert_eq!(scene.tell("x-gitlab-token", "another secret of some length"), 401);
    assert_eq!(scene.tell("x-unrelated", "1"), 401);
    assert!(scene.is_counted("refused", 3));
    assert_eq!(scene.host.asked(), before, "nobody looked");
    let signature = format!("sha256={}", hex(&hmac_of(WEBHOOK.as_bytes(), body().to_string().as_bytes())));
    assert_eq!(scene.tell("x-hub-signature-256", &signature), 202);
    assert!(wait_for(|| scene.allows("write") && !scene.allows("read")), "{}", pdp.output());

    // What another key signed is refused, and the last good revision goes on.
    let looks = scene.host.asked();
    scene.host.offer(Some(bundle(&policy("delete"), b"another-secret-of-this-test-32-bytes-long")));
    assert_eq!(scene.tell("x-gitlab-token", WEBHOOK), 202);
    assert!(wait_for(|| pdp.output().contains("signature is wrong")), "{}", pdp.output());
    assert!(scene.allows("write") && !scene.allows("delete"));

    // A storm is at most a few looks.
    (0..200).for_each(|_| assert_eq!(scene.tell("x-gitlab-token", WEBHOOK), 202));
    assert!(scene.is_counted("taken", 202));
    scene.host.offer(Some(bundle(&policy("delete"), SIGNING)));
    let output = scene.command(&["policy", "refresh"]);
    assert!(output.status.success(), "{output:?}");
    assert!(wait_for(|| scene.allows("delete")), "{}", pdp.output());
    assert!(scene.host.asked() - looks < 100, "{} looks", scene.host.asked() - looks);
}

#[test]
fn a_restart_needs_no_host() {
    let scene = Scene::new();
    assert!(scene.refused().contains("503"), "the first start needs it");
    scene.host.offer(Some(bundle(&policy("read"), SIGNING)));
    let pdp = scene.start();
    assert!(scene.allows("read"));
    drop(pdp);
    scene.host.offer(None);
    let pdp = scene.start();
    assert!(scene.allows("read") && !scene.allows("write"));
    assert!(pdp.output().contains("the active revision decides, as it was kept"), "{}", pdp.output());
    // When the host is back, its news count as before.
    scene.host.offer(Some(bundle(&policy("write"), SIGNING)));
    assert_eq!(scene.tell("x-gitlab-token", WEBHOOK), 202);
    assert!(wait_for(|| scene.allows("write")), "{}", pdp.output());
    drop(pdp);

    // What is kept and not what it was decides nothing.
    scene.host.offer(None);
    for kept in scene.kept() {
        let mut bytes = fs::read(&kept).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&kept, bytes).unwrap();
    }
    let why = scene.refused();
    assert!(why.contains("503") && why.contains("damaged"), "{why}");
    scene.kept().into_iter().for_each(|kept| fs::remove_file(kept).unwrap());
    let why = scene.refused();
    assert!(why.contains("503") && why.contains("nothing is kept"), "{why}");
    let output = scene.command(&["check-config"]);
    assert!(output.status.code() == Some(78) && String::from_utf8_lossy(&output.stderr).contains("503"), "{output:?}");
}
