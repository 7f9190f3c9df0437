//! Leases and the watch over real connections, by HTTP/1.1 and by gRPC: what is kept is not asked for again, until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_sdk_types::{Millis, Revision, WatchEvent};

use super::question;
use crate::clock::{Clock, nanos};
use crate::fake::{Fake, Reply};
use crate::{Allow, Answer, Builder, Client, ErrorKind, Question, Watching};

/// How a client asks.
#[derive(Debug, Clone, Copy)]
enum By {
    Http,
    #[cfg(feature = "grpc")]
    Grpc,
}

/// Every way.
const WAYS: &[By] = &[
    By::Http,
    #[cfg(feature = "grpc")]
    By::Grpc,
];

fn builder(pdp: &Fake, by: By) -> Builder {
    let builder = Client::builder(&pdp.url).pep("app", "s3cret").deadline(Duration::from_secs(20)).leases(Duration::from_secs(30));
    match by {
        By::Http => builder,
        #[cfg(feature = "grpc")]
        By::Grpc => builder.grpc(),
    }
}

/// Looks again and again, up to a time that no working machine needs.
pub(super) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain: {what}");
}

async fn allowed(client: &Client, question: &Question) -> Allow {
    match client.evaluate(question).await.unwrap() {
        Answer::Allow(allow) => allow,
        other => panic!("{other:?}"),
    }
}

/// A client that has asked once, and whose watch lives.
async fn watched(pdp: &Fake, by: By) -> Client {
    let client = builder(pdp, by).build().unwrap();
    assert_eq!(client.status().watching(), Watching::Off);
    allowed(&client, &question()).await;
    until("the watch lives", || client.status().watching() == Watching::Alive).await;
    client
}

#[tokio::test]
async fn what_is_leased_is_asked_once_until_it_ends() {
    for by in WAYS {
        let pdp = Fake::start(Reply::Allow(Some(1))).await;
        let client = watched(&pdp, *by).await;
        for _ in 0..3 {
            allowed(&client, &question()).await;
        }
        assert_eq!(pdp.count(), 1, "{by:?}");
        let wanted = &pdp.last()["context"]["countersign"]["lease"];
        assert_eq!(wanted["ttl_ms"], 30_000);
        assert!(pdp.watches()[0].query.contains(wanted["watch"].as_str().unwrap()));
        // Something else ends, then this.
        pdp.end(2);
        pdp.replies(Reply::Says(false, serde_json::json!({})));
        assert!(client.kept(&question()).is_some());
        pdp.end(1);
        until("the lease has ended", || client.kept(&question()).is_none()).await;
        assert!(matches!(client.evaluate(&question()).await, Ok(Answer::Deny(_))), "{by:?}");
        assert_eq!(pdp.count(), 2);
        let version = pdp.watches()[0].version;
        assert_eq!(version == http::Version::HTTP_2, !matches!(by, By::Http), "{version:?}");
    }
}

#[tokio::test]
async fn without_leases_every_question_is_asked_and_nothing_is_watched() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = Client::builder(&pdp.url).pep("app", "s3cret").build().unwrap();
    for _ in 0..2 {
        allowed(&client, &question()).await;
    }
    assert_eq!((pdp.count(), pdp.watches().len(), client.status().watching()), (2, 0, Watching::Off));
    assert!(pdp.last()["context"].get("countersign").is_none());
}

#[tokio::test]
async fn denials_and_allows_without_a_lease_are_asked_every_time() {
    for reply in [Reply::Allow(None), Reply::Says(false, serde_json::json!({"reason": "policy_denied"}))] {
        let pdp = Fake::start(reply).await;
        let client = builder(&pdp, By::Http).build().unwrap();
        for _ in 0..3 {
            client.evaluate(&question()).await.unwrap();
        }
        assert_eq!(pdp.count(), 3);
    }
}

#[tokio::test]
async fn equal_questions_at_once_are_each_asked() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = builder(&pdp, By::Http).build().unwrap();
    let (one, other) = (question(), question());
    let (one, other) = tokio::join!(client.evaluate(&one), client.evaluate(&other));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(pdp.count(), 2);
}

#[tokio::test]
async fn what_is_wanted_afresh_is_asked() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    allowed(&client, &question().afresh()).await;
    assert_eq!(pdp.count(), 2);
}

#[tokio::test]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    for by in WAYS {
        let pdp = Fake::start(Reply::Allow(Some(1))).await;
        let client = watched(&pdp, *by).await;
        let other = Question::new(countersign_sdk_types::EvaluationRequest {
            resource: countersign_sdk_types::Entity { kind: "route".into(), id: "/other".into(), properties: Default::default() },
            ..question().asked().clone()
        });
        pdp.replies(Reply::Allow(Some(2)));
        allowed(&client, &other).await;
        pdp.end(3);
        // While nobody listens, what the first rests on ends.
        pdp.cuts();
        pdp.end(1);
        until("it came back", || pdp.watches().len() == 2 && client.status().watching() == Watching::Alive).await;
        assert!(pdp.watches()[1].last.is_some());
        assert!(client.kept(&question()).is_none(), "it ended while nobody listened");
        assert!(client.kept(&other).is_some(), "{by:?}: nothing has ended it");
    }
}

#[tokio::test]
async fn another_life_of_the_decision_point_ends_everything() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    pdp.forgets();
    until("it watches the new life", || pdp.watches().len() == 2 && client.status().watching() == Watching::Alive).await;
    assert!(client.kept(&question()).is_none());
    allowed(&client, &question()).await;
    assert!(client.kept(&question()).is_some());
}

#[tokio::test]
async fn what_a_later_version_tells_ends_everything() {
    for event in ["id: 1-1\nevent: thawed\ndata: {\"type\":\"thawed\"}\n\n", "id: 1-1\nevent: ended\ndata: {\"type\":\"reset\"}\n\n"] {
        let pdp = Fake::start(Reply::Allow(Some(1))).await;
        let client = watched(&pdp, By::Http).await;
        pdp.whisper(event);
        until("nothing is kept", || client.kept(&question()).is_none()).await;
        assert_eq!(client.status().watching(), Watching::Alive);
    }
}

#[tokio::test]
async fn a_stream_that_is_none_is_left() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    pdp.whisper(&"x".repeat(200_000));
    until("it begins anew", || pdp.watches().len() == 2).await;
    drop(client);
}

#[tokio::test]
async fn a_watch_leaves_a_decision_point_that_is_about_to_end() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let other = Fake::start(Reply::Allow(Some(1))).await;
    let client = builder(&pdp, By::Http).address(&other.url).build().unwrap();
    allowed(&client, &question()).await;
    until("the watch lives", || client.status().watching() == Watching::Alive).await;
    pdp.tell(WatchEvent::Draining { within: Millis(50) });
    until("it watches the other", || other.watches().len() == 1 && client.status().watching() == Watching::Alive).await;
    // And it asks the one that it watches: leases of any other are of no use.
    client.evaluate(&question().afresh()).await.unwrap();
    assert_eq!((pdp.count(), other.count()), (1, 1));
}

#[tokio::test]
async fn a_policy_that_is_activated_ends_what_another_allowed() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    pdp.tell(WatchEvent::Policy { revision: Revision::new("r1").unwrap() });
    pdp.end(9);
    assert!(client.kept(&question()).is_some());
    pdp.tell(WatchEvent::Policy { revision: Revision::new("r2").unwrap() });
    until("it has ended", || client.kept(&question()).is_none()).await;
}

#[tokio::test]
async fn a_lost_watch_leaves_the_floor() {
    let hand = Arc::new(AtomicU64::new(0));
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = builder(&pdp, By::Http).clock(Clock::Hand(Arc::clone(&hand))).build().unwrap();
    let allow = allowed(&client, &question()).await;
    until("the watch lives", || client.status().watching() == Watching::Alive).await;
    drop(pdp);
    until("the watch is lost", || client.status().watching() == Watching::Lost).await;
    assert!(client.kept(&question()).is_some() && client.stands(&allow));
    hand.store(nanos(Duration::from_millis(299)), Ordering::SeqCst);
    assert!(client.kept(&question()).is_some());
    hand.store(nanos(Duration::from_millis(300)), Ordering::SeqCst);
    assert!(client.kept(&question()).is_none() && !client.stands(&allow));
    client.ended(&allow).await;
    assert_eq!(client.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn who_waits_for_the_end_of_an_allow_is_told() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    let allow = allowed(&client, &question()).await;
    let waiting = {
        let (client, allow) = (client.clone(), allow.clone());
        tokio::spawn(async move { client.ended(&allow).await })
    };
    pdp.end(1);
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    // Over is over.
    client.ended(&allow).await;
    assert!(!client.stands(&allow));
}

#[tokio::test]
async fn the_watch_ends_with_the_last_clone() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    let clone = client.clone();
    drop(client);
    allowed(&clone, &question()).await;
    assert_eq!((pdp.count(), pdp.watches().len()), (1, 1));
    drop(clone);
    let lines = || {
        pdp.whisper(":\n\n");
        pdp.lines()
    };
    until("nobody listens", || lines() == 0).await;
}

#[tokio::test]
async fn a_question_that_uses_the_clients_own_name_is_not_sent() {
    let pdp = Fake::start(Reply::Allow(None)).await;
    let client = builder(&pdp, By::Http).build().unwrap();
    let mut asked = question().asked().clone();
    asked.context.insert("countersign".to_owned(), serde_json::json!({}));
    assert_eq!(client.evaluate(&Question::new(asked)).await.unwrap_err().kind(), ErrorKind::Configuration);
    assert_eq!(pdp.count(), 0);
}

#[tokio::test]
async fn a_proof_for_one_use_gets_no_lease() {
    let pdp = Fake::start(Reply::Allow(Some(1))).await;
    let client = watched(&pdp, By::Http).await;
    let mut asked = question().asked().clone();
    asked.context.insert("http".to_owned(), serde_json::json!({"headers": [["dpop", "eyJ"]]}));
    let question = Question::new(asked);
    for _ in 0..2 {
        allowed(&client, &question).await;
        assert!(pdp.last()["context"].get("countersign").is_none());
    }
    assert_eq!(pdp.count(), 3);
}
