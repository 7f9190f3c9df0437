//! The listener for OPA's clients, on the real binary: answers in OPA's form, bundles over HTTP, signatures, hostile archives, decision logs.

use std::path::Path;
use std::process::Command;

use countersign_tests::direct::Direct;
use countersign_tests::http::{self, Answer};
use countersign_tests::opa::{Service, TOKEN, archive, bundle, signed_bundle};
use countersign_tests::process::{countersign, wait_for};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::EntryType;

const AUTHZ: &str = "package authz\n\ndefault allow := false\n\nallow if input.user in data.users\n";
const SECRET: &str = "a secret of thirty-two bytes or more";

fn post(direct: &Direct, path: &str, body: &Value) -> Answer {
    http::send("POST", &format!("http://127.0.0.1:{}{path}", direct.opa), &[], Some(body))
}

fn get(direct: &Direct, path: &str) -> Answer {
    http::send("GET", &format!("http://127.0.0.1:{}{path}", direct.opa), &[], None)
}

fn allow(direct: &Direct, user: &str) -> Value {
    post(direct, "/v1/data/authz/allow", &json!({"input": {"user": user}})).json()["result"].clone()
}

fn folder_of(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder.join("policies")).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join("policies").join(name), content).unwrap();
    }
}

/// The bundle `main` of a service that is asked every second.
fn from(service: &Service, more: &str) -> String {
    format!(
        "[opa]\nlabels = {{ app = \"test\" }}\n{more}\n[[opa.bundle]]\nname = \"main\"\nurl = \"http://127.0.0.1:{}/bundle.tar.gz\"\n\
         token_file = \"token\"\nmin_delay_seconds = 1\nmax_delay_seconds = 1\n",
        service.port
    )
}

fn with_token(folder: &Path) {
    std::fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(folder.join("signing"), format!("{SECRET}\n")).unwrap();
}

fn users(revision: &str, users: &str) -> Vec<u8> {
    let manifest = json!({"revision": revision, "roots": ["authz", "users"]}).to_string();
    bundle(&[("authz.rego", AUTHZ), ("data.json", &format!("{{\"users\": {users}}}")), (".manifest", &manifest)])
}

fn bundle_status(direct: &Direct) -> Value {
    get(direct, "/v1/status").json()["result"]["bundles"]["main"].clone()
}

#[test]
fn a_folder_is_answered_from_in_opas_form() {
    let direct = Direct::with_opa("[opa]\npath = \"policies\"\ndefault_decision = \"/authz/allow\"\n", |folder| {
        folder_of(folder, &[("authz.rego", AUTHZ), ("data.json", "{\"users\": [\"alice\"]}")]);
    });
    assert_eq!(post(&direct, "/v1/data/authz/allow", &json!({"input": {"user": "alice"}})).body, "{\"result\":true}\n");
    assert_eq!(post(&direct, "/v1/data/authz/deny", &json!({"input": {}})).body, "{}\n");
    assert_eq!(post(&direct, "/v0/data/authz/allow", &json!({"user": "eve"})).body, "false\n");
    assert_eq!(post(&direct, "/", &json!({"user": "alice"})).body, "true\n");
    let answer = post(&direct, "/v1/data/authz?provenance&metrics&pretty", &json!({"input": {"user": "alice"}})).json();
    assert_eq!(answer["result"], json!({"allow": true}));
    assert!(answer["metrics"]["timer_rego_query_eval_ns"].is_u64() && answer["provenance"]["version"].is_string(), "{answer}");
    let malformed = Command::new("curl")
        .args(["-sS", "-d", "{\"input\": 1, \"input\": 2}", &format!("http://127.0.0.1:{}/v1/data", direct.opa)])
        .output()
        .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&malformed.stdout).unwrap()["code"], "invalid_parameter");
    assert_eq!(http::send("PUT", &format!("http://127.0.0.1:{}/v1/data/users", direct.opa), &[], Some(&json!([]))).status, 405);
    assert_eq!(get(&direct, "/health?bundles&plugins").body, "{}\n");
    // The folder is looked at again.
    folder_of(direct.folder.path(), &[("data.json", "{\"users\": [\"eve\"]}")]);
    assert!(wait_for(|| allow(&direct, "eve") == true), "{}", direct.pdp.output());
    // A broken module changes nothing.
    folder_of(direct.folder.path(), &[("broken.rego", "package authz\n\nallow := \n")]);
    assert!(wait_for(|| direct.pdp.output().contains("the last good one stays")), "{}", direct.pdp.output());
    assert_eq!(allow(&direct, "eve"), true);
}

#[test]
fn it_is_off_unless_somebody_says_so() {
    let direct = Direct::start("", |_| {});
    for port in [direct.decision, direct.operations] {
        assert_eq!(http::send("GET", &format!("http://127.0.0.1:{port}/v1/data"), &[], None).status, 404);
    }
}

#[test]
fn a_bundle_comes_by_http_and_outlives_its_service() {
    let service = Service::start();
    let mut direct = Direct::with_opa(&from(&service, ""), with_token);
    let health = get(&direct, "/health?bundles");
    assert_eq!((health.status, health.body.as_str()), (500, "{\"error\":\"one or more bundles are not activated\"}\n"));
    assert_eq!(post(&direct, "/v1/data/authz/allow", &json!({"input": {}})).body, "{}\n", "nothing is known yet");
    service.publish("one", users("r1", "[\"alice\"]"));
    assert!(wait_for(|| get(&direct, "/health?bundles").status == 200), "{}", direct.pdp.output());
    assert_eq!((allow(&direct, "alice"), allow(&direct, "bob")), (json!(true), json!(false)));
    assert!(wait_for(|| service.count("GET", 304) >= 2), "the tag is sent back");
    assert_eq!(service.count("GET", 200), 1);
    let provenance = post(&direct, "/v1/data/authz/allow?provenance", &json!({"input": {}})).json();
    assert_eq!(provenance["provenance"]["bundles"]["main"]["revision"], "r1");
    assert_eq!(get(&direct, "/v1/policies").json()["result"][0]["id"], "main/authz.rego");

    service.publish("two", users("r2", "[\"bob\"]"));
    assert!(wait_for(|| allow(&direct, "bob") == true), "{}", direct.pdp.output());
    assert_eq!(allow(&direct, "alice"), false);
    service.is_down(true);
    assert!(wait_for(|| bundle_status(&direct)["http_code"] == 503), "{}", bundle_status(&direct));
    assert_eq!(bundle_status(&direct)["active_revision"], "r2");
    assert_eq!(allow(&direct, "bob"), true);
    // A start without the service.
    assert!(direct.pdp.terminate().success());
    direct.restart();
    direct.pdp.wait_for_port(direct.opa);
    assert_eq!(allow(&direct, "bob"), true);
    assert_eq!(get(&direct, "/health?bundles").status, 200);
    service.is_down(false);
    service.publish("three", users("r3", "[]"));
    assert!(wait_for(|| bundle_status(&direct)["active_revision"] == "r3"), "{}", direct.pdp.output());
}

#[test]
fn hostile_archives_change_nothing() {
    let service = Service::start();
    service.publish("good", users("good", "[\"alice\"]"));
    let direct = Direct::with_opa(&from(&service, ""), with_token);
    assert!(wait_for(|| allow(&direct, "alice") == true), "{}", direct.pdp.output());
    let one = |name: &str, kind: EntryType| archive(&[(name, kind, b"")]);
    let bomb = archive(&[("data.json", EntryType::Regular, &vec![b' '; 32 << 20])]);
    let mut huge = tar::Header::new_ustar();
    huge.set_path("data.json").unwrap();
    huge.set_size(8 << 30);
    huge.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut gzip, huge.as_bytes()).unwrap();
    let brackets = format!("package authz\n\nallow := {}1{}\n", "[".repeat(64), "]".repeat(64));
    let hostile: [(&str, Vec<u8>, &str); 12] = [
        ("a path out of the bundle", one("../authz.rego", EntryType::Regular), "not a path within the bundle"),
        ("a link to a secret", one("data.json", EntryType::Symlink), "a symbolic link"),
        ("a hard link", one("data.json", EntryType::Link), "a hard link"),
        ("a pipe", one("data.json", EntryType::Fifo), "a pipe"),
        (
            "a name twice",
            archive(&[("x.rego", EntryType::Regular, b"package authz"), ("x.rego", EntryType::Regular, b"package authz")]),
            "twice",
        ),
        ("a file of another kind", one("run.sh", EntryType::Regular), "does not belong"),
        ("a delta", one("patch.json", EntryType::Regular), "delta"),
        ("a bomb", bomb, "inflates to more"),
        ("a size of 8 GiB", gzip.finish().unwrap(), "inflates to more"),
        ("no archive", b"<html>".to_vec(), "cannot be read"),
        (
            "another one's root",
            bundle(&[(".manifest", r#"{"roots": ["authz"]}"#), ("s.rego", "package system.log")]),
            "outside the bundle's roots",
        ),
        ("brackets that keep a parser busy", bundle(&[("authz.rego", &brackets)]), "nested"),
    ];
    for (name, bytes, expected) in hostile {
        service.publish(name, bytes);
        let said = || bundle_status(&direct)["message"].as_str().unwrap_or_default().to_owned();
        assert!(wait_for(|| said().contains(expected)), "{name}: {}", said());
        assert_eq!(bundle_status(&direct)["active_revision"], "good", "{name}");
        assert_eq!(allow(&direct, "alice"), true, "{name}");
    }
    service.publish("better", users("better", "[]"));
    assert!(wait_for(|| allow(&direct, "alice") == false), "{}", bundle_status(&direct));
}

#[test]
fn a_signed_bundle_is_taken_and_a_tampered_one_is_not() {
    let service = Service::start();
    let key = "[[opa.key]]\nid = \"release\"\nalgorithm = \"HS256\"\nfile = \"signing\"\n";
    let good = "package authz\n\nallow := true\n";
    service.publish("unsigned", bundle(&[("authz.rego", good)]));
    let direct = Direct::with_opa(&from(&service, key), with_token);
    let said = || bundle_status(&direct)["message"].as_str().unwrap_or_default().to_owned();
    assert!(wait_for(|| said().contains("is not signed")), "{}", said());
    assert_eq!(post(&direct, "/v1/data/authz/allow", &json!({"input": {}})).body, "{}\n");
    service.publish("signed", signed_bundle(SECRET.as_bytes(), &[("authz.rego", good)]));
    assert!(wait_for(|| allow(&direct, "x") == true), "{}", said());
    service
        .publish("by another", signed_bundle(b"another secret of thirty-two bytes!!", &[("authz.rego", "package authz\n\nallow := 2\n")]));
    assert!(wait_for(|| said().contains("signature is wrong")), "{}", said());
    let signed = signed_bundle(SECRET.as_bytes(), &[("authz.rego", good)]);
    service.publish("tampered", tampered(&signed, good, "package authz\n\nallow := 1234\n"));
    assert!(wait_for(|| said().contains("`authz.rego` is not what was signed")), "{}", said());
    assert_eq!(allow(&direct, "x"), true);
}

/// The same archive with another text in one of its files.
fn tampered(bundle: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut plain = tar::Archive::new(flate2::read::GzDecoder::new(bundle));
    let files: Vec<(String, String)> = plain
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            (name.trim_start_matches('/').to_owned(), text.replace(from, to))
        })
        .collect();
    countersign_tests::opa::bundle(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

const LOG_RULES: &str = "package system.log\n\nmask contains \"/input/password\"\n\n\
    mask contains {\"op\": \"upsert\", \"path\": \"/input/user\", \"value\": \"***\"} if input.input.user == \"mallory\"\n\n\
    drop if input.path == \"authz/noise\"\n";

#[test]
fn decisions_arrive_masked_and_none_is_lost_on_the_way() {
    let service = Service::start();
    service.is_down(true);
    let log = format!(
        "[opa]\npath = \"policies\"\nlabels = {{ app = \"test\" }}\n[opa.decision_log]\nurl = \"http://127.0.0.1:{}\"\ntoken_file = \"token\"\n\
         min_delay_seconds = 1\nmax_delay_seconds = 1\nheaders = [\"x-request-id\"]\n",
        service.port
    );
    let mut direct = Direct::with_opa(&log, |folder| {
        with_token(folder);
        folder_of(folder, &[("authz.rego", AUTHZ), ("log.rego", LOG_RULES), ("data.json", "{\"users\": [\"alice\"]}")]);
    });
    let ask = |path: &str, user: &str| {
        let url = format!("http://127.0.0.1:{}{path}", direct.opa);
        let body = json!({"input": {"user": user, "password": "hunter2"}});
        http::send("POST", &url, &[("x-request-id", "r-1"), ("authorization", "Bearer secret-of-the-caller")], Some(&body)).json()
    };
    let id = ask("/v1/data/authz/allow", "alice")["decision_id"].as_str().unwrap().to_owned();
    ask("/v1/data/authz/noise", "alice");
    ask("/v1/data/authz/allow", "mallory");
    assert!(wait_for(|| service.count("POST", 503) >= 1), "it is tried");
    assert!(wait_for(|| get(&direct, "/v1/status").json()["result"]["decision_logs"]["message"].is_string()));
    service.is_down(false);
    assert!(wait_for(|| service.events().len() == 2), "{:?}\n{}", service.events(), direct.pdp.output());
    let events = service.events();
    let first = &events[0];
    assert_eq!((&first["decision_id"], &first["path"], &first["result"]), (&json!(id), &json!("authz/allow"), &json!(true)));
    assert_eq!((&first["input"], &first["erased"]), (&json!({"user": "alice"}), &json!(["/input/password"])));
    assert_eq!(first["request_context"]["http"]["headers"]["x-request-id"], json!(["r-1"]));
    assert!(first["timestamp"].as_str().unwrap().ends_with('Z') && first["requested_by"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(first["labels"]["id"].is_string() && first["labels"]["app"] == "test" && first["metrics"]["timer_server_handler_ns"].is_u64());
    assert_eq!((&events[1]["input"]["user"], &events[1]["masked"]), (&json!("***"), &json!(["/input/user"])));
    assert!(!json!(events).to_string().contains("hunter2") && !json!(events).to_string().contains("secret-of-the-caller"));
    // What was asked last is sent before the end.
    ask("/v1/data/authz/allow", "last");
    assert!(direct.pdp.terminate().success());
    assert_eq!(service.events().last().unwrap()["input"]["user"], "last");
    assert_eq!(service.events().len(), 3);
}

#[test]
fn who_may_ask_is_part_of_the_configuration() {
    let direct = Direct::with_opa("[opa]\npath = \"policies\"\ntoken_file = \"caller\"\n", |folder| {
        std::fs::write(folder.join("caller"), "the token of all callers\n").unwrap();
        folder_of(folder, &[("authz.rego", AUTHZ), ("data.json", "{\"users\": []}")]);
    });
    let url = format!("http://127.0.0.1:{}/v1/data/authz/allow", direct.opa);
    assert_eq!(http::send("POST", &url, &[], Some(&json!({"input": {}}))).status, 401);
    let answer = http::send("POST", &url, &[("authorization", "Bearer the token of all callers")], Some(&json!({"input": {}})));
    assert_eq!((answer.status, answer.json()["result"].clone()), (200, json!(false)));
    assert_eq!(get(&direct, "/health").status, 200);

    let file = direct.folder.path().join("countersign.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    let check = |text: &str, expected: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(countersign()).args(["check-config", "--config"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(78) && said.contains(expected), "{said}");
    };
    std::fs::write(direct.folder.path().join("policies/broken.rego"), "package authz\n\nx := nothing_like_this(1)\n").unwrap();
    check(&written, "opa.path: modules or data are refused: broken.rego:3");
    std::fs::remove_file(direct.folder.path().join("policies/broken.rego")).unwrap();
    let open = written.replace(&format!("opa = \"127.0.0.1:{}\"", direct.opa), &format!("opa = \"0.0.0.0:{}\"", direct.opa));
    check(&open, "the token would cross the network in the clear");
    check(&open.replace("token_file = \"caller\"\n", ""), "anybody in the network could ask");
    check(&written.replace("path = \"policies\"\n", ""), "neither `path` nor a `[[opa.bundle]]`");
    check(&format!("{written}\n[[opa.bundle]]\nname = \"../x\"\nfile = \"x.tar.gz\"\n"), "a name is 1 to 64 letters");
    check(&format!("{written}\n[opa.decision_log]\nurl = \"http://logs.example\"\n"), "`https`");
    check(&format!("{written}\n[opa.decision_log]\nurl = \"http://127.0.0.1:1\"\nheaders = [\"Cookie\"]\n"), "credentials");
}
