//! An endpoint that answers, refuses, hangs, or sends nonsense; and how often it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const ISS: &str = "https://issuer.example";

/// Answers every request with the same bytes, and remembers the last request and how many there were.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

async fn serve(answer: String, wait: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let (asked, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
    let (count, seen) = (Arc::clone(&asked), Arc::clone(&last));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (answer, count, seen) = (answer.clone(), Arc::clone(&count), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !String::from_utf8_lossy(&request).contains("token_type_hint=access_token") {
                    let mut part = [0; 4096];
                    let read = stream.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                count.fetch_add(1, Ordering::SeqCst);
                *seen.lock().unwrap() = String::from_utf8(request).unwrap();
                tokio::time::sleep(wait).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Server { url, asked, last }
}

fn json(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn asking(url: &str, life: u64) -> (Arc<Introspection>, Clock) {
    let clock = Clock::starting_at(Timestamp(1_800_000_000_000));
    let source = Source::new(url, &UrlOptions::default(), ("the client", "s:e+c&ret"), Seconds(life)).unwrap();
    (Introspection::new(BTreeMap::from([(ISS.to_owned(), source)]), clock.clone()), clock)
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_answer_is_asked_for_once_and_kept_for_a_moment() {
    let server = serve(json(r#"{"active":true,"exp":1800000600}"#), Duration::from_millis(50)).await;
    let (introspection, clock) = asking(&server.url, 60);
    let many = (0..20).map(|_| introspection.ask(ISS, "a token+&=", LONG));
    assert!(futures_util::future::join_all(many).await.into_iter().all(|asked| asked == Ok(())));
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    let request = server.last.lock().unwrap().clone();
    assert!(request.ends_with("token=a%20token%2B%26%3D&token_type_hint=access_token"), "{request}");
    // The client and its secret, each encoded as in a form first.
    let basic = STANDARD.encode("the%20client:s%3Ae%2Bc%26ret");
    assert!(request.contains(&format!("authorization: Basic {basic}")), "{request}");
    assert!(introspection.known("a token+&=", clock.now()).unwrap().is_active());
    assert!(introspection.known("another", clock.now()).is_none());
    clock.advance(Seconds(59).into());
    assert!(introspection.known("a token+&=", clock.now()).is_some());
    clock.advance(Seconds(2).into());
    assert!(introspection.known("a token+&=", clock.now()).is_none());
    assert!(introspection.open.lock().unwrap().is_empty());
    let shown = format!("{introspection:?}");
    assert!(!shown.contains("a token") && !shown.contains(&basic), "{shown}");
}

#[tokio::test]
async fn nothing_is_kept_longer_than_the_token_lives_and_a_no_is_short() {
    let server = serve(json(r#"{"active":true,"exp":1800000010}"#), Duration::ZERO).await;
    let (introspection, clock) = asking(&server.url, 60);
    introspection.ask(ISS, "t", LONG).await.unwrap();
    clock.advance(Seconds(11).into());
    assert!(introspection.known("t", clock.now()).is_none());
    let server = serve(json(r#"{"active":true,"exp":1700000000}"#), Duration::ZERO).await;
    let (introspection, clock) = asking(&server.url, 60);
    introspection.ask(ISS, "t", LONG).await.unwrap();
    assert!(introspection.known("t", clock.now()).is_some(), "whoever asked reads that it has ended");
    let server = serve(json(r#"{"active":false}"#), Duration::ZERO).await;
    let (introspection, clock) = asking(&server.url, 60);
    introspection.ask(ISS, "t", LONG).await.unwrap();
    assert!(!introspection.known("t", clock.now()).unwrap().is_active());
    clock.advance(Seconds(6).into());
    assert!(introspection.known("t", clock.now()).is_none());
}

#[tokio::test]
async fn what_is_no_answer_is_a_denial_and_is_not_kept() {
    let large = json(&format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(20 * 1024)));
    let html = json("<html>").replace("application/json", "text/html");
    for answer in [
        json("{}"),
        json("not json"),
        json(r#"{"active":true,"active":false}"#),
        html,
        large,
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        json(r#"{"active":true}"#).replace("200 OK", "500 Internal Server Error"),
        String::new(),
    ] {
        let server = serve(answer.clone(), Duration::ZERO).await;
        let (introspection, clock) = asking(&server.url, 60);
        let refused = introspection.ask(ISS, "t", LONG).await.map_err(|denial| denial.code());
        assert_eq!(refused, Err(DenialCode::FactsUnavailable), "{answer}");
        assert!(introspection.known("t", clock.now()).is_none());
    }
    let (nobody, _) = asking("http://127.0.0.1:1/", 60);
    assert!(nobody.ask(ISS, "t", LONG).await.is_err());
    assert!(nobody.ask("https://other.example", "t", LONG).await.is_err());
}

#[tokio::test]
async fn nobody_waits_longer_than_they_can_and_the_answer_is_there_later() {
    let server = serve(json(r#"{"active":true}"#), Duration::from_millis(300)).await;
    let (introspection, clock) = asking(&server.url, 60);
    let hurried = introspection.ask(ISS, "t", Duration::from_millis(10)).await.map_err(|denial| denial.code());
    assert_eq!(hurried, Err(DenialCode::FactsUnavailable));
    introspection.ask(ISS, "t", LONG).await.unwrap();
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "the second joined the first");
    assert!(introspection.known("t", clock.now()).is_some());
}

#[tokio::test]
async fn open_questions_are_bounded() {
    let server = serve(json(r#"{"active":true}"#), Duration::from_secs(4)).await;
    let (introspection, _) = asking(&server.url, 60);
    let open: Vec<_> = (0..MOST_OPEN).map(|at| introspection.begin(ISS, &format!("t{at}")).unwrap()).collect();
    let over = introspection.begin(ISS, "one more").map(|_| ()).map_err(|denial| denial.code());
    assert_eq!(over, Err(DenialCode::Overloaded));
    assert!(introspection.begin(ISS, "t0").is_ok(), "an open question can be joined");
    drop(open);
}
