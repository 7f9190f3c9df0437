//! What real proxies sent when they asked, and what they made of each answer: recorded from nginx 1.22.1, Caddy 2.11.7, HAProxy 2.6.12 (with another Lua action
//! than ours) and Envoy 1.40 over HTTP and over gRPC. The counts are asserted, so that nothing is skipped silently.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use countersign_pdp_engine::request::{HostRules, Pep, RawCheck, RequestRules, normalize};
use countersign_sdk_types::{DenialCode, Host, PepId, Tenant};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::answer::Reply;
use super::super::answer::tests::{KINDS, demand, deny, refused};
use super::{Asked, Proxy};

/// How one client request went through one proxy.
#[derive(Deserialize)]
struct Passage {
    /// What the client got; the authorization server always allowed.
    status: u16,
    asked: usize,
    /// How often the application was reached.
    reached: usize,
    authz: Option<Authz>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Authz {
    Http {
        line: String,
        headers: Vec<(String, String)>,
    },
    /// Read by the gRPC adapter's own tests.
    Grpc {
        attributes: serde_json::Value,
    },
}

/// What one answer of the authorization server became.
#[derive(Deserialize)]
struct Outcome {
    status: u16,
    location: Option<String>,
    reached: usize,
    remote_user: Vec<String>,
}

type Recorded<T> = BTreeMap<String, BTreeMap<String, T>>;

fn recorded<T: DeserializeOwned>(file: &str, names: usize) -> Recorded<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings").join(file);
    let recorded: Recorded<T> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(recorded.len(), names, "{file}");
    assert!(recorded.values().all(|by_proxy| by_proxy.len() == 5), "{file}");
    recorded
}

const OVER_HTTP: [(&str, Proxy); 4] =
    [("nginx", Proxy::Nginx), ("caddy", Proxy::Caddy), ("haproxy", Proxy::Haproxy), ("envoy-http", Proxy::Envoy)];

/// Bytes were recorded as Latin-1.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

fn asked(line: &str, headers: &[(String, String)]) -> Asked {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let _: bool = map.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(&bytes(value)).unwrap());
    }
    Asked { method: method.parse().unwrap(), uri: target.parse().unwrap(), headers: map }
}

fn rules() -> RequestRules {
    RequestRules {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        hosts: BTreeMap::from([(Host::new("app.example.com").unwrap(), HostRules::default())]),
        ..RequestRules::default()
    }
}

/// What becomes of a recorded question, in a few words.
fn read(proxy: Proxy, line: &str, headers: &[(String, String)]) -> String {
    let pep = Pep { id: PepId::new("p").unwrap(), asserts_subject: false, asserts_client: false, asserts: Default::default() };
    let check = |http| RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: Some(http), asked: None };
    match proxy.parse(&asked(line, headers)).and_then(|http| normalize(check(http), &rules())) {
        Err(denial) => format!("refused {}", denial.code()),
        Ok((request, credentials)) => {
            let http = request.http().unwrap();
            let mark = if http.query.is_empty() { "" } else { "?" };
            let token = if credentials.token.is_some() { " with a token" } else { "" };
            format!("{} {}://{}{}{mark}{} {:?}{token}", http.method, http.scheme, http.host, http.path.as_str(), http.query, http.kind)
        }
    }
}

#[test]
fn every_recorded_question_is_read_as_reviewed() {
    let recorded = recorded::<Passage>("proxy-requests.json", 39);
    let mut text =
        String::from("# What each adapter makes of what each proxy asked: 39 requests of clients. `-` is a proxy that did not ask.\n");
    let (mut passages, mut over_grpc) = (0, 0);
    for (name, by_proxy) in &recorded {
        for (proxy, passage) in by_proxy {
            passages += 1;
            let over_http = OVER_HTTP.iter().find(|(name, _)| name == proxy).map(|(_, proxy)| *proxy);
            let outcome = match (&passage.authz, over_http) {
                (None, _) => {
                    format!("- ({}, the application {})", passage.status, if passage.reached > 0 { "reached" } else { "not reached" })
                }
                (Some(Authz::Http { line, headers }), Some(proxy)) => read(proxy, line, headers),
                (Some(Authz::Grpc { attributes }), None) if attributes.is_object() => {
                    over_grpc += 1;
                    continue;
                }
                _ => panic!("{name} {proxy}"),
            };
            assert_eq!(passage.authz.is_some(), passage.asked > 0, "{name} {proxy}");
            assert!(passage.asked > 0 || passage.reached == 0, "{name} {proxy}: the application was reached without a question");
            writeln!(text, "{name:<18}{proxy:<12}{outcome}").unwrap();
        }
    }
    assert_eq!((passages, over_grpc), (39 * 5, 33));
    golden("proxy-requests.golden", &text);
}

fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings").join(file);
    #[expect(clippy::disallowed_methods, reason = "a test rewrites its golden file only when it is told to")]
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(&path, text).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    assert!(reviewed == text, "{file} changed; read it, then run with UPDATE=1\n{text}");
}

#[test]
fn an_allow_reaches_the_application_and_no_refusal_does() {
    let recorded = recorded::<Outcome>("proxy-answers.json", 29);
    assert_eq!(recorded.values().map(BTreeMap::len).sum::<usize>(), 29 * 5);
    for (proxy, own) in OVER_HTTP {
        let became = |status: u16, has_location: bool| {
            let exact = recorded.get(&format!("{status}-noloc")).filter(|_| !has_location);
            &exact.or_else(|| recorded.get(&status.to_string())).unwrap_or_else(|| panic!("no recording of {status}"))[proxy]
        };
        let allowed = own.render(Reply::Pass(HeaderMap::new()));
        assert_eq!((allowed.status().as_u16(), became(200, false).reached), (200, 1), "{proxy}");
        for kind in KINDS {
            for decision in DenialCode::ALL.iter().map(|code| deny(*code)).chain([demand()]) {
                let what = format!("{proxy} {kind:?} {decision:?}");
                let negotiated = refused(decision, kind);
                let redirects = negotiated.status().is_redirection();
                let rendered = own.render(Reply::Refuse(negotiated));
                let outcome = became(rendered.status().as_u16(), rendered.headers().contains_key("location"));
                assert_eq!(outcome.reached, 0, "{what}");
                assert!(
                    if redirects { matches!(outcome.status, 302 | 303) && outcome.location.is_some() } else { outcome.status >= 400 },
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn what_each_proxy_takes_for_an_allow_is_as_recorded() {
    for (answer, by_proxy) in recorded::<Outcome>("proxy-answers.json", 29) {
        let is_allow = matches!(answer.as_str(), "200" | "201" | "202" | "204" | "206" | "spoof-identity-no-remote-user");
        for (proxy, outcome) in by_proxy {
            let takes = if proxy == "envoy-http" { matches!(answer.as_str(), "200" | "spoof-identity-no-remote-user") } else { is_allow };
            assert_eq!(outcome.reached > 0, takes, "{proxy} {answer}");
            // An identity header that we left out was the client's own at these two: so none is ever left out.
            let spoofed = answer == "spoof-identity-no-remote-user" && matches!(proxy.as_str(), "haproxy" | "envoy-http" | "envoy-grpc");
            assert_eq!(outcome.remote_user.iter().any(|user| user == "admin"), spoofed, "{proxy} {answer}");
        }
    }
}
