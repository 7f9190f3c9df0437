//! The embedded decision point and the real server, with one snapshot, answer alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::request::Credentials;
use countersign_sdk_client::{Answer, Client, Error, Question};
use countersign_sdk_pep::DecisionPoint as _;
use countersign_sdk_pep::embed::{EmbedError, Embedded, FactSource, NothingKnown, SnapshotKey, Swapped};
use countersign_sdk_types::{Acr, Consistency, DenialCode, EvaluationRequest, Obligation, Timestamp};
use countersign_tests::authzen::Pdp;
use countersign_tests::decision_points::{self, ORIGIN, Tested, WITH_PASSKEY, World, remote::Remote};
use countersign_tests::http;
use countersign_tests::issuer::{AUDIENCE, ISS, Issuer};
use countersign_tests::process::countersign;
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "edge-secret-of-this-test";
const POLICY: &str = r#"
package authz
import rego.v1
decision := {"effect": "allow"} if input.action.name == "GET"
decision := {"effect": "allow", "obligations": [{"id": "o", "type": "notification", "properties": {"to": "owner"}}]} if {
    input.action.name == "notify"
}
decision := {"effect": "allow", "obligations": [{"id": "o", "type": "dance"}]} if input.action.name == "dance"
decision := {"effect": "deny", "obligations": [{"id": "o", "type": "session_termination"}]} if input.action.name == "end"
decision := {"effect": "deny", "final": true} if input.action.name == "never"
decision := {"effect": "step_up", "acr": "phr", "max_age": 60} if input.action.name == "prove"
decision := {"effect": d} if { input.action.name == "risky"; d := ["deny", "allow"][_]; (d == "allow") == (input.context.risk_score < 30) }
decision := {"effect": "allow"} if { input.action.name == "role"; input.user.role == "clerk" }
decision := {"effect": "allow"} if { input.action.name == "caller"; input.context.shift == "night" }
decision := {"effect": "allow"} if { input.action.name == "level"; "phr" in input.session.acr_satisfied }
decision := {"effect": "perhaps"} if input.action.name == "shape"
decision := {"effect": "allow"} if { input.action.name == "fail"; to_number(input.resource.id) > 1 }
"#;

/// A server that signs snapshots for `edge`, with one issuer and one host.
pub(crate) struct Scene {
    pub(crate) pdp: Pdp,
    pub(crate) issuer: Issuer,
    pub(crate) key: SnapshotKey,
    folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn start() -> Self {
        let (issuer, signing, folder) = (Issuer::default(), rcgen::KeyPair::generate().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("authz.rego"), POLICY).unwrap();
        let more = format!(
            r#"
[[pep]]
id = "edge"
edge = true
secret_file = "edge-secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true, client_address = true, names = ["shift", "color"] }}
[[host]]
origin = "https://payroll.example"
token_cookie = "token"
[[issuer]]
iss = "{ISS}"
jwks_file = "jwks.json"
algorithms = ["ES256"]
audiences = ["{AUDIENCE}"]
claims = ["role"]
map = {{ role = "role" }}
[snapshot]
signing_key_file = "snapshot.pem"
"#
        );
        let pdp = Pdp::with_policy(folder.path(), &more, |folder| {
            std::fs::write(folder.join("edge-secret"), SECRET).unwrap();
            std::fs::write(folder.join("jwks.json"), issuer.jwks().to_string()).unwrap();
            std::fs::write(folder.join("snapshot.pem"), signing.serialize_pem()).unwrap();
            std::fs::write(folder.join("snapshot.pub"), signing.public_key_pem()).unwrap();
        });
        let key = SnapshotKey::from_pem(signing.public_key_pem().as_bytes()).unwrap();
        Self { pdp, issuer, key, folder }
    }

    pub(crate) fn caller() -> String {
        format!("edge:{SECRET}")
    }

    fn document(&self) -> http::Answer {
        self.document_unless("none")
    }

    fn document_unless(&self, tag: &str) -> http::Answer {
        let headers = [("x-countersign-pep", Self::caller()), ("if-none-match", tag.to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        http::send("GET", &format!("{}/countersign/v1/snapshot", self.pdp.url), &headers, None)
    }

    fn remote(&self) -> Client {
        Client::builder(&self.pdp.url).pep("edge", SECRET).deadline(std::time::Duration::from_secs(20)).build().unwrap()
    }

    fn embedded(&self) -> Embedded {
        let document = self.document().body;
        let builder = Embedded::builder(self.key.clone()).dangerous_unrecorded().deadline(std::time::Duration::from_secs(20));
        builder.build(&document).unwrap()
    }
}

/// What an answer comes to, apart from its name.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Allow(Vec<Obligation>),
    StepUp(Acr, Option<u64>),
    Deny(Option<DenialCode>),
    Error(countersign_sdk_client::ErrorKind),
}

fn told(answer: Result<Answer, Error>) -> Told {
    match answer {
        Ok(Answer::Allow(allow)) => Told::Allow(allow.obligations().to_vec()),
        Ok(Answer::StepUp(step_up)) => Told::StepUp(step_up.acr().clone(), step_up.max_age().map(|age| age.0)),
        Ok(Answer::Deny(deny)) => Told::Deny(deny.code()),
        Err(error) => Told::Error(error.kind()),
    }
}

fn question(subject: &Value, action: &str, resource: &str, context: &Value) -> Question {
    let asked = json!({"subject": subject, "action": {"name": action}, "resource": {"type": "route", "id": resource}, "context": context});
    Question::new(serde_json::from_value::<EvaluationRequest>(asked).unwrap())
}

fn http_of(method: &str, target: &str, headers: &[(&str, &str)]) -> Value {
    json!({"http": {"method": method, "scheme": "https", "host": "payroll.example", "target": target, "headers": headers,
        "client_address": "203.0.113.9"}})
}

const ACTIONS: [&str; 12] = ["GET", "notify", "dance", "end", "never", "prove", "risky", "role", "caller", "level", "shape", "nothing"];

fn questions(issuer: &Issuer) -> Vec<(String, Question)> {
    let mut all = Vec::new();
    let mut add = |name: String, question: Question| all.push((name, question));
    let user = json!({"type": "user", "id": "alice"});
    let contexts = [
        json!({}),
        json!({"shift": "night"}),
        json!({"shift": "day", "color": [1, {"a": null}]}),
        json!({"risk_score": 0}),
        json!({"unheard": true}),
        json!({"supported_obligations": "all"}),
    ];
    for action in ACTIONS.iter().chain(&["fail"]) {
        for (at, context) in contexts.iter().enumerate() {
            add(format!("stated {action} {at}"), question(&user, action, "7", context));
        }
        for supported in [&["notification"][..], &["dance"], &["notification", "dance", "session_termination"]] {
            let asked = question(&user, action, "7", &json!({})).supporting(supported.iter().copied());
            add(format!("stated {action} {supported:?}"), asked);
        }
    }
    let token = |sub: &str, more: Value| issuer.token(sub, &more);
    let tokens: BTreeMap<&str, String> = BTreeMap::from([
        ("good", token("bob", json!({"sid": "s1", "role": "clerk"}))),
        ("other role", token("bob", json!({"sid": "s1", "role": "guest"}))),
        ("level", token("bob", json!({"acr": "phr"}))),
        ("expired", token("bob", json!({"iat": 1_000_000, "exp": 1_000_600}))),
        ("of tomorrow", token("bob", json!({"nbf": 4_000_000_000_i64}))),
        ("other audience", token("bob", json!({"aud": "elsewhere"}))),
        ("other issuer", token("bob", json!({"iss": "https://other.example"}))),
        ("other key", Issuer::default().token("bob", &json!({}))),
        ("unknown key", issuer.token_of("gone", "bob", &json!({}))),
        ("too long", token("bob", json!({"exp": 4_000_000_000_i64}))),
        ("bound", token("bob", json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}))),
        ("garbage", "not.a.token".to_owned()),
    ]);
    let presented = json!({"type": "token", "id": "presented"});
    for (name, token) in &tokens {
        let bearer = format!("Bearer {token}");
        for action in ACTIONS {
            add(format!("{name} {action}"), question(&presented, action, "r", &http_of("GET", "/a?b=c", &[("authorization", &bearer)])));
        }
        add(
            format!("{name} in a cookie"),
            question(&presented, "GET", "r", &http_of("GET", "/", &[("cookie", &format!("token={token}"))])),
        );
        let both = [("authorization", bearer.as_str()), ("cookie", "token=other")];
        add(format!("{name} and another"), question(&presented, "GET", "r", &http_of("GET", "/", &both)));
    }
    let bearer = format!("Bearer {}", tokens["good"]);
    for target in ["/a//b", "/a/../b", "/%2e%2e/x", "/a%2Fb", "/a;b", "/%zz", "a", "/ok/%C3%A9", "/a?x=%00", "/a#b", "/\u{e9}"] {
        add(format!("target {target}"), question(&presented, "GET", "r", &http_of("GET", target, &[("authorization", &bearer)])));
    }
    for method in ["get", "CONNECT", "", "GET POST", "PROPFIND"] {
        add(format!("method {method}"), question(&presented, "GET", "r", &http_of(method, "/", &[("authorization", &bearer)])));
    }
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    add("header twice".to_owned(), question(&presented, "GET", "r", &http_of("GET", "/", &twice)));
    add("no header".to_owned(), question(&presented, "GET", "r", &http_of("GET", "/", &[])));
    add("no request".to_owned(), question(&presented, "GET", "r", &json!({})));
    add("not a request".to_owned(), question(&presented, "GET", "r", &json!({"http": {"method": "GET"}})));
    add("not a request at all".to_owned(), question(&presented, "GET", "r", &json!({"http": 5})));
    let mut elsewhere = http_of("GET", "/", &[("authorization", &bearer)]);
    elsewhere["http"]["host"] = json!("other.example");
    add("another host".to_owned(), question(&presented, "GET", "r", &elsewhere));
    for size in [1_000, 100_000, 300_000] {
        add(format!("{size} bytes"), question(&user, "GET", "7", &json!({"shift": "x".repeat(size)})));
    }
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    add("deep".to_owned(), question(&user, "GET", "7", &json!({"shift": deep})));
    for kind in ["service", "", "user"] {
        for id in ["x".repeat(600), "a\u{7}b".to_owned(), String::new(), "\u{e9}".to_owned()] {
            add(format!("subject {kind} {}", id.len()), question(&json!({"type": kind, "id": id}), "GET", "7", &json!({})));
        }
    }
    all
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_embedded_decision_point_answers_as_the_server_does() {
    let scene = Scene::start();
    let (remote, embedded, questions) = (scene.remote(), scene.embedded(), questions(&scene.issuer));
    assert!(questions.len() >= 300, "{}", questions.len());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    runtime().block_on(async {
        for (name, question) in &questions {
            let (theirs, ours) = (told(remote.evaluate(question).await), told(embedded.evaluate(question).await));
            assert_eq!(ours, theirs, "{name}");
            *seen
                .entry(format!("{theirs:?}").split('(').next().unwrap().to_owned() + &format!("{theirs:?}").len().to_string())
                .or_default() += 1;
        }
        let fresh = question(&json!({"type": "user", "id": "alice"}), "GET", "7", &json!({})).at_least(Consistency { chain: 1, seq: 1 });
        assert_eq!(told(embedded.evaluate(&fresh).await), Told::Error(countersign_sdk_client::ErrorKind::Unavailable));
    });
    assert!(seen.len() >= 10, "the questions come to too little: {seen:?}");
}

#[test]
fn a_snapshot_is_given_to_edges_only_and_once() {
    let scene = Scene::start();
    let (first, url) = (scene.document(), format!("{}/countersign/v1/snapshot", scene.pdp.url));
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/jose")));
    let tag = first.header("etag").unwrap().to_owned();
    let again = scene.document_unless(&tag);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(scene.document().body, first.body, "nothing changed, so it is the same document");
    assert_eq!(http::send("GET", &url, &[], None).status, 401);
    let bearer = format!("Bearer {}", countersign_tests::authzen::BEARER);
    assert_eq!(http::send("GET", &url, &[("authorization", &bearer)], None).status, 403, "no edge");
    for path in ["records", "evaluation"] {
        let path = &format!("{}/countersign/v1/edge/{path}", scene.pdp.url);
        assert_eq!(http::send("POST", path, &[("authorization", &bearer)], Some(&json!({}))).status, 403, "{path}");
        assert_eq!(http::send("POST", path, &[], Some(&json!({}))).status, 401, "{path}");
        assert_eq!(http::send("POST", path, &[("x-countersign-pep", &Scene::caller())], Some(&json!({}))).status, 400, "{path}");
    }
}

#[test]
fn a_snapshot_is_swapped_for_a_later_one_and_never_for_an_earlier_one() {
    let scene = Scene::start();
    let export = |folder: &Path| {
        let mut command = std::process::Command::new(countersign());
        let output =
            command.args(["snapshot", "export", "--pep", "edge", "--config"]).arg(folder.join("countersign.toml")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = export(scene.pdp.folder.path());
    let embedded = Embedded::builder(scene.key.clone()).dangerous_unrecorded().build(&first).unwrap();
    let revision = embedded.revision();
    std::fs::write(scene.folder.path().join("authz.rego"), "package authz\nimport rego.v1\ndefault allow := false\n").unwrap();
    let second = export(scene.pdp.folder.path());
    let asked = question(&json!({"type": "user", "id": "alice"}), "GET", "7", &json!({}));
    let runtime = runtime();
    let ask = || told(runtime.block_on(embedded.evaluate(&asked)));
    assert_eq!(ask(), Told::Allow(Vec::new()));
    assert_eq!(embedded.swap(&second).unwrap(), Swapped::Swapped);
    assert_ne!(embedded.revision(), revision);
    assert!(matches!(ask(), Told::Deny(_)));
    assert_eq!(embedded.swap(&second).unwrap(), Swapped::Same);
    assert!(matches!(embedded.swap(&first), Err(EmbedError::Older)));
    assert!(matches!(ask(), Told::Deny(_)), "the later one goes on deciding");
    let builder = Embedded::builder(scene.key.clone()).dangerous_unrecorded().not_before(embedded.made());
    assert!(matches!(builder.build(&first), Err(EmbedError::Older)), "also after a restart, where the time is kept");
    assert!(matches!(Embedded::builder(scene.key.clone()).build(&second), Err(EmbedError::Recorder)));
    let file = scene.folder.path().join("snapshot.jws");
    std::fs::write(&file, &second).unwrap();
    let mut command = std::process::Command::new(countersign());
    let shown = command.args(["snapshot", "show", "--key"]).arg(scene.pdp.folder.path().join("snapshot.pub")).arg(&file).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(embedded.revision().as_str()) && shown.contains(ISS), "{shown}");
}

/// Who has a passkey, and who was revoked.
#[derive(Debug, Clone, Default)]
struct Known(Arc<Mutex<BTreeSet<String>>>);

impl FactSource for Known {
    fn look_up(&self, identified: &Identified, credentials: &Credentials, now: Timestamp) -> Result<Facts, Denial> {
        let facts = NothingKnown.look_up(identified, credentials, now)?;
        let sub = &identified.subject().sub;
        let reachable = if sub == WITH_PASSKEY { vec![Acr::phr()] } else { Vec::new() };
        let revoked = self.0.lock().unwrap().contains(sub).then(|| sub.clone());
        Ok(Facts { reachable, revoked, ..facts })
    }
}

struct InProcess(Embedded, Known);

impl Tested for InProcess {
    type Point = Embedded;

    fn point(&self) -> &Embedded {
        &self.0
    }

    fn revoke(&self, sub: &str) {
        self.1.0.lock().unwrap().insert(sub.to_owned());
    }
}

/// The world's server, with a key to sign snapshots and an edge beside `app`.
pub(crate) fn signing(world: &World) -> (Remote, SnapshotKey, tempfile::TempDir) {
    let (folder, pair) = (tempfile::tempdir().unwrap(), rcgen::KeyPair::generate().unwrap());
    let (private, secret) = (folder.path().join("snapshot.pem"), folder.path().join("edge-secret"));
    std::fs::write(&private, pair.serialize_pem()).unwrap();
    std::fs::write(&secret, SECRET).unwrap();
    let more = format!(
        "[snapshot]\nsigning_key_file = {private:?}\n[[pep]]\nid = \"edge\"\nedge = true\nsecret_file = {secret:?}\nfrom = [\"127.0.0.1\"]\n"
    );
    let remote = Remote::publishing(world, ORIGIN, &more);
    (remote, SnapshotKey::from_pem(pair.public_key_pem().as_bytes()).unwrap(), folder)
}

#[tokio::test]
async fn the_embedded_decision_point_passes_the_suite() {
    let world = World::default();
    let (remote, key, _folder) = signing(&world);
    let url = format!("http://127.0.0.1:{}/countersign/v1/snapshot", remote.decision);
    let document = http::send("GET", &url, &[("x-countersign-pep", &Scene::caller())], None).body;
    let known = Known::default();
    let builder = Embedded::builder(key).facts(known.clone()).dangerous_unrecorded().deadline(std::time::Duration::from_secs(20));
    let tested = InProcess(builder.build(&document).unwrap(), known);
    decision_points::check(&world, &tested).await;
    decision_points::check_freshness(&world, &tested).await;
}
