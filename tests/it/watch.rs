//! Watches of the real server: what is told, when, to whom, over both protocols; and what strangers, slow readers and restarts get.

use countersign_pdp_engine::lease::tag;
use countersign_sdk_types::{SubjectId, Tenant};
use countersign_tests::http;
use countersign_tests::process::wait_for;
use countersign_tests::storm::wire::{Came, Connection};
use countersign_tests::storm::{Options, rage};
use countersign_tests::watched::{Event, Heard, PEP, POLICY, Server, Watch, heard};
use serde_json::{Value, json};

fn tag_of(sub: &str) -> Value {
    let subject = SubjectId { tenant: Tenant::new("main").unwrap(), iss: "pep:watcher".to_owned(), sub: sub.to_owned() };
    json!(tag::subject(&subject))
}

#[track_caller]
fn is_revocation(event: &Event, sub: &str) {
    assert_eq!(event.name, "ended");
    assert_eq!(event.data, json!({"type": "ended", "reason": "revoked", "depends_on": [tag_of(sub)]}));
}

fn place(id: &str) -> u64 {
    id.split_once('-').unwrap().1.parse().unwrap()
}

#[test]
fn a_revocation_is_told_to_whoever_watches() {
    let server = Server::start("");
    let (mut watch, hello) = Watch::hello(server.decision, "?watch=pep-1&heartbeat_ms=5000", None);
    for header in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n", "x-accel-buffering: no\r\n"] {
        assert!(watch.head.contains(header), "{}", watch.head);
    }
    assert_eq!((&hello.data["heartbeat_ms"], &hello.data["floor_ms"]), (&json!(5000), &json!(2000)));
    server.revoke("alice");
    let event = watch.event();
    is_revocation(&event, "alice");
    assert_eq!(place(&event.id), place(&hello.id) + 1);
    assert!((server.counted("countersign_watches ") - 1.0).abs() < 0.1);
    drop(watch);
    assert!(wait_for(|| server.counted("countersign_watches ") < 0.1), "a watch whose client is gone ends");
}

/// The events of one stream over HTTP/2, until there are so many or the connection ends.
async fn events(connection: &mut Connection, many: usize) -> Vec<Event> {
    let (mut text, mut found) = (String::new(), Vec::new());
    while found.len() < many {
        let read = connection.read(|came| {
            if let Came::Body(1, body) = came {
                text.push_str(std::str::from_utf8(body).unwrap());
            }
        });
        if read.await.is_err() {
            break;
        }
        while let Some((block, rest)) = text.split_once("\n\n") {
            if let Heard::Event(event) = heard(block) {
                found.push(event);
            }
            text = rest.to_owned();
        }
    }
    found
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const TARGET: &str = "/countersign/v1/watch?watch=pep-2";

#[test]
fn it_is_told_over_http2_as_well() {
    let server = Server::start("");
    runtime().block_on(async {
        let mut connection = Connection::open(server.grpc).await.unwrap();
        connection.get(&[TARGET.to_owned()], PEP).await.unwrap();
        let hello = events(&mut connection, 1).await;
        assert_eq!(hello[0].name, "hello");
        server.revoke("alice");
        is_revocation(&events(&mut connection, 1).await[0], "alice");
        // Nothing else is asked for by GET there, and nobody else watches.
        for (target, pep) in [("/countersign/v1/sessions", PEP), ("/", PEP), (TARGET, "watcher:wrong-secret-of-this-test")] {
            let mut connection = Connection::open(server.grpc).await.unwrap();
            connection.get(&[target.to_owned()], pep).await.unwrap();
            let mut is_refused = false;
            while !is_refused {
                connection
                    .read(|came| {
                        assert!(!matches!(came, Came::Accepted(_)), "{target}");
                        is_refused |= matches!(came, Came::Refused(1));
                    })
                    .await
                    .unwrap();
            }
        }
    });
}

#[test]
fn a_watch_that_comes_back_goes_on_where_it_was() {
    let server = Server::start("");
    let (mut watch, _) = Watch::hello(server.decision, "", None);
    server.revoke("alice");
    let seen = watch.event();
    drop(watch);
    server.revoke("bob");
    server.revoke("carol");
    let (mut watch, hello) = Watch::hello(server.decision, "", Some(&seen.id));
    assert_eq!(hello.id, seen.id, "it goes on from there");
    is_revocation(&watch.event(), "bob");
    is_revocation(&watch.event(), "carol");
    server.revoke("dave");
    is_revocation(&watch.event(), "dave");
    for nonsense in ["", "1-1", "nonsense"] {
        let (mut watch, _) = Watch::hello(server.decision, "", Some(nonsense));
        assert_eq!(watch.event().name, "reset", "{nonsense}");
    }
}

#[test]
fn another_life_begins_with_a_reset() {
    let mut server = Server::start("");
    let (watch, before) = Watch::hello(server.decision, "", None);
    drop(watch);
    assert!(server.process().terminate().success());
    server.begin();
    let (mut watch, after) = Watch::hello(server.decision, "", Some(&before.id));
    assert_ne!(before.id.split_once('-').unwrap().0, after.id.split_once('-').unwrap().0);
    assert_eq!(watch.event().data, json!({"type": "reset"}));
}

#[test]
fn another_policy_is_told() {
    let server = Server::start("");
    let (mut watch, hello) = Watch::hello(server.decision, "", None);
    std::fs::write(server.folder.path().join("policy/read.rego"), format!("{POLICY}allow if input.action.name == \"list\"\n")).unwrap();
    let event = watch.event();
    assert_eq!(event.name, "policy");
    assert_ne!(event.data["revision"], hello.data["revision"]);
    let (_, again) = Watch::hello(server.decision, "", None);
    assert_eq!(event.data["revision"], again.data["revision"]);
    let question = Server::question("alice", "list", None);
    let answer = http::send("POST", &server.evaluation(), &[("x-countersign-pep", PEP)], Some(&question)).json();
    assert_eq!(answer["decision"], true, "whoever is told can ask by the new one");
}

#[test]
fn whoever_watches_is_told_that_the_server_ends() {
    let mut server = Server::start("");
    let (mut watch, _) = Watch::hello(server.decision, "", None);
    runtime().block_on(async {
        let mut connection = Connection::open(server.grpc).await.unwrap();
        connection.get(&[TARGET.to_owned()], PEP).await.unwrap();
        assert_eq!(events(&mut connection, 1).await[0].name, "hello");
        assert!(server.process().terminate().success(), "a watch that stays holds nothing up for long");
        let rest = events(&mut connection, 2).await;
        assert!(matches!(&rest[..], [event] if event.name == "draining"), "{rest:?}");
    });
    let event = watch.event();
    assert_eq!(event.data, json!({"type": "draining", "within_ms": 5000}));
    while watch.next() != Heard::End {}
}

#[test]
fn there_are_as_many_watches_as_the_configuration_says() {
    let server = Server::start("[lease]\nwatches = 2\n");
    let (first, _) = Watch::hello(server.decision, "", None);
    let (_second, _) = Watch::hello(server.decision, "", None);
    let third = Watch::open(server.decision, "", &[("x-countersign-pep", PEP)]);
    assert_eq!(third.status(), 503);
    assert!(third.head.contains("retry-after: 5\r\n"), "{}", third.head);
    drop(first);
    assert!(wait_for(|| Watch::open(server.decision, "", &[("x-countersign-pep", PEP)]).status() == 200));
}

#[test]
fn strangers_watch_nothing() {
    let server = Server::start("");
    let status = |query: &str, headers: &[(&str, &str)]| Watch::open(server.decision, query, headers).status();
    assert_eq!(status("", &[]), 401);
    assert_eq!(status("", &[("x-countersign-pep", "watcher:wrong-secret-of-this-test")]), 401);
    assert_eq!(status("", &[("x-countersign-pep", PEP), ("x-countersign-pep", PEP)]), 401);
    assert_eq!(status("", &[("authorization", "Bearer nobody")]), 401);
    let proxy = PEP.replace("watcher:", "proxy:");
    assert_eq!(status("", &[("x-countersign-pep", &proxy)]), 403, "who may ask nothing is told nothing");
    for query in ["?watch=a%20b", "?watch=", "?heartbeat_ms=x", "?other=1", "?watch=a&watch=b"] {
        assert_eq!(status(query, &[("x-countersign-pep", PEP)]), 400, "{query}");
    }
    assert_eq!(status("", &[("x-countersign-pep", PEP), ("last-event-id", "1-1"), ("last-event-id", "1-2")]), 400);
    let posted =
        http::send("POST", &format!("http://127.0.0.1:{}/countersign/v1/watch", server.decision), &[("x-countersign-pep", PEP)], None);
    assert_eq!(posted.status, 405);
}

#[test]
fn whoever_does_not_read_is_closed() {
    let server = Server::start("");
    runtime().block_on(async {
        // The hello does not fit into the window, and no more is given.
        let mut connection = Connection::with_window(server.grpc, 60).await.unwrap();
        connection.get(&[TARGET.to_owned()], PEP).await.unwrap();
        let mut is_there = false;
        while !is_there {
            connection.read(|came| is_there |= matches!(came, Came::Body(..))).await.unwrap();
        }
        server.revoke("alice");
        while connection.read(|_| {}).await.is_ok() {}
    });
    assert!(wait_for(|| server.counted("countersign_watches_closed_total ") > 0.9));
    assert!(wait_for(|| server.counted("countersign_watches ") < 0.1));
}

#[test]
fn a_quiet_watch_says_that_it_lives() {
    let server = Server::start("");
    let (mut watch, hello) = Watch::hello(server.decision, "?heartbeat_ms=1", None);
    assert_eq!(hello.data["heartbeat_ms"], 1000, "no more often than that");
    assert_eq!((watch.next(), watch.next()), (Heard::Alive, Heard::Alive));
}

#[test]
fn whoever_is_refused_again_and_again_makes_no_storm() {
    let server = Server::start("");
    let (mut watch, _) = Watch::hello(server.decision, "?watch=pep-1", None);
    let ask = |sub: &str, action: &str| {
        let question = Server::question(sub, action, (action == "read").then_some("pep-1"));
        http::send("POST", &server.evaluation(), &[("x-countersign-pep", PEP)], Some(&question)).json()
    };
    // Of bob nobody holds a lease, so nobody is told of his refusals.
    (0..20).for_each(|_| assert_eq!(ask("bob", "write")["decision"], false));
    let leased = ask("alice", "read");
    assert!(leased["context"]["lease"]["depends_on"].as_array().unwrap().contains(&tag_of("alice")), "{leased}");
    let begun = tokio::time::Instant::now();
    (0..200).for_each(|_| assert_eq!(ask("alice", "write")["decision"], false));
    let mut told = vec![watch.event()];
    server.revoke("carol");
    let last = loop {
        let event = watch.event();
        if event.data["reason"] != "risk" {
            break event;
        }
        told.push(event);
    };
    let took = begun.elapsed();
    is_revocation(&last, "carol");
    for event in &told {
        let names = event.data["depends_on"].as_array().unwrap();
        assert!(names.contains(&tag_of("alice")) && !names.contains(&tag_of("bob")), "{event:?}");
    }
    assert!(told.len() as u64 <= took.as_secs() + 2, "{} events in {took:?}", told.len());
}

#[test]
fn a_storm_reaches_every_watch_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let report = runtime.block_on(rage(Options { streams: 2_000, connections: 40, revocations: 5 })).unwrap();
    assert!(report.complete && report.leased, "{report:?}");
    assert!(report.server_sockets >= 41, "{report:?}");
}
