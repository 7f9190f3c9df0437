//! Many questions: each answer in its place, whatever is kept, refused or missing.

use std::time::Duration;

use countersign_sdk_types::{Entity, EvaluationRequest};
use serde_json::{Value, json};

use super::question;
use crate::fake::{Fake, Reply};
use crate::{Answer, Client, ErrorKind, Question};

fn about(id: &str) -> Question {
    let resource = Entity { kind: "record".to_owned(), id: id.to_owned(), properties: serde_json::Map::new() };
    Question::new(EvaluationRequest { resource, ..question().asked().clone() })
}

fn all(count: usize) -> Vec<Question> {
    (0..count).map(|id| about(&id.to_string())).collect()
}

async fn client(pdp: &Fake) -> Client {
    Client::builder(&pdp.url).pep("app", "s3cret").deadline(Duration::from_secs(20)).batch(10).build().unwrap()
}

#[tokio::test]
async fn questions_are_asked_in_as_few_requests_as_the_bound_allows() {
    let pdp = Fake::start(Reply::Allow(None)).await;
    let client = client(&pdp).await;
    let answers = client.evaluate_all(&all(25)).await;
    assert!(answers.len() == 25 && answers.iter().all(|answer| matches!(answer, Ok(Answer::Allow(_)))));
    assert_eq!((pdp.count(), pdp.requests()), (25, 3));
    assert!(client.evaluate_all(&[]).await.is_empty());
    assert_eq!(pdp.requests(), 3);
}

#[tokio::test]
async fn large_questions_are_spread() {
    let pdp = Fake::start(Reply::Allow(None)).await;
    let large = about(&"x".repeat(100_000));
    let answers = client(&pdp).await.evaluate_all(&[large.clone(), large.clone(), large]).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(pdp.requests(), 2);
}

#[tokio::test]
async fn what_is_kept_is_not_asked_for() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = Client::builder(&pdp.url).pep("app", "s3cret").leases(Duration::from_secs(30)).build().unwrap();
    let questions = all(4);
    client.evaluate(&questions[1]).await.unwrap();
    super::leases::until("the watch lives", || client.status().watching() == crate::Watching::Alive).await;
    client.evaluate_all(&questions).await.into_iter().for_each(|answer| assert!(matches!(answer, Ok(Answer::Allow(_)))));
    assert_eq!(pdp.count(), 4);
    client.evaluate_all(&questions).await.into_iter().for_each(|answer| assert!(matches!(answer, Ok(Answer::Allow(_)))));
    assert_eq!((pdp.count(), client.status().kept()), (4, 4));
}

#[tokio::test]
async fn what_fails_is_an_error_for_each() {
    for (reply, expected) in [
        (Reply::Status(503), ErrorKind::Unavailable),
        (Reply::Status(401), ErrorKind::Refused),
        (Reply::Says(true, json!({"error": {"status": 400, "message": "no"}})), ErrorKind::Refused),
        (Reply::Says(true, json!({"error": {"status": 503, "message": "no"}})), ErrorKind::Unavailable),
        (Reply::Says(true, json!({"error": "odd"})), ErrorKind::Unavailable),
        (Reply::Says(true, json!({"obligations": 7})), ErrorKind::Malformed),
    ] {
        let pdp = Fake::start(reply.clone()).await;
        let answers = client(&pdp).await.evaluate_all(&all(3)).await;
        let kinds: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect();
        assert_eq!(kinds, [expected; 3], "{reply:?}");
    }
}

#[tokio::test]
async fn an_error_is_never_an_allow_for_one_question_either() {
    let pdp = Fake::start(Reply::Says(true, json!({"error": {"status": 400}}))).await;
    let answer = client(&pdp).await.evaluate(&question()).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_list_of_another_length_is_no_answer() {
    let body = json!({"evaluations": [{"decision": true}, {"decision": true}]}).to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(super::serve(listener, super::reply("200 OK", "application/json", &body)));
    let client = Client::builder(url).pep("app", "s3cret").deadline(Duration::from_secs(20)).build().unwrap();
    let answers = client.evaluate_all(&all(3)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap_err().kind() == ErrorKind::Malformed));
    let seen = server.await.unwrap();
    assert!(seen.starts_with("POST /access/v1/evaluations HTTP/1.1\r\n"), "{seen}");
    let (_, body) = seen.split_once("\r\n\r\n").unwrap();
    let sent: Value = serde_json::from_str(body).unwrap();
    assert_eq!(sent["evaluations"][2]["resource"]["id"], "2");
}
