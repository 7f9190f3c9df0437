//! The client of applications against the real binary: leases that end when something ends them, by AuthZEN and by gRPC; floors, many questions, restarts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_sdk_client::{Allow, Answer, Builder, Client, ErrorKind, Question, Watching};
use countersign_sdk_types::{Action, Consistency, Entity, EvaluationRequest};
use countersign_tests::authzen::{BEARER, Pdp, SECRET};
use countersign_tests::process::{PATIENCE, serve};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A person of the certification policy, who may read every record.
fn question(who: &str, record: &str) -> Question {
    let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() };
    let action = Action { name: "read".to_owned(), properties: Map::new() };
    Question::new(EvaluationRequest { subject: entity("user", who), action, resource: entity("record", record), context: Map::new() })
}

/// By HTTP, and by gRPC.
fn both(pdp: &Pdp) -> [Builder; 2] {
    let grpc = format!("http://127.0.0.1:{}", pdp.grpc);
    [&pdp.url, &grpc]
        .map(|url| Client::builder(url).pep("app", SECRET).deadline(PATIENCE).leases(Duration::from_secs(30)))
        .into_iter()
        .zip([false, true])
        .map(|(builder, is_grpc)| if is_grpc { builder.grpc() } else { builder })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waited = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "waited in vain: {what}");
}

#[track_caller]
fn allow(answer: Result<Answer, countersign_sdk_client::Error>) -> Allow {
    match answer {
        Ok(Answer::Allow(allow)) => allow,
        other => panic!("an allow was expected: {other:?}"),
    }
}

/// A client whose watch lives and that keeps the answer to this question.
async fn keeping(builder: Builder, question: &Question) -> Client {
    let client = builder.build().unwrap();
    allow(client.evaluate(question).await);
    until("the watch lives", || client.status().watching() == Watching::Alive).await;
    allow(client.evaluate(question).await);
    assert!(client.kept(question).is_some(), "it was not leased");
    client
}

/// Tells of one after another which decision allowed it.
fn id(allow: &Allow) -> String {
    allow.decision_id().unwrap().to_string()
}

#[test]
fn a_kept_allow_is_one_decision_until_the_subject_is_revoked() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        for (builder, who) in both(&pdp).into_iter().zip(["alice", "bob"]) {
            let question = question(who, "record-1");
            let client = keeping(builder, &question).await;
            let (first, second) = (allow(client.evaluate(&question).await), allow(client.evaluate(&question).await));
            assert_eq!(id(&first), id(&second));
            let ended = tokio::spawn({
                let (client, first) = (client.clone(), first.clone());
                async move { client.ended(&first).await }
            });
            let revoked = pdp.operate(&["revoke", "subject", "--iss", "pep:app", "--sub", who]);
            until("it has ended", || client.kept(&question).is_none()).await;
            tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
            assert!(matches!(client.evaluate(&question).await, Ok(Answer::Deny(_))), "{who} is revoked: {revoked}");
        }
    });
}

#[test]
fn a_revocation_that_this_client_knows_of_is_a_floor() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        let asked = question("alice", "record-1");
        let [client, _] = both(&pdp);
        let client = keeping(client, &asked).await;
        let fresh = client.kept(&asked).unwrap().consistency().expect("an answer says how fresh it is");
        assert!(allow(client.evaluate(&asked.clone().at_least(fresh)).await).consistency().unwrap().seq >= fresh.seq);
        // What no decision point has seen is refused, and the circuit stays closed.
        for floor in [Consistency { chain: fresh.chain ^ 1, seq: 0 }, Consistency { chain: fresh.chain, seq: u64::MAX }] {
            let answer = client.evaluate(&asked.clone().at_least(floor)).await;
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable, "{floor}");
        }
        assert!(client.kept(&asked).is_some());
        // After a change, its consistency is the floor: what is kept is too old by then, whether or not its end was told.
        let revoked = pdp.operate(&["revoke", "subject", "--iss", "pep:app", "--sub", "alice"]);
        let floor: Consistency = serde_json::from_value(revoked["consistency"].clone()).unwrap();
        assert!(matches!(client.evaluate(&asked.at_least(floor)).await, Ok(Answer::Deny(_))));
    });
}

#[test]
fn a_restarted_decision_point_is_another_life() {
    let mut pdp = Pdp::start("");
    runtime().block_on(async {
        let question = question("alice", "record-1");
        let [builder, _] = both(&pdp);
        let client = keeping(builder.circuit(1_000, Duration::from_millis(50)), &question).await;
        let before = id(&client.kept(&question).unwrap());
        assert!(pdp.process.terminate().success());
        until("the watch is lost", || client.status().watching() == Watching::Lost).await;
        let port = |url: &str| url.rsplit(':').next().unwrap().parse().unwrap();
        pdp.process = serve(pdp.folder.path(), &[port(&pdp.url), pdp.operations, pdp.grpc]);
        until("the watch lives again", || client.status().watching() == Watching::Alive).await;
        assert!(client.kept(&question).is_none(), "a lease of the life before");
        assert_ne!(id(&allow(client.evaluate(&question).await)), before);
    });
}

#[test]
fn a_decision_point_that_is_gone_allows_for_the_floor_and_no_longer() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        let question = question("alice", "record-1");
        let [builder, _] = both(&pdp);
        let client = keeping(builder.floor(Duration::from_millis(300)), &question).await;
        let kept = client.kept(&question).unwrap();
        drop(pdp);
        until("the floor is over", || client.kept(&question).is_none()).await;
        client.ended(&kept).await;
        assert!(client.evaluate(&question).await.is_err());
    });
}

#[test]
fn many_questions_are_answered_in_their_places_by_both_wires() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        for builder in both(&pdp) {
            let client = builder.batch(7).build().unwrap();
            let questions: Vec<_> = (0..20).map(|at| question(if at % 3 == 0 { "mallory" } else { "alice" }, "record-1")).collect();
            let answers = client.evaluate_all(&questions).await;
            for (at, answer) in answers.into_iter().enumerate() {
                let expected = if at % 3 == 0 { "deny" } else { "allow" };
                let seen = match answer {
                    Ok(Answer::Allow(_)) => "allow",
                    Ok(Answer::Deny(_)) => "deny",
                    other => panic!("{at}: {other:?}"),
                };
                assert_eq!(seen, expected, "{at}");
            }
        }
    });
}

#[test]
fn both_wires_answer_alike() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        let [http, grpc] = both(&pdp).map(|builder| builder.build().unwrap());
        let context = |context: Value| {
            let mut asked = question("alice", "record-1").asked().clone();
            asked.context = serde_json::from_value(context).unwrap();
            Question::new(asked)
        };
        let questions = [
            question("alice", "record-1"),
            question("mallory", "record-1"),
            context(json!({"note": {"deep": [1, 2.5, null, true, "text"]}})),
            // A name that the decision point computes, and one that is malformed.
            context(json!({"risk_score": 0})),
            context(json!({"http": 7})),
            question("alice", "record-1").at_least(Consistency { chain: 1, seq: 1 }),
        ];
        for question in &questions {
            let [one, other] = [http.evaluate(question).await, grpc.evaluate(question).await].map(|answer| match answer {
                Ok(Answer::Allow(_)) => "allow".to_owned(),
                Ok(Answer::StepUp(step_up)) => format!("step-up {}", step_up.acr()),
                Ok(Answer::Deny(deny)) => format!("deny {:?}", deny.code()),
                Err(error) => format!("error {:?}", error.kind()),
            });
            assert_eq!(one, other, "{question:?}");
        }
    });
}

#[test]
fn a_stranger_is_refused_and_a_token_is_enough() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        let question = question("alice", "record-1");
        let stranger = Client::builder(&pdp.url).pep("app", "wrong").build().unwrap();
        assert_eq!(stranger.evaluate(&question).await.unwrap_err().kind(), ErrorKind::Refused);
        let known = Client::builder(&pdp.url).bearer(BEARER).deadline(PATIENCE).leases(Duration::from_secs(30));
        keeping(known, &question).await;
    });
}

/// Between the client and the decision point: passes everything on, until it is cut.
struct Between {
    url: String,
    is_open: Arc<AtomicBool>,
    passing: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl Between {
    async fn new(pdp: &Pdp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = pdp.url.strip_prefix("http://").unwrap().to_owned();
        let (is_open, passing) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let (open, handles) = (Arc::clone(&is_open), Arc::clone(&passing));
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let mut to = TcpStream::connect(&to).await.unwrap();
                let pass = async move { drop(tokio::io::copy_bidirectional(&mut from, &mut to).await) };
                handles.lock().unwrap().push(tokio::spawn(pass).abort_handle());
            }
        });
        Self { url, is_open, passing }
    }

    fn cut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.passing.lock().unwrap().drain(..).for_each(|passing| passing.abort());
    }

    fn mend(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_network_that_was_cut_and_mended_ends_what_was_revoked_meanwhile_and_nothing_else() {
    let pdp = Pdp::start("");
    runtime().block_on(async {
        let between = Between::new(&pdp).await;
        let builder = Client::builder(&between.url).pep("app", SECRET).deadline(PATIENCE).leases(Duration::from_secs(600));
        let (alice, bob) = (question("alice", "record-1"), question("bob", "record-1"));
        let client = keeping(builder.circuit(1_000, Duration::from_millis(50)), &alice).await;
        let ids = [id(&allow(client.evaluate(&alice).await)), id(&allow(client.evaluate(&bob).await))];
        between.cut();
        until("the watch is lost", || client.status().watching() == Watching::Lost).await;
        let _ = pdp.operate(&["revoke", "subject", "--iss", "pep:app", "--sub", "alice"]);
        between.mend();
        until("the watch lives again", || client.status().watching() == Watching::Alive).await;
        assert!(client.kept(&alice).is_none(), "it was revoked while nobody listened");
        assert_eq!(id(&client.kept(&bob).expect("nothing has ended it")), ids[1]);
        assert!(matches!(client.evaluate(&alice).await, Ok(Answer::Deny(_))), "{ids:?}");
    });
}
