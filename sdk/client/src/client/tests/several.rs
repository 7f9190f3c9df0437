//! Several addresses, and circuits that open and close.

use std::time::Duration;

use countersign_sdk_types::Consistency;

use super::leases::until;
use super::question;
use crate::fake::{Fake, Reply};
use crate::{Answer, Builder, Circuit, Client, ErrorKind};

const LONG: Duration = Duration::from_secs(3_600);

fn builder(first: &str) -> Builder {
    Client::builder(first).pep("app", "s3cret").deadline(Duration::from_secs(20))
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn circuits(client: &Client) -> Vec<Circuit> {
    client.status().addresses().iter().map(crate::AddressStatus::circuit).collect()
}

#[tokio::test]
async fn the_next_address_answers_when_one_does_not() {
    let pdp = Fake::start(Reply::Allow(None)).await;
    let client = builder(&nobody().await).address(&pdp.url).circuit(2, LONG).build().unwrap();
    for asked in 1..=4 {
        assert!(matches!(client.evaluate(&question()).await, Ok(Answer::Allow(_))));
        assert_eq!(pdp.count(), asked);
    }
    assert_eq!(circuits(&client), [Circuit::Open, Circuit::Closed]);
    assert_eq!(client.status().addresses()[1].url(), pdp.url);
}

#[tokio::test]
async fn the_first_is_preferred() {
    let (one, other) = (Fake::start(Reply::Allow(None)).await, Fake::start(Reply::Allow(None)).await);
    let client = builder(&one.url).address(&other.url).build().unwrap();
    for _ in 0..3 {
        client.evaluate(&question()).await.unwrap();
    }
    assert_eq!((one.count(), other.count()), (3, 0));
}

#[tokio::test]
async fn what_no_address_answers_is_an_error() {
    let (one, other) = (Fake::start(Reply::Status(500)).await, Fake::start(Reply::Status(429)).await);
    let client = builder(&one.url).address(&other.url).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((one.count(), other.count()), (1, 1));
}

#[tokio::test]
async fn a_refusal_is_the_answer_of_all() {
    let (one, other) = (Fake::start(Reply::Status(403)).await, Fake::start(Reply::Allow(None)).await);
    let client = builder(&one.url).address(&other.url).circuit(1, LONG).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!((other.count(), circuits(&client)[0]), (0, Circuit::Closed));
}

#[tokio::test]
async fn one_deadline_holds_for_all_addresses() {
    let (one, other) = (Fake::start(Reply::Silence).await, Fake::start(Reply::Allow(None)).await);
    let client = builder(&one.url).address(&other.url).deadline(Duration::from_secs(2)).circuit(1, LONG).build().unwrap();
    assert!(matches!(client.evaluate(&question()).await, Ok(Answer::Allow(_))), "the second has its share of the deadline");
    other.replies(Reply::Silence);
    let client = builder(&one.url).address(&other.url).deadline(Duration::from_millis(100)).circuit(1, LONG).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Deadline);
    assert_eq!(circuits(&client), [Circuit::Open; 2]);
}

#[tokio::test]
async fn a_circuit_opens_asks_nothing_and_closes_again() {
    let pdp = Fake::start(Reply::Status(500)).await;
    let client = builder(&pdp.url).circuit(3, Duration::from_millis(200)).build().unwrap();
    for _ in 0..3 {
        assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(circuits(&client), [Circuit::Open]);
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    assert_eq!(pdp.count(), 3);
    pdp.replies(Reply::Allow(None));
    until("it may be tried", || circuits(&client) == [Circuit::HalfOpen]).await;
    assert!(client.evaluate(&question()).await.is_ok());
    assert_eq!(circuits(&client), [Circuit::Closed]);
}

#[tokio::test]
async fn an_answer_that_is_none_counts_as_a_failure() {
    let pdp = Fake::start(Reply::Says(true, serde_json::json!([]))).await;
    let client = builder(&pdp.url).circuit(2, LONG).build().unwrap();
    for _ in 0..2 {
        assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Malformed);
    }
    assert_eq!(circuits(&client), [Circuit::Open]);
}

#[tokio::test]
async fn callers_and_floors_do_not_open_a_circuit() {
    let pdp = Fake::start(Reply::Status(400)).await;
    let client = builder(&pdp.url).circuit(1, LONG).build().unwrap();
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Refused);
    pdp.replies(Reply::Status(503));
    let too_fresh = question().at_least(Consistency { chain: 1, seq: u64::MAX });
    assert_eq!(client.evaluate(&too_fresh).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(pdp.last()["context"]["countersign"]["at_least"], format!("{:016x}-{}", 1, u64::MAX));
    assert_eq!(circuits(&client), [Circuit::Closed]);
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(circuits(&client), [Circuit::Open]);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_opened_again() {
    let pdp = Fake::start(Reply::Allow(None)).await;
    let client = builder(&pdp.url).circuit(1, LONG).build().unwrap();
    client.evaluate(&question()).await.unwrap();
    pdp.hangs_up();
    client.evaluate(&question()).await.unwrap();
    assert_eq!(circuits(&client), [Circuit::Closed]);
}
