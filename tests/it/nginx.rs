//! The real binary behind the real nginx, with the configuration that `sdk/examples/nginx` shows.

use std::process::Command;

use countersign_pdp_store::{Options, Store};
use countersign_sdk_types::{DecisionId, Timestamp};
use countersign_tests::http::{self, Answer};
use countersign_tests::process::countersign;
use countersign_tests::stage::{SECRET, Scenery, Stage};
use serde_json::{Value, json};

/// The seed's policy, byte for byte: an admin on a compliant device.
fn scenery() -> Scenery {
    let laptop = countersign_pdp_engine::request::device_of("laptop").unwrap();
    Scenery {
        policy: "examples/seed",
        users: json!({"alice": {"role": "admin"}, "bob": {"role": "clerk"}}),
        devices: json!({(laptop.as_str()): {"compliant": true, "managed": true}}),
        past: &[],
        ..Scenery::default()
    }
}

fn get(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> Answer {
    stage.send("GET", "payroll", target, headers, None)
}

/// As a subject with a device that the inventory lists as compliant.
fn get_as(stage: &Stage, subject: &str, claims: &Value, target: &str, more: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", stage.issuer.token(subject, claims));
    let own = [("authorization", bearer.as_str()), ("cookie", "__Host-countersign-device=laptop")];
    get(stage, target, &own.iter().chain(more).copied().collect::<Vec<_>>())
}

#[test]
fn the_seed_policy_decides_behind_nginx() {
    let mut stage = Stage::with(&scenery());
    let none = json!({});

    let allowed = get_as(&stage, "alice", &none, "/payroll?year=2026", &[]);
    assert_eq!(allowed.status, 200, "{allowed:?}\n{}", stage.log());
    let reached = allowed.json();
    assert_eq!(reached["target"], "/payroll?year=2026");
    assert_eq!(reached["headers"]["remote-user"], json!(["alice"]));
    assert!(reached["headers"]["x-countersign-decision"][0].as_str().unwrap().starts_with("main."));

    // A client cannot bring an identity of its own, nor steer the decision with another proxy's headers.
    let spoofed = [("remote-user", "root"), ("x-forwarded-uri", "/public"), ("x-real-ip", "192.0.2.1"), ("x-countersign-subject", "root")];
    let spoofing = get_as(&stage, "alice", &none, "/payroll", &spoofed).json();
    assert_eq!(spoofing["headers"]["remote-user"], json!(["alice"]));
    assert!(spoofing["headers"]["x-countersign-subject"].is_null());

    let reached_before = stage.app.served();
    let refused = |answer: Answer, status: u16, why: &str| {
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        assert!(!answer.body.contains("reached"), "{why}");
    };
    refused(get_as(&stage, "bob", &none, "/payroll", &[]), 403, "not an admin");
    refused(get_as(&stage, "mallory", &none, "/payroll", &[]), 403, "not in the directory");
    refused(get_as(&stage, "alice", &json!({"aud": "other"}), "/payroll", &[]), 401, "another audience");
    refused(get_as(&stage, "alice", &json!({"exp": 1}), "/payroll", &[]), 401, "expired");
    refused(get_as(&stage, "alice", &json!({"acr": "phr", "cnf": {"jkt": "x"}}), "/payroll", &[]), 401, "a bound token without its key");
    for path in ["/public/%2e%2e/payroll", "/a%2fb", "/a;b", "//payroll", "/%252e/x"] {
        refused(get_as(&stage, "alice", &none, path, &[]), 403, path);
    }
    let unknown_device = format!("Bearer {}", stage.issuer.token("alice", &none));
    refused(get(&stage, "/payroll", &[("authorization", &unknown_device)]), 403, "a device that nobody vouches for");
    let nobody = get(&stage, "/payroll", &[]);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")), "{nobody:?}");
    let elsewhere = http::send("GET", &format!("http://127.0.0.1:{}/", stage.port), &[("host", "evil.example")], None);
    refused(elsewhere, 421, "a host that is nobody's");
    assert_eq!(stage.app.served(), reached_before, "no refused request reached the application");

    // A path in report mode lets pass what the policy refuses, and nothing else.
    let reported = get_as(&stage, "bob", &none, "/new/page", &[]);
    assert_eq!((reported.status, &reported.json()["headers"]["remote-user"]), (200, &Value::Null), "{reported:?}");
    refused(get_as(&stage, "bob", &json!({"aud": "other"}), "/new/page", &[]), 401, "unauthenticated is not reported");
    refused(get_as(&stage, "bob", &none, "/newer", &[]), 403, "another path");

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
    let data = stage.end();
    refused(get_as(&stage, "alice", &none, "/payroll", &[]), 500, "nobody decides");

    // The record of the allowed request was on the disk before the answer left.
    let id = reached["headers"]["x-countersign-decision"][0].as_str().unwrap();
    let store = Store::open(&data, Options::default(), Timestamp(2_000_000_000_000)).unwrap();
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
