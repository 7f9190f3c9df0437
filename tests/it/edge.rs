//! An edge before the real decision point: what it decides by itself, what it asks about, and what is kept of it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_sdk_client::{Answer, Error, Question};
use countersign_sdk_pep::DecisionPoint as _;
use countersign_sdk_pep::edge::{Batches, Doubt, Edge, Fetched, Heard, Link, Upstream};
use countersign_sdk_pep::embed::{Clock, SystemClock};
use countersign_sdk_types::{
    Consistency, DenialCode, Ending, Epoch, EvaluationRequest, EvaluationResponse, Lease, Millis, Revision, Tag, Timestamp, WatchEvent,
    WatchName,
};
use countersign_tests::decision_points::{self, Tested, World, remote::Remote};
use countersign_tests::edge_day::{generated, replay};
use countersign_tests::http;
use countersign_tests::process::{countersign, wait_for};
use serde_json::{Value, json};

use crate::embedded::{SECRET, Scene, runtime, signing};

const PATIENCE: Duration = Duration::from_secs(20);
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// The system's time of day, and a forward clock that a test moves.
#[derive(Debug, Clone, Default)]
struct Moved(SystemClock, Arc<AtomicU64>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.1.load(Ordering::SeqCst))
    }
}

/// The real way to the decision point, without its watch: what ends is told by the test.
#[derive(Debug)]
struct Quiet(Link);

impl Upstream for Quiet {
    async fn evaluate(&self, asked: &EvaluationRequest) -> Result<EvaluationResponse, Error> {
        self.0.evaluate(asked).await
    }

    async fn record(&self, batches: Batches) -> Result<(), Error> {
        self.0.record(batches).await
    }

    async fn snapshot(&self, known: Option<&str>) -> Result<Option<Fetched>, Error> {
        self.0.snapshot(known).await
    }

    async fn watch(&self, _: &WatchName, _: Option<Epoch>, _: impl FnMut(Heard) + Send) -> Error {
        std::future::pending().await
    }
}

/// An edge whose watch a test plays.
struct Played {
    scene: Scene,
    edge: Edge<Quiet>,
    clock: Moved,
    token: String,
    lease: Lease,
}

impl Played {
    async fn start() -> Self {
        let scene = tokio::task::spawn_blocking(Scene::start).await.unwrap();
        let (token, clock) = (scene.issuer.token("bob", &json!({"sid": "s1"})), Moved::default());
        let link = Link::new(&scene.pdp.url, "edge", SECRET, PATIENCE).unwrap();
        let edge = Edge::of(Quiet(link), scene.key.clone()).clock(clock.clone()).deadline(PATIENCE).start().await.unwrap();
        let lease = lease_of(&scene, &token);
        Self { scene, edge, clock, token, lease }
    }

    fn tell(&self, seq: u64, event: &WatchEvent) {
        self.edge.watch().told(self.clock.elapsed(), Epoch { life: self.lease.epoch.life, seq }, event);
    }

    fn hello(&self) {
        let revision = self.lease.revision.clone();
        self.tell(self.lease.epoch.seq, &WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision });
    }

    fn question(&self, action: &str, address: &str, agent: &str) -> Question {
        question(&self.token, action, address, agent)
    }

    async fn ask(&self, question: &Question) -> Answer {
        self.edge.evaluate(question).await.unwrap()
    }

    /// What the edge did with a question: `None` when it decided.
    async fn doubt(&self, question: &Question) -> Option<Doubt> {
        let before = self.edge.counted();
        self.ask(question).await;
        let after = self.edge.counted();
        let count = |of: &[(Doubt, u64)], doubt| of.iter().find(|(one, _)| *one == doubt).map_or(0, |(_, count)| *count);
        after.asked.iter().map(|(doubt, _)| *doubt).find(|doubt| count(&after.asked, *doubt) > count(&before.asked, *doubt))
    }
}

fn question(token: &str, action: &str, address: &str, agent: &str) -> Question {
    let headers = [["authorization", &format!("Bearer {token}")], ["user-agent", agent]];
    let http = json!({"method": "GET", "scheme": "https", "host": "payroll.example", "target": "/a", "headers": headers, "client_address": address});
    let asked = json!({"subject": {"type": "token", "id": "presented"}, "action": {"name": action},
        "resource": {"type": "route", "id": "payroll.example/a/1"}, "context": {"http": http}});
    Question::new(serde_json::from_value(asked).unwrap())
}

/// The lease of facts that the decision point gives for a token.
fn lease_of(scene: &Scene, token: &str) -> Lease {
    let mut asked = serde_json::to_value(question(token, "GET", "203.0.113.9", CHROME).asked()).unwrap();
    asked["context"]["countersign"] = json!({"lease": {"ttl_ms": 60_000, "watch": "by-hand"}});
    let url = format!("{}/countersign/v1/edge/evaluation", scene.pdp.url);
    let answer = http::send("POST", &url, &[("x-countersign-pep", &Scene::caller())], Some(&asked)).json();
    let facts = &answer["context"]["facts"];
    assert!(!facts.to_string().contains("salt"), "{facts}");
    serde_json::from_value(facts["lease"].clone()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn what_is_plainly_safe_is_decided_at_the_edge_and_everything_else_is_asked() {
    runtime().block_on(async {
        let mut played = Played::start().await;
        let get = played.question("GET", "203.0.113.9", CHROME);
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts));
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts), "without a watch no facts are asked for");
        played.hello();
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts));
        assert_eq!(played.doubt(&get).await, None);
        let Answer::Allow(allow) = played.ask(&get).await else { panic!("no allow") };
        assert!(allow.decision_id().unwrap().as_str().starts_with("main.edge.edge."), "{allow:?}");

        // Whatever differs is asked.
        assert_eq!(played.doubt(&played.question("GET", "203.0.113.10", CHROME)).await, Some(Doubt::NoFacts), "another address");
        assert_eq!(played.doubt(&played.question("GET", "203.0.113.9", "curl/8")).await, Some(Doubt::NoFacts), "another client");
        let other = question(&played.scene.issuer.token("bob", &json!({"sid": "s2"})), "GET", "203.0.113.9", CHROME);
        assert_eq!(played.doubt(&other).await, Some(Doubt::NoFacts), "another token");
        let forged = question(&countersign_tests::issuer::Issuer::default().token("bob", &json!({})), "GET", "203.0.113.9", CHROME);
        assert_eq!(played.doubt(&forged).await, Some(Doubt::Identity), "a forged token");
        let told = played.question("notify", "203.0.113.9", CHROME).supporting(["notification"]);
        assert_eq!(played.doubt(&told).await, Some(Doubt::NotAllowed), "something to carry out");
        assert_eq!(played.doubt(&played.question("never", "203.0.113.9", CHROME)).await, Some(Doubt::NotAllowed), "a no");
        let floor = get.clone().at_least(Consistency { chain: 1, seq: 1 });
        assert!(played.edge.evaluate(&floor).await.is_err(), "no decision point reaches another log");
        assert!(played.edge.counted().asked.contains(&(Doubt::Floor, 1)));

        // What ends, ends here.
        assert_eq!(played.doubt(&get).await, None);
        let seq = played.lease.epoch.seq;
        played.tell(seq + 1, &WatchEvent::Ended { reason: Ending::Risk, depends_on: vec![Tag([9; 16])] });
        assert_eq!(played.doubt(&get).await, None, "something else ended");
        played.tell(seq + 2, &WatchEvent::Ended { reason: Ending::Revoked, depends_on: vec![played.lease.depends_on[0]] });
        assert_eq!(played.doubt(&get).await, Some(Doubt::Ended));

        // Another life of the decision point: nothing of the one before holds, and nothing of it is kept.
        let revision = played.lease.revision.clone();
        played.lease.epoch = Epoch { life: played.lease.epoch.life.wrapping_add(1), seq: 0 };
        played.tell(0, &WatchEvent::Hello { heartbeat: Millis(10_000), floor: Millis(2_000), revision });
        assert!(played.doubt(&get).await.is_some(), "another life");
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts), "what is not of the life that is heard is not kept");
    });
}

#[test]
fn a_lost_watch_leaves_the_floor_and_another_policy_nothing() {
    runtime().block_on(async {
        let played = Played::start().await;
        played.hello();
        let get = played.question("GET", "203.0.113.9", CHROME);
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts));
        assert_eq!(played.doubt(&get).await, None);
        played.edge.watch().lost(played.clock.elapsed());
        played.clock.1.store(1_500, Ordering::SeqCst);
        assert_eq!(played.doubt(&get).await, None, "within the floor");
        played.clock.1.store(2_000, Ordering::SeqCst);
        assert_eq!(played.doubt(&get).await, Some(Doubt::Ended), "beyond it");

        played.hello();
        // It goes on where it was; a sign of life says that there was nothing between.
        played.edge.watch().heard(played.clock.elapsed());
        assert_eq!(played.doubt(&get).await, Some(Doubt::NoFacts));
        assert_eq!(played.doubt(&get).await, None);
        let Answer::Allow(allow) = played.ask(&get).await else { panic!("no allow") };
        assert!(tokio::time::timeout(Duration::from_millis(50), played.edge.ended(&allow)).await.is_err(), "it holds");
        played.clock.1.store(7_000, Ordering::SeqCst);
        assert!(tokio::time::timeout(PATIENCE, played.edge.ended(&allow)).await.is_ok(), "its facts hold, and it is asked about again");
        assert_eq!(played.doubt(&get).await, None);
        let Answer::Allow(allow) = played.ask(&get).await else { panic!("no allow") };
        played.tell(played.lease.epoch.seq + 1, &WatchEvent::Policy { revision: Revision::new("another").unwrap() });
        assert!(tokio::time::timeout(PATIENCE, played.edge.ended(&allow)).await.is_ok(), "what outlives its request ends too");
        assert_eq!(played.doubt(&get).await, Some(Doubt::Ended));
    });
}

#[test]
fn every_decision_of_an_edge_is_kept_and_without_a_record_there_is_none() {
    runtime().block_on(async {
        let mut played = Played::start().await;
        played.hello();
        let get = played.question("GET", "203.0.113.9", CHROME);
        played.ask(&get).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let Answer::Allow(allow) = played.ask(&get).await else { panic!("no allow") };
            ids.push(allow.decision_id().unwrap().as_str().to_owned());
        }
        assert_eq!(played.edge.counted().local, 3);
        played.edge.flush().await.unwrap();
        let why = |id: &str| {
            let mut command = std::process::Command::new(countersign());
            let socket = played.scene.pdp.folder.path().join("data/control.sock");
            let output = command.args(["why", id, "--socket"]).arg(socket).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        for id in &ids {
            let told = why(id);
            for part in [id.as_str(), "by the edge `edge`", "GET route:payroll.example/a/*", "the facts of `bob`"] {
                assert!(told.contains(part), "`{part}` is not in:\n{told}");
            }
        }
        // Nobody takes records any more, and every decision needs one.
        let before = played.edge.counted().local;
        let terminated = played.scene.pdp.process.terminate();
        assert!(terminated.success());
        let _ = played.edge.evaluate(&get).await;
        assert!(played.edge.flush().await.is_err());
        assert!(played.edge.evaluate(&get).await.is_err(), "neither here nor there");
        assert!(played.edge.counted().local <= before + 1);
        assert!(played.edge.counted().asked.iter().any(|(doubt, _)| *doubt == Doubt::Record), "{:?}", played.edge.counted());
    });
}

#[test]
fn a_batch_is_kept_while_the_request_that_tells_it_goes_on() {
    runtime().block_on(async {
        // The clock of this edge stands still, so its request stays open until it is told to end.
        let played = Played::start().await;
        played.hello();
        let get = played.question("GET", "203.0.113.9", CHROME);
        played.ask(&get).await;
        for _ in 0..3 {
            let before = played.edge.counted().local;
            let Answer::Allow(allow) = played.ask(&get).await else { panic!("no allow") };
            assert_eq!(played.edge.counted().local, before + 1);
            played.edge.send().await.unwrap();
            let id = allow.decision_id().unwrap().as_str().to_owned();
            let socket = played.scene.pdp.folder.path().join("data/control.sock");
            let is_kept = move || {
                std::process::Command::new(countersign()).args(["why", &id, "--socket"]).arg(&socket).output().unwrap().status.success()
            };
            assert!(tokio::task::spawn_blocking(move || wait_for(is_kept)).await.unwrap(), "it waits for the end of the request");
        }
        played.edge.flush().await.unwrap();
        assert_eq!(played.edge.counted().lost, 0);
    });
}

#[test]
fn facts_come_deflated_to_who_takes_that() {
    let scene = Scene::start();
    let token = scene.issuer.token("bob", &json!({"sid": "s1"}));
    let mut asked = serde_json::to_value(question(&token, "GET", "203.0.113.9", CHROME).asked()).unwrap();
    asked["context"]["countersign"] = json!({"lease": {"ttl_ms": 60_000, "watch": "by-hand"}});
    let (body, port) = (asked.to_string(), scene.pdp.url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap());
    let length = |accepted: &str| {
        let request = format!(
            "POST /countersign/v1/edge/evaluation HTTP/1.1\r\nhost: pdp\r\nconnection: close\r\nx-countersign-pep: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{accepted}\r\n{body}",
            Scene::caller(),
            body.len()
        );
        let answer = http::raw(port, request.as_bytes(), |_| false);
        let head = answer.split_once("\r\n\r\n").unwrap().0.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse::<usize>().unwrap();
        (head.contains("content-encoding: deflate"), length)
    };
    let (plain, packed) = (length(""), length("accept-encoding: br, deflate\r\n"));
    assert!(!plain.0 && packed.0 && packed.1 * 2 < plain.1, "{plain:?} {packed:?}");
    assert!(!length("accept-encoding: gzip\r\n").0 && !length("accept-encoding: deflate;q=0\r\n").0);
}

#[test]
fn what_edges_tell_is_read_strictly_and_once() {
    let scene = Scene::start();
    let url = format!("{}/countersign/v1/edge/records", scene.pdp.url);
    let tell_in = |coding: &str, body: &[u8]| {
        let head = format!(
            "POST /countersign/v1/edge/records HTTP/1.1\r\nhost: pdp\r\nconnection: close\r\nx-countersign-pep: {}\r\ncontent-length: {}\r\n{coding}\r\n",
            Scene::caller(),
            body.len()
        );
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
        let answer = http::raw(port, &[head.as_bytes(), body].concat(), |_| false);
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let tell = |body: &Value| tell_in("", format!("{body}\n").as_bytes());
    let line = json!([1, 0, "GET", "route:h/a", 1, 0, 0, 3]);
    let now = SystemClock::default().now().0;
    let batch = |more: Value| {
        let mut batch = json!({"life": "00000000000000aa", "batch": 1, "at": now, "of": ["main.1.1"], "lines": [line]});
        more.as_object().unwrap().iter().for_each(|(name, value)| batch[name] = value.clone());
        batch
    };
    let refused = [
        json!({"life": "x"}),
        json!({"life": "00000000000000AA"}),
        json!({"batch": 0}),
        json!({"at": now + 120_000}),
        json!({"of": []}),
        json!({"of": ["a", "b"]}),
        json!({"lines": [[1, 0, "GET", "r", 0, 0, 0, 3]]}),
        json!({"lines": [[1, 0, "GET", "r", 513, 0, 0, 3]]}),
        json!({"lines": [[1, 0, "", "r", 1, 0, 0, 3]]}),
        json!({"lines": [[1, 0, "GET", "r".repeat(300), 1, 0, 0, 3]]}),
        json!({"lines": [[1, 0, "GET", "r", 1, 0, 0, 101]]}),
        json!({"lines": [[2, 0, "GET", "r", 1, 0, 0, 3], [1, 0, "GET", "r", 1, 0, 0, 3]]}),
        json!({"more": 1}),
    ];
    for more in refused {
        assert_eq!(tell(&batch(more.clone())), 400, "{more}");
    }
    let packed = |body: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let deflate = "content-encoding: deflate\r\n";
    let body = packed(format!("{}\n", batch(json!({"life": "00000000000000bb"}))).as_bytes());
    assert_eq!(tell_in(deflate, &body), 204);
    assert_eq!(tell_in(deflate, &body[..body.len() - 1]), 400, "it broke off");
    assert_eq!(tell_in(deflate, &[&body[..], b"x"].concat()), 400, "something follows");
    assert_eq!(tell_in(deflate, format!("{}\n", batch(json!({}))).as_bytes()), 400, "it is none");
    assert_eq!(tell_in(deflate, &packed(&vec![b' '; 8 << 20])), 413, "a bomb");
    assert_eq!(tell_in("content-encoding: gzip\r\n", &body), 415);
    assert_eq!(tell_in("content-encoding: deflate, deflate\r\n", &packed(&body)), 415);
    assert_eq!(tell_in(&deflate.repeat(2), &body), 415);
    assert_eq!(tell(&batch(json!({"lost": 7}))), 204);
    assert_eq!(tell(&batch(json!({"lost": 7}))), 204, "told again, kept once");
    let kept = || {
        let mut command = std::process::Command::new(countersign());
        let socket = scene.pdp.folder.path().join("data/control.sock");
        let output = command.args(["why", "main.edge.edge.00000000000000aa.1", "--json", "--socket"]).arg(socket).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).ok()
    };
    assert!(wait_for(|| kept().is_some()));
    let record = kept().unwrap()["record"].clone();
    assert_eq!((&record["edge"], &record["known"]), (&json!("edge"), &Value::Null), "facts that it was never given: {record}");
}

struct AtTheEdge(Edge<Link>, Remote);

impl Tested for AtTheEdge {
    type Point = Edge<Link>;

    fn point(&self) -> &Edge<Link> {
        &self.0
    }

    fn revoke(&self, sub: &str) {
        self.1.revoke(sub);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_passes_the_suite_and_hears_of_what_ends() {
    let world = World::default();
    let (remote, key, _folder) = signing(&world);
    let link = Link::new(&format!("http://127.0.0.1:{}", remote.decision), "edge", SECRET, PATIENCE).unwrap();
    let edge = Edge::builder(link, key).deadline(PATIENCE).start().await.unwrap();
    assert!(wait_for(|| edge.is_watching()), "the watch does not begin");
    let tested = AtTheEdge(edge.clone(), remote);
    decision_points::check(&world, &tested).await;
    // The suite shows each token once; who comes again is decided about here, until that ends.
    let token = world.token("dora", &json!({"sid": "login"}));
    let question = Question::new(decision_points::bears("/open", &token));
    let mut last = None;
    for _ in 0..100 {
        last = Some(edge.evaluate(&question).await.unwrap());
        if edge.counted().local > 0 {
            break;
        }
    }
    let Some(Answer::Allow(allow)) = last else { panic!("not allowed: {last:?}") };
    assert!(edge.counted().local > 0, "{:?}", edge.counted());
    tested.revoke("dora");
    assert!(tokio::time::timeout(PATIENCE, edge.ended(&allow)).await.is_ok(), "nobody told that it ended");
    let Answer::Deny(deny) = edge.evaluate(&question).await.unwrap() else { panic!("a revoked subject is let through") };
    assert_eq!(deny.code(), Some(DenialCode::Revoked));
    edge.flush().await.unwrap();
    assert_eq!(edge.counted().lost, 0);
}

#[test]
fn a_replayed_day_is_never_more_permissive() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build().unwrap();
    let report = runtime.block_on(async { tokio::spawn(async { replay(&generated(2, 5)).await }).await.unwrap() });
    assert!(report.is_safe(), "{report}");
    assert_eq!((report.lost, report.less_permissive), (0, 0), "{report}");
    assert!(report.local_percent > 90.0, "{report}");
}
