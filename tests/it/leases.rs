//! Leases and freshness on the real binary: what is granted and what never is, what ends it, and what hostile callers ask for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use countersign_tests::authzen::{BEARER, OTHER_BEARER, Pdp, policy};
use countersign_tests::dpop::Client;
use countersign_tests::issuer::{AUDIENCE, ISS, Issuer};
use countersign_tests::process::{PATIENCE, serve, wait_for};
use countersign_tests::stage::now;
use serde_json::{Value, json};

const EVALUATION: &str = "/access/v1/evaluation";

fn question(who: &str, wanted: &Value) -> Value {
    json!({"subject": {"type": "user", "id": who}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
        "context": {"countersign": wanted}})
}

fn lease(ttl: u64) -> Value {
    json!({"lease": {"ttl_ms": ttl, "watch": "pep-1"}})
}

/// A decision point that takes tokens of this issuer.
fn with_tokens(issuer: &Issuer, more: &str) -> Pdp {
    let host = "[[host]]\norigin = \"https://payroll.example\"";
    let settings = format!(
        "{host}\n[[issuer]]\niss = \"{ISS}\"\njwks_file = \"jwks.json\"\nalgorithms = [\"ES256\"]\naudiences = [\"{AUDIENCE}\"]\n{more}"
    );
    let jwks = issuer.jwks().to_string();
    Pdp::with_policy(&policy(), &settings, |folder| std::fs::write(folder.join("jwks.json"), jwks).unwrap())
}

/// What alice's token asks for.
fn presented(headers: &[(&str, &str)], wanted: &Value) -> Value {
    let http = json!({"method": "GET", "scheme": "https", "host": "payroll.example", "target": "/", "headers": headers});
    json!({"subject": {"type": "token", "id": "presented"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
        "context": {"http": http, "countersign": wanted}})
}

/// A watch over HTTP/1.1.
struct Watch(BufReader<TcpStream>);

impl Watch {
    fn open(pdp: &Pdp, more: &str) -> Self {
        let authority = pdp.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET /countersign/v1/watch?watch=pep-1 HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {BEARER}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next event: its id, and what it says.
    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        let mut id = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the watch ended");
            if let Some(text) = line.strip_prefix("id: ") {
                text.trim().clone_into(&mut id);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[test]
fn an_allow_is_leased_where_that_is_asked_for_and_nothing_else_is() {
    let pdp = Pdp::start("");
    let asked = |question: &Value| pdp.ask(EVALUATION, question).json();
    let allowed = asked(&question("alice", &lease(5_000)));
    let given = &allowed["context"]["lease"];
    assert_eq!((&allowed["decision"], &given["ttl_ms"], &given["risk_below"]), (&json!(true), &json!(5_000), &json!(30)), "{allowed}");
    // Subject, session and user: nothing else is known of a stated subject.
    assert_eq!(given["depends_on"].as_array().unwrap().len(), 3, "{allowed}");
    assert!(allowed["context"]["consistency"].is_string());
    // As long as is asked for, and never longer than is configured.
    assert_eq!(asked(&question("alice", &lease(3_600_000)))["context"]["lease"]["ttl_ms"], 30_000);
    let id = allowed["context"]["id"].as_str().unwrap();
    let why = pdp.operate(&["why", id]);
    assert_eq!((&why["record"]["leased_ms"], &why["explanation"]["leased_ms"]), (&json!(5_000), &json!(5_000)), "{why}");
    assert!(!why["record"].to_string().contains("pep-1"), "what is wanted of an answer is no part of the question: {why}");

    for (wanted, decision) in [(json!({}), true), (lease(0), true)] {
        let plain = asked(&question("alice", &wanted));
        assert_eq!((&plain["decision"], plain["context"].get("lease")), (&json!(decision), None), "{plain}");
        let why = pdp.operate(&["why", plain["context"]["id"].as_str().unwrap()]);
        assert!(why["record"].get("leased_ms").is_none(), "{why}");
    }
    let denied = asked(&question("mallory", &lease(5_000)));
    assert_eq!((&denied["decision"], denied["context"].get("lease")), (&json!(false), None), "{denied}");
    assert!(denied["context"]["consistency"].is_string(), "{denied}");
    // An emergency pass is looked at every time.
    let _ = pdp.operate(&["break-glass", "--iss", "pep:app", "--sub", "alice", "--minutes", "5", "--reason", "fire"]);
    let passed = asked(&question("alice", &lease(5_000)));
    assert_eq!((&passed["decision"], passed["context"].get("lease")), (&json!(true), None), "{passed}");
    assert_eq!(passed["context"]["obligations"][0]["type"], "break-glass");
}

#[test]
fn what_is_wanted_is_read_strictly_and_is_nothing_that_a_caller_states() {
    let pdp = Pdp::start("");
    for wanted in [
        json!(null),
        json!([]),
        json!("lease"),
        json!({"lease": {}}),
        json!({"lease": null}),
        json!({"lease": [1000, "pep-1"]}),
        json!({"lease": {"ttl_ms": -1}}),
        json!({"lease": {"ttl_ms": 1.5}}),
        json!({"lease": {"ttl_ms": 1000, "watch": "a b"}}),
        json!({"lease": {"ttl_ms": 1000, "watch": "x".repeat(65)}}),
        json!({"lease": {"ttl_ms": 1000, "risk_below": 100}}),
        json!({"at_least": "1"}),
        json!({"at_least": 7}),
        json!({"more": true}),
    ] {
        let refused = pdp.ask(EVALUATION, &question("alice", &wanted));
        assert!(refused.status == 400 && refused.body.contains("countersign"), "{wanted}: {refused:?}");
    }
    // `door` may state no names at all.
    let door = pdp.ask_with(EVALUATION, &[("authorization", &format!("Bearer {OTHER_BEARER}"))], &question("alice", &lease(5_000)));
    assert_eq!((door.status, &door.json()["context"]["lease"]["ttl_ms"]), (200, &json!(5_000)), "{door:?}");
    let mut search = question("alice", &lease(5_000));
    search["resource"] = json!({"type": "record"});
    assert_eq!(pdp.ask("/access/v1/search/resource", &search).status, 400, "what a search finds is not leased");
    search["context"] = json!({"countersign": {"at_least": "0000000000000000-0"}});
    assert_eq!(pdp.ask("/access/v1/search/resource", &search).status, 503);
}

#[test]
fn a_stolen_token_has_no_lease_that_outlives_its_revocation() {
    let issuer = Issuer::named("k");
    let pdp = with_tokens(&issuer, "");
    let token = format!("Bearer {}", issuer.token("alice", &json!({"jti": "t1", "sid": "s1"})));
    let ask = || pdp.ask(EVALUATION, &presented(&[("authorization", &token)], &lease(30_000))).json();
    let mut watch = Watch::open(&pdp, "");
    let (position, hello) = watch.next();
    assert_eq!((&hello["type"], &hello["floor_ms"]), (&json!("hello"), &json!(2_000)), "{hello}");
    let leased = ask()["context"]["lease"].clone();
    assert_eq!((&leased["epoch"], &leased["revision"]), (&json!(position), &hello["revision"]), "{leased}");
    let revoked = pdp.operate(&["revoke", "token", "--iss", ISS, "--jti", "t1", "--reason", "stolen"]);
    let (at, ended) = watch.next();
    assert_eq!((&ended["type"], &ended["reason"]), (&json!("ended"), &json!("revoked")), "{ended}");
    let tags =
        |of: &Value| -> Vec<String> { of["depends_on"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect() };
    assert!(tags(&ended).iter().any(|tag| tags(&leased).contains(tag)), "{ended} {leased}");
    let seq = |epoch: &str| epoch.split_once('-').unwrap().1.parse::<u64>().unwrap();
    assert!(seq(&at) > seq(leased["epoch"].as_str().unwrap()), "an ending that comes before its lease is later than it");
    let after = ask();
    assert_eq!(
        (&after["decision"], &after["context"]["reason"], after["context"].get("lease")),
        (&json!(false), &json!("revoked"), None),
        "{after}"
    );
    // Another token of the same session rests on other names, and on the session.
    let other = format!("Bearer {}", issuer.token("alice", &json!({"jti": "t2", "sid": "s1"})));
    let still = pdp.ask(EVALUATION, &presented(&[("authorization", &other)], &lease(30_000))).json()["context"]["lease"].clone();
    assert!(!tags(&ended).iter().any(|tag| tags(&still).contains(tag)), "{ended} {still}");
    let common = tags(&still).iter().filter(|tag| tags(&leased).contains(tag)).count();
    assert!(common >= 3, "subject, session and user: {still} {leased}");
    assert!(revoked["consistency"].is_string(), "{revoked}");
}

#[test]
fn a_lease_ends_with_its_token_and_a_proof_for_one_request_has_none() {
    let (issuer, client) = (Issuer::named("k"), Client::default());
    let pdp = with_tokens(&issuer, "");
    let seconds = |by: i64| now().0 / 1000 + by;
    let ask = |headers: &[(&str, &str)]| pdp.ask(EVALUATION, &presented(headers, &lease(30_000))).json();
    let until = |by: i64| ask(&[("authorization", &format!("Bearer {}", issuer.token("alice", &json!({"exp": seconds(by)}))))]);
    let soon = until(9);
    let ttl = soon["context"]["lease"]["ttl_ms"].as_u64().unwrap_or_else(|| panic!("{soon}"));
    assert!((1..=9_000).contains(&ttl), "{soon}");
    // It is over and still within the skew of clocks: allowed this once.
    let over = until(-1);
    assert_eq!((&over["decision"], over["context"].get("lease")), (&json!(true), None), "{over}");

    let (token, url) = (issuer.token("alice", &client.confirmation()), "https://payroll.example/");
    let scheme = format!("DPoP {token}");
    let proved = || ask(&[("authorization", &scheme), ("dpop", &client.proof("GET", url, &token, &json!({})))]);
    // The book of used proofs begins with the process, by whole seconds.
    assert!(wait_for(|| proved()["decision"] == true), "{}", proved());
    let answer = proved();
    assert_eq!((&answer["decision"], answer["context"].get("lease")), (&json!(true), None), "{answer}");
}

#[test]
fn a_batch_leases_each_answer_by_itself() {
    let pdp = Pdp::start("");
    let item = |action: &str, context: Option<Value>| {
        let mut item = json!({"action": {"name": action}});
        context.into_iter().for_each(|context| item["context"] = context);
        item
    };
    let wanted = |wanted: Value| Some(json!({"countersign": wanted}));
    let batch = json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-1"},
        "context": {"countersign": {"lease": {"ttl_ms": 4000}}}, "evaluations": [
            item("read", None), item("write", None), item("read", Some(json!({}))), item("read", wanted(json!({"lease": {"ttl_ms": 900}}))),
            item("read", wanted(json!({"lease": 1}))), item("read", wanted(json!({"at_least": "0000000000000000-1"})))]});
    let answer = pdp.ask("/access/v1/evaluations", &batch).json();
    let told: Vec<_> = answer["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["decision"] == true, one["context"]["lease"]["ttl_ms"].as_u64()))
        .collect();
    assert_eq!(told, [(true, Some(4_000)), (false, None), (true, None), (true, Some(900)), (false, None), (false, None)], "{answer}");
    let errors: Vec<_> = [4, 5].iter().map(|at| answer["evaluations"][*at]["context"]["error"]["status"].clone()).collect();
    assert_eq!(errors, [json!(400), json!(503)], "{answer}");
}

#[test]
fn a_change_is_seen_by_whoever_names_it_and_no_other_position_is_taken() {
    let mut pdp = Pdp::start("");
    let ask = |pdp: &Pdp, floor: &str| pdp.ask(EVALUATION, &question("alice", &json!({"at_least": floor})));
    let told = |answer: &Value| answer["context"]["consistency"].as_str().unwrap().to_owned();
    let parts = |text: &str| text.split_once('-').map(|(chain, seq)| (chain.to_owned(), seq.parse::<u64>().unwrap())).unwrap();
    let before = told(&pdp.ask(EVALUATION, &question("alice", &json!({}))).json());
    let revoked = pdp.operate(&["revoke", "subject", "--iss", "pep:app", "--sub", "alice", "--reason", "gone"]);
    let change = revoked["consistency"].as_str().unwrap_or_else(|| panic!("{revoked}")).to_owned();
    assert!(parts(&change).0 == parts(&before).0 && parts(&change).1 > parts(&before).1, "{change} {before}");
    let after = ask(&pdp, &change).json();
    assert_eq!((&after["decision"], &after["context"]["reason"]), (&json!(false), &json!("revoked")), "{after}");
    assert!(parts(&told(&after)).1 >= parts(&change).1, "{after}");
    let undone = pdp.operate(&["revoke", "undo", "subject", "--iss", "pep:app", "--sub", "alice"]);
    let undone = undone["consistency"].as_str().unwrap().to_owned();
    assert_eq!(ask(&pdp, &undone).json()["decision"], true);

    // Of another store, made up, or not yet: never an allow.
    let (chain, seq) = parts(&undone);
    let other = Pdp::start("");
    let strange = told(&other.ask(EVALUATION, &question("alice", &json!({}))).json());
    assert_ne!(parts(&strange).0, chain);
    for floor in [strange, format!("{chain}-{}", seq + 1000), format!("{chain}-{}", u64::MAX), "0000000000000000-0".to_owned()] {
        let refused = ask(&pdp, &floor);
        assert_eq!(
            (refused.status, &refused.json()["decision"], &refused.json()["context"]["reason"]),
            (503, &json!(false), &json!("facts_unavailable")),
            "{floor}"
        );
    }
    // A restart is no other store.
    assert!(pdp.process.terminate().success());
    let port = |url: &str| url.rsplit_once(':').unwrap().1.parse().unwrap();
    pdp.process = serve(pdp.folder.path(), &[port(&pdp.url), pdp.operations, pdp.grpc]);
    let again = ask(&pdp, &undone).json();
    assert_eq!((&again["decision"], parts(&told(&again)).0), (&json!(true), chain), "{again}");
}

#[test]
fn an_operator_says_on_which_terms() {
    for (terms, expected) in [
        ("ttl_ms = 0\nfloor_ms = 0", None),
        ("never = [\"read\"]", None),
        ("never = [\"READ\", \"write\"]", Some(5_000)),
        ("risk_below = 0", None),
        ("ttl_ms = 3000", Some(3_000)),
    ] {
        let pdp = Pdp::start(&format!("[lease]\n{terms}\n"));
        let answer = pdp.ask(EVALUATION, &question("alice", &lease(5_000))).json();
        assert_eq!((&answer["decision"], answer["context"]["lease"]["ttl_ms"].as_u64()), (&json!(true), expected), "{terms}: {answer}");
    }
}
