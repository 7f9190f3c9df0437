//! The commands: how they are read, and what they do to a server behind a real socket.

use std::sync::Arc;

use axum::Extension;
use clap::{CommandFactory as _, Parser as _};
use countersign_pdp_engine::record::Record;
use countersign_pdp_store::{AuditMode, Store};
use countersign_sdk_types::{DecisionId, DenialCode, DeviceId, SubjectId, Tenant, Timestamp};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use super::*;
use crate::cli::{Arguments, Command};
use crate::control::{ControlService, router};
use crate::front_door::UnixPeer;

fn read(line: &str) -> Result<ControlCommand, clap::Error> {
    let arguments = Arguments::try_parse_from(["countersign"].into_iter().chain(line.split(' ')))?;
    match arguments.command {
        Command::Control(command) => Ok(command),
        other => panic!("not of the control: {other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_is_read() {
    for line in [
        "revoke subject --iss i --sub s --reason stolen",
        "revoke session sid:1 --json",
        "revoke --socket /run/x token --iss i --jti j",
        "revoke token --digest 00 --socket /run/x",
        "revoke device d",
        "revoke list",
        "revoke undo subject --iss i --sub s",
        "revoke undo session sid:1",
        "revoke undo token --digest 00",
        "revoke undo device d",
        "devices list --json",
        "devices set d --compliant true --managed unknown --label laptop",
        "users set alice --role admin --roles a,b",
        "users show alice --config c.toml",
        "credentials list",
        "credentials list --iss i --sub s",
        "credentials remove c",
        "enroll-code --iss i --sub s",
        "enroll-code --iss i --sub s --minutes 60",
        "break-glass --iss i --sub s --minutes 240 --reason down",
        "learn import log.json --format okta --issuer https://org.example",
        "learn import log.jsonl.gz --format jsonl --dry-run --json --problems 0",
        "learn import log.json --format entra --issuer i --subjects map.csv --verified-as sms=second_factor --mapping m.toml",
        "learn --socket /run/x import log.json --format keycloak --issuer i --subject-field login --with-devices --without-places",
        "why main.1.1",
        "status --json",
        "verify",
    ] {
        assert!(read(line).is_ok(), "{line}: {:?}", read(line).err());
    }
}

#[test]
fn what_is_missing_or_out_of_bounds_is_not_read() {
    for line in [
        "revoke",
        "revoke subject --iss i",
        "revoke session",
        "revoke token --iss i",
        "revoke token",
        "revoke token --iss i --jti j --digest 00",
        "revoke undo",
        "devices set d",
        "devices set d --compliant perhaps",
        "users set alice",
        "credentials list --iss i",
        "enroll-code --iss i --sub s --minutes 61",
        "enroll-code --iss i --sub s --minutes 0",
        "break-glass --iss i --sub s --minutes 241 --reason x",
        "break-glass --iss i --sub s --minutes 5",
        "learn",
        "learn import",
        "learn import log.json",
        "learn import log.json --format csv",
        "learn import log.json --format okta",
        "learn import log.json --format jsonl --verified-as passkey",
        "learn import log.json --format jsonl --verified-as passkey=bound_low_risk",
        "why",
        "status --socket a --config b",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn roles_are_separated_by_commas_and_options_are_taken_anywhere() {
    let Ok(ControlCommand::Users { door, what: Users::Set { roles, .. } }) = read("users set alice --roles a,b --json") else {
        panic!("users")
    };
    assert_eq!(roles, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert!(door.json);
    let Ok(command) = read("revoke undo session s --socket /run/x") else { panic!("revoke") };
    assert_eq!(command.door().socket.as_deref(), Some(Path::new("/run/x")));
}

const NOW: Timestamp = Timestamp(1_772_505_600_000);

/// A server on a socket in a folder of its own, as root sees it.
struct Server {
    folder: tempfile::TempDir,
    store: Store,
    _runtime: Runtime,
}

fn tenant() -> Tenant {
    Tenant::new("main").unwrap()
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::memory().unwrap();
        let mut service = ControlService::new(store.clone(), tenant(), Arc::new(|| NOW));
        service.enroll_url = Some("https://auth.example/enroll".to_owned());
        let router = router(Arc::new(service)).layer(Extension(UnixPeer { uid: 0, pid: None }));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(folder.path().join("c")).unwrap() });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { folder, store, _runtime: runtime }
    }

    fn run(&self, line: &str) -> Result<Outcome, Failure> {
        done(&read(line).unwrap(), self.folder.path().join("c"))
    }

    #[track_caller]
    fn says(&self, line: &str, expected: &str) {
        match self.run(line) {
            Ok(outcome) => assert!(outcome.text.contains(expected), "{line}: {}", outcome.text),
            Err(failure) => panic!("{line}: {failure:?}"),
        }
    }
}

#[test]
fn a_log_teaches_in_as_many_requests_as_it_takes() {
    let server = Server::start();
    let file = server.folder.path().join("log.jsonl");
    let agent = "x".repeat(500);
    let login = |sub: usize, n: i64| {
        let at = NOW.0 - n * 86_400_000;
        serde_json::json!({"at": at, "sub": format!("s{sub}"), "address": "192.0.2.1", "user_agent": agent, "methods": ["otp"]}).to_string()
    };
    let lines: Vec<_> = (0..60).flat_map(|sub| (0..150).map(move |n| (sub, n))).map(|(sub, n)| login(sub, n)).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let command = format!("learn import {} --format jsonl --issuer https://issuer.example --without-places", file.display());
    let outcome = server.run(&command).unwrap();
    assert_eq!(outcome.json["learned"]["second_factor"], 9_000, "{}", outcome.text);
    assert_eq!(outcome.json["learned"]["subjects"], 60);
    assert!(!outcome.is_found);
    assert!(outcome.text.contains("is the place database there?"), "{}", outcome.text);
    let last = SubjectId { tenant: tenant(), iss: "https://issuer.example".to_owned(), sub: "s59".to_owned() };
    assert_eq!(server.store.view().baseline(&last).unwrap().known_until(), Some(NOW));
}

#[test]
fn revocations_are_made_listed_and_taken_back() {
    let server = Server::start();
    server.says("revoke list", "nothing is revoked");
    for (target, shown) in [
        ("subject --iss https://i --sub s", "subject s of https://i"),
        ("session sid:1", "session sid:1"),
        ("token --iss https://i --jti j", "token j of https://i"),
        ("device d/1", "device d/1"),
    ] {
        server.says(&format!("revoke {target} --reason stolen"), &format!("{shown} is revoked"));
        server.says("revoke list", &format!("{shown}  2026-03-03T02:40:00Z  uid:0  stolen"));
        server.says(&format!("revoke undo {target}"), "taken back");
        let again = server.run(&format!("revoke undo {target}")).err().unwrap();
        assert_eq!((again.code, again.text), (COULD_NOT, format!("{shown} is not revoked")));
    }
}

#[test]
fn what_is_not_named_stays_as_it_is() {
    let server = Server::start();
    server.says("devices set d/1 --compliant true --label laptop", "compliant true, managed unknown");
    server.says("devices set d/1 --managed false", "compliant true, managed false");
    server.says("devices list", "d/1     true       false    laptop");
    server.says("devices set d/1 --compliant unknown", "compliant unknown, managed false");
    let kept = server.store.view().device(&tenant(), &DeviceId::new("d/1").unwrap()).unwrap().unwrap();
    assert_eq!(kept.label.as_deref(), Some("laptop"));
    server.says("users set alice --role admin --roles a,b", "user alice: role admin, roles a, b");
    server.says("users set alice --role user", "user alice: role user, roles a, b");
    server.says("users show alice", "role user, roles a, b");
    assert_eq!(server.run("users show bob").err().map(|failure| failure.code), Some(COULD_NOT));
}

#[test]
fn codes_and_emergencies_reach_the_store() {
    let server = Server::start();
    let subject = SubjectId { tenant: tenant(), iss: "https://i".to_owned(), sub: "s".to_owned() };
    let outcome = server.run("enroll-code --iss https://i --sub s --minutes 30").ok().unwrap();
    let code = outcome.json["code"].as_str().unwrap().to_owned();
    for told in [code.as_str(), "page   https://auth.example/enroll", "until  2026-03-03T03:10:00Z"] {
        assert!(outcome.text.contains(told), "{}", outcome.text);
    }
    let digest = crate::control::code_digest(&code).unwrap();
    assert_eq!(server.store.view().enroll_code(&tenant(), &digest, NOW).unwrap().map(|code| code.subject), Some(subject.clone()));
    server.says("break-glass --iss https://i --sub s --minutes 5 --reason drill", "until 2026-03-03T02:45:00Z");
    assert!(server.store.view().break_glass(&subject, NOW).unwrap().is_some());
    server.says("credentials list --iss https://i --sub s", "no passkey is enrolled");
    assert_eq!(server.run("credentials remove c1").err().map(|failure| failure.code), Some(COULD_NOT));
}

#[test]
fn a_decision_is_explained_and_the_status_told() {
    let server = Server::start();
    let id = DecisionId::new("main.1.1").unwrap();
    let record = Record::for_denial(id.clone(), NOW, tenant(), None, DenialCode::MalformedRequest.into());
    server.store.append_decision(&id, &serde_json::to_value(record).unwrap(), AuditMode::Required).wait().unwrap();
    server.says("why main.1.1", "main.1.1: deny\n  at       2026-03-03T02:40:00Z");
    let missing = server.run("why main.1.2").err().unwrap();
    assert_eq!((missing.code, missing.text.contains("no record of decision `main.1.2`")), (COULD_NOT, true));
    server.says("status", "incarnation   1");
    server.says("verify", "state: not kept on a disk");
    assert!(!server.run("verify").ok().unwrap().is_found);
}

#[test]
fn what_the_server_calls_malformed_is_usage() {
    let server = Server::start();
    assert_eq!(server.run("revoke token --digest 00").err().map(|failure| failure.code), Some(USAGE));
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let failure = done(&read("status").unwrap(), folder.path().join("none")).err().unwrap();
    assert_eq!(failure.code, COULD_NOT);
    assert!(failure.text.contains("is `countersign serve` running? there is no socket at `"), "{}", failure.text);
}

#[test]
fn what_a_terminal_would_obey_is_written_out() {
    assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\nc\\u{202e}d");
    let rows = [["x\ny\u{7}".to_owned(), "2".to_owned()]];
    assert_eq!(text::table(["first", "b"], &rows, "", true), "first     b\nx y\\u{7}  2\nonly the first 1 are shown");
}
