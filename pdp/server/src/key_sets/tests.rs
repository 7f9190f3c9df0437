//! Keys from a file and from an issuer on loopback that can be switched to misbehave and counts who asks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_pdp_engine::identify::Issuer;
use countersign_pdp_engine::keys::{SignatureError, algorithm};
use countersign_sdk_types::Seconds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::front_door::{self, Limits, Listener};
use crate::outbound::UrlOptions;
use crate::tls::tests::Authority;

const ISS: &str = "https://issuer.example";
const LONG: Duration = Duration::from_secs(3600);
/// As long as a test may take; nothing waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key set with keys of these names.
fn jwks(kids: &[&str]) -> String {
    // The public key of RFC 8037, appendix A.2.
    let jwk = |kid: &&str| format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#);
    format!(r#"{{"keys":[{}]}}"#, kids.iter().map(jwk).collect::<Vec<_>>().join(","))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An issuer's endpoint that answers every request with the same bytes, then closes when they are not empty.
#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn open(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Self { address, answer: Arc::new(Mutex::new(answer.into_bytes())), asked: Arc::default() };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        endpoint
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            request.push(byte);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        let _ = stream.write_all(&answer).await;
        if answer.is_empty() {
            // Says nothing until the other side gives up.
            let _ = stream.read_u8().await;
        }
    }

    fn answers(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn source(&self) -> Source {
        Source::url(&format!("http://{}/jwks", self.address), &UrlOptions::default()).unwrap()
    }
}

fn base(keys: KeySet) -> Issuers {
    let issuer = Issuer {
        keys,
        algorithms: vec![algorithm("EdDSA").unwrap()],
        audiences: BTreeSet::from(["us".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: Seconds(3600),
        mapped_claims: BTreeSet::new(),
    };
    Issuers { by_iss: BTreeMap::from([(ISS.to_owned(), issuer)]), skew: Seconds(5) }
}

/// Nothing happens by itself; what is asked for is waited for.
fn quiet() -> Timing {
    Timing { refresh: LONG, poll: LONG, retry: LONG, on_demand: LONG, wait: PATIENCE, within: PATIENCE, max_stale: LONG }
}

fn sets(source: Source, timing: Timing) -> Arc<KeySets> {
    let sources = BTreeMap::from([(ISS.to_owned(), source)]);
    Arc::new(KeySets::new(base(KeySet::default()), sources, timing, Arc::new(Metrics::new())))
}

/// Keeps the keys fresh until the sender is dropped.
fn run(sets: &Arc<KeySets>) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(Arc::clone(sets).run(stopped));
    stop
}

impl KeySets {
    fn knows(&self, kid: &str) -> bool {
        use base64::Engine as _;
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
        let token = format!("{}.e30.AAAA", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header));
        let verified = self.current().by_iss[ISS].keys.verify(&token, &[algorithm("EdDSA").unwrap()]);
        verified != Err(SignatureError::UnknownKey)
    }

    fn of(&self) -> KeySetStatus {
        self.status()[ISS].clone()
    }

    /// Waits until something holds, looked at after each look.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut looks = self.watched[ISS].looks.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                looks.changed().await.unwrap();
            }
        });
        waited.await.unwrap_or_else(|_| panic!("does not come to hold: {:?}", self.status()));
    }

    #[track_caller]
    fn failed(&self, expected: &str) {
        let said = self.of().last_error.expect("no error");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn keys_are_loaded_at_start_and_rotate() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), Timing { refresh: Duration::from_millis(10), ..quiet() });
    assert_eq!(sets.ready(), Err(format!("no keys yet of `{ISS}`")));
    let _run = run(&sets);
    sets.until(|sets| sets.ready().is_ok()).await;
    assert!(sets.knows("a") && !sets.knows("b"));
    endpoint.answers(ok(&jwks(&["b"])));
    sets.until(|sets| sets.knows("b")).await;
    assert!(!sets.knows("a"), "a removed key is still taken");
}

#[tokio::test]
async fn the_same_answer_changes_nothing() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), quiet());
    sets.load().await;
    let before = sets.current();
    sets.load().await;
    assert_eq!(endpoint.asked(), 2);
    assert!(Arc::ptr_eq(&before, &sets.current()));
    let counted = sets.metrics.render().unwrap();
    assert!(counted.contains(r#"key_set_fetches_total{outcome="changed"} 1"#), "{counted}");
    assert!(counted.contains(r#"key_set_fetches_total{outcome="unchanged"} 1"#), "{counted}");
}

#[tokio::test]
async fn an_outage_keeps_the_last_good_keys() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), quiet());
    sets.load().await;
    let success = sets.of().last_success;
    endpoint.answers("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    sets.load().await;
    sets.failed("503");
    assert!(sets.knows("a") && sets.ready().is_ok());
    assert_eq!((sets.of().keys, sets.of().last_success), (1, success));
}

#[tokio::test]
async fn failed_looks_are_tried_again_soon() {
    let endpoint = Endpoint::open("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let timing = Timing { retry: Duration::from_millis(1), on_demand: Duration::from_millis(20), ..quiet() };
    let sets = sets(endpoint.source(), timing);
    let _run = run(&sets);
    sets.until(|_| endpoint.asked() >= 3).await;
    endpoint.answers(ok(&jwks(&["a"])));
    sets.until(|sets| sets.ready().is_ok()).await;
    assert_eq!(sets.of().last_error, None);
}

#[tokio::test]
async fn stale_keys_are_no_keys_until_there_are_new_ones() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let timing = Timing {
        refresh: Duration::from_millis(10),
        retry: Duration::from_millis(10),
        on_demand: Duration::from_millis(10),
        max_stale: Duration::from_millis(100),
        ..quiet()
    };
    let sets = sets(endpoint.source(), timing);
    let _run = run(&sets);
    sets.until(|sets| sets.knows("a")).await;
    endpoint.answers("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    sets.until(|sets| sets.of().keys == 0).await;
    assert!(!sets.knows("a"));
    endpoint.answers(ok(&jwks(&["a"])));
    sets.until(|sets| sets.knows("a")).await;
}

#[tokio::test]
async fn keys_become_stale_while_the_next_look_is_far() {
    let endpoint = Endpoint::open("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let sources = BTreeMap::from([(ISS.to_owned(), endpoint.source())]);
    let keys = KeySet::parse(jwks(&["a"]).as_bytes()).unwrap();
    let timing = Timing { max_stale: Duration::from_millis(50), ..quiet() };
    let sets = Arc::new(KeySets::new(base(keys), sources, timing, Arc::new(Metrics::new())));
    assert!(sets.ready().is_ok() && sets.knows("a"));
    let _run = run(&sets);
    sets.until(|sets| !sets.knows("a")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_unknown_keys_is_one_fetch() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), quiet());
    sets.load().await;
    let _run = run(&sets);
    endpoint.answers(ok(&jwks(&["a", "new"])));
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let sets = Arc::clone(&sets);
            tokio::spawn(async move { sets.unknown_key(ISS).await })
        })
        .collect();
    let mut worth_a_try = 0;
    for call in calls {
        worth_a_try += usize::from(tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap());
    }
    assert!(worth_a_try >= 1 && sets.knows("new"));
    assert!(!sets.unknown_key(ISS).await, "the next one waits for nothing");
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn a_slow_issuer_keeps_a_request_only_for_a_moment() {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), Timing { wait: Duration::from_millis(10), within: Duration::from_millis(300), ..quiet() });
    sets.load().await;
    let _run = run(&sets);
    endpoint.answers("");
    assert!(!sets.unknown_key(ISS).await);
    // The look goes on without the caller, and ends by itself.
    sets.until(|sets| sets.of().last_error.is_some()).await;
    sets.failed("too long");
    assert!(!sets.unknown_key("https://nobody.example").await);
}

#[tokio::test]
async fn an_operator_need_not_wait() {
    let endpoint = Endpoint::open(ok(&jwks(&["leaked"]))).await;
    let sets = sets(endpoint.source(), quiet());
    let _run = run(&sets);
    sets.until(|sets| sets.knows("leaked")).await;
    endpoint.answers(ok(&jwks(&["new"])));
    sets.refresh();
    sets.until(|sets| !sets.knows("leaked")).await;
}

/// An answer that must not change what is known.
async fn check_refused(answer: impl Into<Vec<u8>>, expected: &str) {
    let endpoint = Endpoint::open(ok(&jwks(&["a"]))).await;
    let sets = sets(endpoint.source(), quiet());
    sets.load().await;
    endpoint.answers(answer);
    sets.load().await;
    sets.failed(expected);
    assert!(sets.knows("a"));
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn what_is_no_key_set_is_refused() {
    check_refused(ok("garbage"), "not a JSON Web Key Set").await;
    check_refused(ok(r#"{"keys":[],"keys":[]}"#), "not a JSON Web Key Set").await;
    check_refused(ok(r#"{"keys":[]}"#), "no key that can be used").await;
    check_refused(ok(r#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}"#), "no key that can be used").await;
    check_refused(ok(&jwks(&["b", "b"])), "twice").await;
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}";
    check_refused(html, "something else than JSON").await;
    let packed = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}";
    check_refused(packed, "something else than JSON").await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let padded = format!("{}{}", jwks(&["b"]), " ".repeat(1024 * 1024));
    check_refused(ok(&padded), "larger than 1024 KiB").await;
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{padded}");
    check_refused(endless, "larger than 1024 KiB").await;
    check_refused("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{", "broke off").await;
    let many = (0..10_000).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    check_refused(format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "could not be asked").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Endpoint::open(ok(&jwks(&["evil"]))).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/jwks\r\nContent-Length: 0\r\n\r\n", elsewhere.address);
    check_refused(redirect, "302").await;
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_an_error_and_no_more() {
    let sets = sets(Source::url("http://127.0.0.1:1/jwks", &UrlOptions::default()).unwrap(), quiet());
    sets.load().await;
    sets.failed("could not be asked");
    assert!(sets.ready().is_err());
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("jwks.json");
    let sets = sets(Source::file(&path), Timing { poll: Duration::from_millis(10), retry: Duration::from_millis(10), ..quiet() });
    let _run = run(&sets);
    sets.until(|sets| sets.of().last_error.is_some()).await;
    sets.failed("cannot read");
    std::fs::write(&path, jwks(&["a"])).unwrap();
    sets.until(|sets| sets.knows("a")).await;
    std::fs::write(&path, jwks(&["b"])).unwrap();
    sets.until(|sets| sets.knows("b") && !sets.knows("a")).await;
    std::fs::write(&path, "half").unwrap();
    sets.until(|sets| sets.of().last_error.is_some()).await;
    assert!(sets.knows("b"));
    std::fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
    sets.until(|sets| sets.of().last_error.is_some_and(|error| error.contains("larger than"))).await;
}

/// An issuer that speaks TLS, and whether its keys are loaded from `localhost` with these options.
async fn over_tls(authority: &Authority, options: &UrlOptions) -> Arc<KeySets> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = watch::channel(false);
    let answer = || async { ([("content-type", "application/jwk-set+json")], jwks(&["a"])) };
    let router = axum::Router::new().route("/jwks", axum::routing::get(answer));
    let listener = Listener::tcp(listener, Some(Arc::new(authority.tls(None))));
    let serving = tokio::spawn(front_door::serve(listener, router, Limits::default(), stopped));
    let sets = sets(Source::url(&format!("https://localhost:{port}/jwks"), options).unwrap(), quiet());
    sets.load().await;
    stop.send(true).unwrap();
    serving.await.unwrap();
    sets
}

#[tokio::test]
async fn https_needs_a_certificate_of_the_ca_and_an_allowed_address() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let trusted = UrlOptions { ca_file: Some(authority.path("ca.pem")), dangerous_private_address: true };
    assert!(over_tls(&authority, &trusted).await.knows("a"));
    let public_only = UrlOptions { dangerous_private_address: false, ..trusted.clone() };
    over_tls(&authority, &public_only).await.failed("not allowed");
    let distrusted = UrlOptions { ca_file: Some(stranger.path("ca.pem")), ..trusted };
    let sets = over_tls(&authority, &distrusted).await;
    sets.failed("certificate");
    assert!(!sets.knows("a"));
}
