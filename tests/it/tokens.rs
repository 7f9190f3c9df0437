//! Tokens beyond the bearer, through the real nginx: bound to a key by DPoP or to a certificate by mutual TLS, or known to their issuer only.

use std::process::Command;

use countersign_tests::dpop::Client;
use countersign_tests::http::Answer;
use countersign_tests::introspection::{CLIENT, Endpoint};
use countersign_tests::issuer::{AUDIENCE, ISS};
use countersign_tests::mtls::{self, Identity};
use countersign_tests::process::{countersign, free_ports, wait_for};
use countersign_tests::stage::{Scenery, Stage, now};
use serde_json::{Value, json};

/// The seed's policy: an admin on a compliant device, which here is the key or the certificate that the request proves.
fn scenery(device: &str, settings: &str) -> Scenery {
    Scenery {
        policy: "examples/seed",
        users: json!({"alice": {"role": "admin"}}),
        devices: json!({(device): {"compliant": true, "managed": true}}),
        past: &[],
        settings: settings.to_owned(),
        ..Scenery::default()
    }
}

fn of_key(client: &Client) -> String {
    format!("jkt:{}", client.thumbprint())
}

/// A request with a token under the scheme of proved keys, and this proof.
fn send(stage: &Stage, method: &str, target: &str, token: &str, proof: &str) -> Answer {
    stage.send(method, "payroll", target, &[("authorization", &format!("DPoP {token}")), ("dpop", proof)], None)
}

#[track_caller]
fn is_refused(answer: &Answer, error: &str) {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(challenge.starts_with("DPoP ") && challenge.contains(&format!("error=\"{error}\"")), "{answer:?}");
    assert!(challenge.contains("algs=\"ES256 ES384 EdDSA PS256\"") && !answer.body.contains("reached"), "{answer:?}");
}

#[test]
fn a_token_that_is_bound_to_a_key_passes_with_its_proof_and_never_without() {
    let (client, thief) = (Client::default(), Client::default());
    let stage = Stage::with(&scenery(&of_key(&client), ""));
    let (token, url, none) = (stage.issuer.token("alice", &client.confirmation()), stage.url("payroll", "/payroll"), json!({}));
    let proof = |method: &str, url: &str, more: Value| client.proof(method, url, &token, &more);
    // The book of used proofs begins with the process, by whole seconds.
    assert!(wait_for(|| send(&stage, "GET", "/payroll", &token, &proof("GET", &url, json!({}))).status == 200), "{}", stage.log());

    let used = proof("GET", &url, json!({}));
    let passed = send(&stage, "GET", "/payroll?year=2026", &token, &used);
    assert_eq!((passed.status, &passed.json()["headers"]["remote-user"]), (200, &json!(["alice"])), "{passed:?}");
    let reached = stage.app.served();
    is_refused(&send(&stage, "GET", "/payroll", &token, &used), "invalid_dpop_proof");

    let other = stage.url("payroll", "/other");
    for (why, proof) in [
        ("another path", proof("GET", &other, json!({}))),
        ("another host", proof("GET", &stage.url("wiki", "/payroll"), json!({}))),
        ("another scheme", proof("GET", &url.replace("http://", "https://"), json!({}))),
        ("another method", proof("POST", &url, json!({}))),
        ("old", proof("GET", &url, json!({"iat": now().0 / 1000 - 120}))),
        ("of the future", proof("GET", &url, json!({"iat": now().0 / 1000 + 120}))),
        ("without the hash of the token", proof("GET", &url, json!({"ath": null}))),
        ("for another token", client.proof("GET", &url, "another", &none)),
        ("nonsense", "a.b.c".to_owned()),
    ] {
        let answer = send(&stage, "GET", "/payroll", &token, &proof);
        assert_eq!(answer.status, 401, "{why}");
        is_refused(&answer, "invalid_dpop_proof");
    }
    // Whoever stole the token has another key, or none, whichever scheme they say.
    is_refused(&send(&stage, "GET", "/payroll", &token, &thief.proof("GET", &url, &token, &none)), "invalid_token");
    let with = |headers: &[(&str, &str)]| stage.send("GET", "payroll", "/payroll", headers, None);
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    is_refused(&with(&[("authorization", &dpop)]), "invalid_token");
    let as_bearer = with(&[("authorization", &bearer), ("dpop", &proof("GET", &url, json!({})))]);
    assert_eq!((as_bearer.status, as_bearer.header("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")), "{as_bearer:?}");
    assert_eq!(with(&[("cookie", &format!("access_token={token}"))]).status, 401);
    let (one, two) = (proof("GET", &url, json!({})), proof("GET", &url, json!({})));
    let twice = with(&[("authorization", &dpop), ("dpop", &one), ("dpop", &two)]);
    assert!(matches!(twice.status, 400 | 401 | 403), "two proofs: {twice:?}");
    // A plain token is no proved one under that scheme.
    let plain = stage.issuer.token("alice", &none);
    is_refused(&send(&stage, "GET", "/payroll", &plain, &client.proof("GET", &url, &plain, &none)), "invalid_token");
    assert_eq!(stage.app.served(), reached, "nothing that was refused reached the application");

    // What was refused for its key is recorded with its reason, and no record or log holds token or proof.
    let log = stage.log();
    assert!(log.contains("bound to another key") && log.contains("\"alice\""), "{log}");
    assert!([&token, &used].iter().all(|secret| secret.split('.').all(|part| !log.contains(part))), "{log}");
}

#[test]
fn a_nonce_is_given_and_must_come_back() {
    let client = Client::default();
    let stage = Stage::with(&scenery(&of_key(&client), "[dpop]\nrequire_nonce = true\n"));
    let (token, url) = (stage.issuer.token("alice", &client.confirmation()), stage.url("payroll", "/payroll"));
    let with = |more: Value| send(&stage, "GET", "/payroll", &token, &client.proof("GET", &url, &token, &more));
    let mut asked = with(json!({}));
    assert!(wait_for(|| {
        asked = with(json!({}));
        asked.header("www-authenticate").is_some_and(|challenge| challenge.contains("use_dpop_nonce"))
    }));
    is_refused(&asked, "use_dpop_nonce");
    let nonce = asked.header("dpop-nonce").unwrap_or_else(|| panic!("{asked:?}")).to_owned();
    let passed = with(json!({"nonce": nonce}));
    assert_eq!(passed.status, 200, "{passed:?}\n{}", stage.log());
    is_refused(&with(json!({"nonce": "made-up"})), "use_dpop_nonce");
}

#[test]
fn a_token_that_is_bound_to_a_certificate_passes_with_it_and_never_without() {
    let (owner, thief, server) = (Identity::new("alice"), Identity::new("mallory"), Identity::new("payroll.localhost"));
    let [port] = free_ports();
    let host = format!("[[host]]\norigin = \"https://payroll.localhost:{port}\"\n");
    let stage = Stage::with(&scenery(&format!("x5t:{}", owner.thumbprint()), &host));
    let folder = tempfile::tempdir().unwrap();
    server.write(folder.path(), "server");
    // The example, with TLS ended here and a certificate taken from whoever has one.
    let tls = format!(
        "ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; ssl_verify_client optional_no_ca;\n",
        dir = folder.path().display()
    );
    let listen = format!("listen 127.0.0.1:{port}");
    let configuration = tls + &stage.proxying_on(port).replace(&listen, &format!("{listen} ssl"));
    let _nginx = countersign_tests::nginx::start(folder.path(), &configuration, port);
    let bearer = format!("Bearer {}", stage.issuer.token("alice", &json!({"cnf": {"x5t#S256": owner.thumbprint()}})));
    let get = |headers: &[(&str, &str)], client| mtls::get(port, "payroll.localhost", "/payroll", headers, &server, client);

    let passed = get(&[("authorization", &bearer)], Some(&owner));
    assert_eq!(passed.status, 200, "{passed:?}\n{}", stage.log());
    let reached = stage.app.served();
    let refused = |answer: Answer| assert_eq!((answer.status, answer.body.contains("reached")), (401, false), "{answer:?}");
    refused(get(&[("authorization", &bearer)], Some(&thief)));
    refused(get(&[("authorization", &bearer)], None));
    // What a client calls its certificate is its own word, under whichever name.
    owner.write(folder.path(), "owner");
    let pem = std::fs::read_to_string(folder.path().join("owner.crt")).unwrap();
    let escaped: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for name in
        ["x-countersign-client-cert", "ssl-client-cert", "x-ssl-client-cert", "x-forwarded-client-cert", "x-forwarded-tls-client-cert"]
    {
        refused(get(&[("authorization", &bearer), (name, &escaped)], None));
        refused(get(&[("authorization", &bearer), (name, &escaped)], Some(&thief)));
    }
    // Over the listener without TLS there is no certificate at all.
    refused(stage.send("GET", "payroll", "/payroll", &[("authorization", &bearer), ("x-countersign-client-cert", &escaped)], None));
    assert_eq!(stage.app.served(), reached);
}

#[test]
fn an_opaque_token_is_what_its_issuer_says_and_nothing_when_nobody_says() {
    let endpoint = Endpoint::start();
    let (client, secret) = CLIENT.split_once(':').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, secret).unwrap();
    let settings = format!(
        "[issuer.introspection]\nurl = \"{}\"\nclient_id = \"{client}\"\nsecret_file = \"{}\"\ncache_seconds = 2\n",
        endpoint.url(),
        secret_file.display()
    );
    let laptop = countersign_pdp_engine::request::device_of("laptop").unwrap();
    let stage = Stage::with(&scenery(laptop.as_str(), &settings));
    let claims = |more: Value| {
        let mut claims = json!({"active": true, "iss": ISS, "aud": AUDIENCE, "sub": "alice", "exp": now().0 / 1000 + 600});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    endpoint.say("opaque1", claims(json!({})));
    let get = |token: &str| {
        let headers = [("authorization", &*format!("Bearer {token}")), ("cookie", "__Host-countersign-device=laptop")];
        stage.send("GET", "payroll", "/payroll", &headers, None)
    };
    let passed = get("opaque1");
    assert_eq!((passed.status, &passed.json()["headers"]["remote-user"]), (200, &json!(["alice"])), "{passed:?}\n{}", stage.log());
    // Within the time that an answer is kept, nobody is asked again.
    let asked = endpoint.asked();
    assert_eq!((get("opaque1").status, endpoint.asked()), (200, asked));

    for (token, says) in [
        ("unknown", None),
        ("audience", Some(json!({"aud": "other"}))),
        ("issuer", Some(json!({"iss": "https://other.example"}))),
        ("expired", Some(json!({"exp": now().0 / 1000 - 60}))),
        ("refresh", Some(json!({"token_type": "refresh_token"}))),
        ("bound", Some(json!({"cnf": {"jkt": "x"}}))),
    ] {
        says.into_iter().for_each(|says| endpoint.say(token, claims(says)));
        assert_eq!(get(token).status, 401, "{token}");
    }
    // A signed token names its issuer, whose keys are here: it goes to no endpoint.
    let asked = endpoint.asked();
    assert_eq!((get(&stage.issuer.token("alice", &json!({}))).status, endpoint.asked()), (200, asked));

    // What the issuer revokes counts no more once its answer is not kept any longer.
    endpoint.say("opaque1", json!({"active": false}));
    assert!(wait_for(|| get("opaque1").status == 401), "{}", stage.log());

    // An endpoint that does not answer closes the door, for tokens of which nothing is known.
    endpoint.say("opaque2", claims(json!({})));
    endpoint.fail();
    let closed = get("opaque2");
    assert!(closed.status >= 500 && !closed.body.contains("reached"), "{closed:?}");
    let log = stage.log();
    assert!(log.contains("introspection at") && !log.contains("opaque1") && !log.contains(secret), "{log}");
}

#[test]
fn everybody_can_run_the_suite_of_jose() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/jose");
    let run = |file: &std::path::Path| {
        let output = Command::new(countersign()).args(["conformance", "jose", "--json", "--cases"]).arg(file).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), ["cases", "passed", "failed", "skipped"].map(|count| report[count].as_u64().unwrap_or(0)))
    };
    for (file, counts) in [
        ("json_web_signature_test.json", [401, 387, 14, 0]),
        ("json_web_key_test.json", [26, 22, 4, 0]),
        ("json_web_crypto_test.json", [83, 79, 2, 2]),
        ("json_web_encryption_test.json", [139, 74, 0, 65]),
    ] {
        assert_eq!(run(&data.join(file)), (Some(0), counts), "{file}");
    }
    // A case that comes out otherwise is told by the exit code; a file that is none, by another.
    let folder = tempfile::tempdir().unwrap();
    let cases = std::fs::read_to_string(data.join("json_web_key_test.json")).unwrap();
    let turned = folder.path().join("turned.json");
    std::fs::write(&turned, cases.replace("\"invalid\"", "\"valid\"")).unwrap();
    assert_eq!(run(&turned).0, Some(1));
    std::fs::write(&turned, "{}").unwrap();
    assert_eq!(run(&turned).0, Some(2));
}
