//! The server's own circumstances: keys that rotate at their URL, claims that stand in for a directory, TLS, and a configuration that is only checked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_tests::direct::{Direct, issuer_at};
use countersign_tests::issuer::{ISS, Issuer};
use countersign_tests::process::{countersign, wait_for};
use serde_json::{Value, json};

/// An endpoint that publishes a key set, or nothing.
struct Published {
    port: u16,
    document: Arc<Mutex<Option<String>>>,
    fetched: Arc<AtomicUsize>,
}

impl Published {
    fn start(first: Option<&Issuer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let document = Arc::new(Mutex::new(first.map(|issuer| issuer.jwks().to_string())));
        let fetched = Arc::new(AtomicUsize::new(0));
        let (shown, count) = (Arc::clone(&document), Arc::clone(&fetched));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                count.fetch_add(1, Ordering::SeqCst);
                let answer = match shown.lock().unwrap().as_ref() {
                    Some(body) => format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    ),
                    None => "HTTP/1.1 503 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { port, document, fetched }
    }

    fn publish(&self, issuer: Option<&Issuer>) {
        *self.document.lock().unwrap() = issuer.map(|issuer| issuer.jwks().to_string());
    }
}

const MAPPED: &str = "claims = [\"department\"]\nmap = { role = \"role\", device_compliant = \"compliant\" }";

fn token(issuer: &Issuer, kid: &str) -> String {
    issuer.token_of(kid, "alice", &json!({"role": "admin", "compliant": true}))
}

#[test]
fn keys_rotate_at_their_url_and_claims_stand_in_for_a_directory() {
    let (old, new) = (Issuer::named("old"), Issuer::named("new"));
    let published = Published::start(Some(&old));
    let direct = Direct::start(&issuer_at(ISS, published.port, MAPPED), |_| {});
    assert_eq!(direct.ready(), (200, "ready".to_owned()));
    assert_eq!(direct.presented(&token(&old, "old"))["decision"], true, "{}", direct.pdp.output());
    let weak = old.token_of("old", "alice", &json!({"role": "admin", "compliant": "true"}));
    assert_eq!(direct.presented(&weak)["decision"], false, "a text is no flag");
    let other = old.token_of("old", "alice", &json!({"role": "clerk", "compliant": true}));
    assert_eq!(direct.presented(&other)["decision"], false);

    // The issuer rotates: the first token of the new key makes one look, and passes.
    published.publish(Some(&new));
    let before = published.fetched.load(Ordering::SeqCst);
    assert!(wait_for(|| direct.presented(&token(&new, "new"))["decision"] == true), "{}", direct.pdp.output());
    assert_eq!(direct.presented(&token(&old, "old"))["decision"], false, "the old key is gone");
    // A storm of unknown names makes no storm of looks.
    for name in 0..50 {
        assert_eq!(direct.presented(&token(&new, &format!("unknown-{name}")))["decision"], false);
    }
    assert!(published.fetched.load(Ordering::SeqCst) <= before + 2, "{} looks", published.fetched.load(Ordering::SeqCst) - before);
    // The endpoint is down: the last good keys go on.
    published.publish(None);
    assert_eq!(direct.presented(&token(&new, "new"))["decision"], true);
}

#[test]
fn a_server_without_keys_is_not_ready_and_allows_nobody() {
    let issuer = Issuer::named("k");
    let published = Published::start(None);
    let direct = Direct::start(&issuer_at(ISS, published.port, MAPPED), |_| {});
    let (status, why) = direct.ready();
    assert!(status == 503 && why.contains(ISS), "{status} {why}");
    assert_eq!(direct.presented(&token(&issuer, "k"))["decision"], false);
    published.publish(Some(&issuer));
    assert!(wait_for(|| direct.ready().0 == 200), "{}", direct.pdp.output());
    assert!(wait_for(|| direct.presented(&token(&issuer, "k"))["decision"] == true));
}

#[test]
fn every_listener_speaks_tls_where_there_is_a_certificate() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut root = None;
    let tls = "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    let direct = Direct::start(tls, |folder| {
        std::fs::write(folder.join("cert.pem"), certified.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        root = Some(folder.join("cert.pem"));
    });
    let ask = |url: &str| {
        Command::new("curl").args(["-sS", "--max-time", "10", "--cacert"]).arg(root.as_ref().unwrap()).arg(url).output().unwrap()
    };
    for port in [direct.operations, direct.decision] {
        let answer = ask(&format!("https://localhost:{port}/livez"));
        assert!(answer.status.success(), "{answer:?}");
        assert!(!ask(&format!("http://localhost:{port}/livez")).status.success(), "plain HTTP on port {port}");
    }
    assert_eq!(ask(&format!("https://localhost:{}/livez", direct.operations)).stdout, b"ok");
}

#[test]
fn a_configuration_is_checked_beside_the_running_server() {
    let direct = Direct::start("", |_| {});
    let check = || {
        Command::new(countersign()).args(["check-config", "--config"]).arg(direct.folder.path().join("countersign.toml")).output().unwrap()
    };
    let output = check();
    assert!(output.status.success(), "{output:?}");
    let version = Command::new(countersign()).args(["version", "--json"]).output().unwrap();
    let version: Value = serde_json::from_slice(&version.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}
