//! The example application, started by the one command that its page names, as somebody uses it: with curl, with a browser, with a stream and a WebSocket.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use countersign_tests::browser::Driver;
use countersign_tests::http::{self, Answer};
use countersign_tests::process::{PATIENCE, Process, countersign, free_ports, wait_for};
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};

const ISS: &str = "https://provider.example";

/// What the command started. Dropping it ends all of it.
struct Example {
    process: Process,
    port: u16,
    public: u16,
    files: PathBuf,
    _folder: tempfile::TempDir,
}

impl Example {
    #[track_caller]
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: [u16; 4] = free_ports();
        let mut command = Command::new("bash");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/examples/axum-app/run")).args(ports.map(|port| port.to_string()));
        // What the command would build is built.
        command.env("BUILT", countersign().parent().unwrap()).env("TMPDIR", folder.path());
        let mut process = Process::start(&mut command, &folder.path().join("log"));
        process.wait_until("saying what to try", |process| process.output().contains("Ctrl-C"));
        let output = process.output();
        let files = output.split("its files are in ").nth(1).and_then(|rest| rest.lines().next());
        let files = files.unwrap_or_else(|| panic!("{output}")).into();
        Self { process, port: ports[0], public: ports[2], files, _folder: folder }
    }

    fn token(&self, who: &str) -> String {
        std::fs::read_to_string(self.files.join(format!("{who}.token"))).unwrap()
    }

    /// A request with the token of somebody, or of nobody.
    #[track_caller]
    fn get(&self, path: &str, who: &str) -> Answer {
        let bearer = if who.is_empty() { String::new() } else { format!("Bearer {}", self.token(who)) };
        let headers = [("authorization", bearer.as_str())];
        http::send("GET", &format!("http://127.0.0.1:{}{path}", self.port), if who.is_empty() { &[] } else { &headers }, None)
    }

    /// What an operator's command prints as JSON.
    #[track_caller]
    fn operated(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--iss", ISS, "--sub", "alice", "--json", "--socket"]].concat();
        let output = Command::new(countersign()).args(arguments).arg(self.files.join("data/control.sock")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

impl Drop for Example {
    /// The command ends what it started only when it is asked to.
    fn drop(&mut self) {
        let id = self.process.id();
        let _ = Command::new("kill").arg("-TERM").arg(id.to_string()).status();
        wait_for(|| !self.files.exists());
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.is_empty() && answer.header("x-countersign-decision").is_some(), "{answer:?}");
}

#[test]
fn the_application_lets_pass_refuses_announces_and_asks_for_a_passkey() {
    let example = Example::start();
    assert_eq!(http::send("GET", &format!("http://127.0.0.1:{}/", example.port), &[], None).status, 200);
    let payroll = example.get("/payroll", "alice");
    assert!(payroll.status == 200 && payroll.body.starts_with("The payroll, by decision main."), "{payroll:?}");
    refused(&example.get("/payroll", "bob"), 403);
    let nobody = example.get("/payroll", "");
    refused(&nobody, 401);
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));

    assert_eq!(example.get("/report", "alice").status, 200);
    assert!(example.process.output().contains("to security@app.example: the report was read"), "{}", example.process.output());

    // Without a passkey, payments are for nobody; with one, a program is challenged, and a browser is led to it.
    refused(&example.get("/payments", "alice"), 403);
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let browser = driver.browser();
    let _authenticator = browser.add_authenticator();
    browser.open(&format!("http://auth.localhost:{}/enroll", example.public));
    browser.fill("input[name=code]", example.operated(&["enroll-code"])["code"].as_str().unwrap());
    browser.click("button");
    let enrolled = || example.operated(&["credentials", "list"])["credentials"].as_array().is_some_and(|all| !all.is_empty());
    browser.wait_until("enrolled", |_| enrolled());

    let challenged = example.get("/payments", "alice");
    refused(&challenged, 401);
    let challenge = challenged.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.contains("acr_values=\"phr\", max_age="), "{challenge}");

    let app = format!("http://app.localhost:{}", example.port);
    browser.open(&format!("{app}/sign-in"));
    browser.open(&format!("{app}/payments"));
    browser.wait_until("asked", |browser| browser.url().contains("/step-up/") || browser.text().contains("was accepted"));
    if browser.url().contains("/step-up/") {
        browser.click("button");
    }
    browser.wait_until("let in", |browser| browser.text().contains("your passkey was accepted"));
    assert_eq!(browser.url(), format!("{app}/payments"));
}

#[test]
fn a_revocation_ends_the_stream_and_the_socket() {
    let example = Example::start();
    let (port, bearer) = (example.port, format!("Bearer {}", example.token("alice")));
    let (tell, told) = mpsc::channel();
    let (streams, authorization) = (tell.clone(), bearer.clone());
    let stream = std::thread::spawn(move || {
        let request = format!("GET /events HTTP/1.1\r\nhost: app\r\nauthorization: {authorization}\r\n\r\n");
        http::raw(port, request.as_bytes(), |read| {
            if read.contains("tick 1") {
                let _ = streams.send("the stream");
            }
            false
        })
    });
    let socket = std::thread::spawn(move || {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://127.0.0.1:{port}/socket").into_client_request().unwrap();
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        let (mut socket, _) = tungstenite::client(request, tcp).unwrap();
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("hello"));
        tell.send("the socket").unwrap();
        socket.read()
    });
    let (mut running, mut left) = (std::collections::BTreeSet::new(), 2);
    while left > 0 {
        left -= usize::from(running.insert(told.recv_timeout(PATIENCE).unwrap()));
    }
    example.operated(&["revoke", "subject", "--reason", "example"]);
    let stream = stream.join().unwrap();
    assert!(stream.starts_with("HTTP/1.1 200 OK") && stream.contains("chunked"), "{stream}");
    assert!(!stream.ends_with("0\r\n\r\n"), "the client must see that the stream broke off: {stream}");
    let socket = socket.join().unwrap();
    assert!(matches!(socket, Ok(Message::Close(_))), "{socket:?}");
    refused(&example.get("/payroll", "alice"), 401);
}
