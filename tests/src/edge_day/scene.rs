//! Two decision points in this process, each behind a counter of bytes: one with an edge before it, and one alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_pdp_engine::claimed::ClaimMap;
use countersign_pdp_engine::identify::{Check, Issuer as Trusted, Issuers, issuer_session};
use countersign_pdp_engine::keys::{ALGORITHMS, KeySet};
use countersign_pdp_engine::request::{DEVICE_COOKIE, HostRules, Pep, RequestRules};
use countersign_pdp_engine::signing::SigningKey;
use countersign_pdp_server::clock::Clock;
use countersign_pdp_server::config::{Enforcer, LeaseTerms, SnapshotTerms};
use countersign_pdp_server::front_door::{self, Limits, Listener};
use countersign_pdp_server::places::Places;
use countersign_pdp_server::policies::starter;
use countersign_pdp_server::serve::{Decider, Parts, assemble, router};
use countersign_pdp_server::watch::{Following, Told, follow};
use countersign_pdp_store::{Expect, RevocationTarget, StateEvent};
use countersign_sdk_client::{Answer, Client, Error, Question};
use countersign_sdk_pep::DecisionPoint as _;
use countersign_sdk_pep::edge::{Batches, Edge, Fetched, Heard, Link, Upstream};
use countersign_sdk_pep::embed::{Clock as EdgeClock, SnapshotKey};
use countersign_sdk_types::{
    Epoch, EvaluationRequest, EvaluationResponse, Host, Millis, PepId, PlaceRecord, Seconds, Tenant, Timestamp, WatchName,
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;

use super::STEP;
use super::day::{Day, Request, Visit, Who};
use crate::issuer::{AUDIENCE, ISS, Issuer};

const SECRET: &str = "edge-secret-of-this-day";
const HOST: &str = "app.example";
/// How long it takes until what happened is told: what raises a risk is gathered for a moment.
pub(super) const TOLD: Duration = Duration::from_millis(60);
/// How often an edge looks for another snapshot, in milliseconds: as it does by itself on a day that takes as long as it is.
const LOOK: u64 = 600_000;
/// How long one call may take: this machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The clocks of the edge: the time of day is the decision point's, and what runs forward goes with the day.
#[derive(Debug, Clone)]
pub(super) struct DayClock {
    wall: Clock,
    forward: Arc<AtomicU64>,
}

impl EdgeClock for DayClock {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.forward.load(Ordering::SeqCst))
    }
}

/// Bytes in both directions.
#[derive(Debug, Default)]
pub(super) struct Counter {
    bytes: AtomicU64,
    from: AtomicU64,
}

impl Counter {
    pub(super) fn count(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst) - self.from.load(Ordering::SeqCst)
    }
}

/// The way of an edge whose day is longer than ours: it asks and tells over the network, and hears what the day says.
#[derive(Debug)]
pub(super) struct Deaf {
    link: Link,
    records: AtomicU64,
}

impl Upstream for Deaf {
    async fn evaluate(&self, asked: &EvaluationRequest) -> Result<EvaluationResponse, Error> {
        self.link.evaluate(asked).await
    }

    async fn record(&self, batches: Batches) -> Result<(), Error> {
        self.records.fetch_add(1, Ordering::SeqCst);
        self.link.record(batches).await
    }

    async fn snapshot(&self, known: Option<&str>) -> Result<Option<Fetched>, Error> {
        self.link.snapshot(known).await
    }

    async fn watch(&self, _: &WatchName, _: Option<Epoch>, _: impl FnMut(Heard) + Send) -> Error {
        std::future::pending().await
    }
}

pub(super) struct Scene {
    pub(super) edge: Edge<Deaf>,
    pub(super) watched: u64,
    pub(super) beats: u64,
    behind_edge: Arc<Decider>,
    alone: Arc<Decider>,
    pub(super) edge_bytes: Arc<Counter>,
    pub(super) alone_bytes: Arc<Counter>,
    client: Client,
    clock: DayClock,
    issuer: Issuer,
    begins: BTreeMap<String, Timestamp>,
    /// When somebody logged in again, by session.
    proved: BTreeMap<String, Timestamp>,
    tokens: BTreeMap<(String, u64, String), String>,
    pub(super) snapshot_bytes: u64,
    following: Following,
    heartbeat: Duration,
    _stop: watch::Sender<bool>,
    _folders: [tempfile::TempDir; 2],
}

impl Scene {
    pub(super) async fn start(day: &Day) -> Self {
        let first = day.before.iter().chain(&day.visits).map(|visit| visit.at).min().unwrap_or(Timestamp(0));
        let clock = DayClock { wall: Clock::starting_at(first), forward: Arc::default() };
        let (issuer, signing) = (Issuer::default(), rcgen::KeyPair::generate().unwrap());
        let (stop, stopped) = watch::channel(false);
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let make = |folder: &tempfile::TempDir| parts(folder, &clock.wall, &issuer, &signing, day.places());
        let (behind_edge, alone) = (Arc::new(assemble(make(&folders[0])).unwrap()), Arc::new(assemble(make(&folders[1])).unwrap()));
        let (edge_bytes, alone_bytes) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let edge_at = counted(serve(&behind_edge, stopped.clone()).await, &edge_bytes).await;
        let alone_at = counted(serve(&alone, stopped).await, &alone_bytes).await;
        let client = Client::builder(format!("http://{alone_at}")).pep("edge", SECRET).deadline(PATIENCE).build().unwrap();
        let link = Link::new(&format!("http://{edge_at}"), "edge", SECRET, PATIENCE).unwrap();
        let key = SnapshotKey::from_pem(signing.public_key_pem().as_bytes()).unwrap();
        let deaf = Deaf { link, records: AtomicU64::new(0) };
        let builder = Edge::of(deaf, key).clock(clock.clone()).deadline(PATIENCE);
        let edge = builder.open(Duration::from_secs(24 * 3600)).snapshot_every(Duration::from_secs(24 * 3600)).start().await.unwrap();
        let snapshot_bytes = edge_bytes.count();
        for hub in [&behind_edge.pdp.hub, &alone.pdp.hub] {
            tokio::spawn(Arc::clone(hub).run());
        }
        let following = follow(&behind_edge.pdp.hub, None, None, None).unwrap();
        let (begins, heartbeat) = (BTreeMap::new(), Duration::from_millis(LeaseTerms::default().heartbeat.0));
        let scene = Self {
            edge,
            watched: 0,
            beats: 0,
            behind_edge,
            alone,
            edge_bytes,
            alone_bytes,
            client,
            clock,
            issuer,
            begins,
            proved: BTreeMap::new(),
            tokens: BTreeMap::new(),
            snapshot_bytes,
            following,
            heartbeat,
            _stop: stop,
            _folders: folders,
        };
        let mut scene = scene;
        scene.hear(TOLD).await;
        assert!(scene.edge.is_watching(), "the watch does not begin");
        scene
    }

    /// What was before the day: both decision points are asked about the first request of each visit, and learn.
    pub(super) async fn remember(&mut self, day: &Day) {
        for visit in &day.before {
            self.go_to(visit.at).await;
            let request = Request { at: visit.at, visit, method: "GET", path: "/home".to_owned(), page: (0, true), is_end: false };
            let question = self.question(&request);
            let _ = self.alone(&question).await;
            // Not through the edge: it is another day's.
            ask(&self.behind_edge, &question).await;
        }
    }

    pub(super) fn count_from_here(&mut self) {
        for counter in [&self.edge_bytes, &self.alone_bytes] {
            counter.from.store(counter.bytes.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        (self.watched, self.beats) = (0, 0);
    }

    /// Both clocks go on, and the watch is heard as it goes.
    pub(super) async fn go_to(&mut self, at: Timestamp) {
        let mut left = at.since(self.clock.wall.now()).0;
        let looks = self.beats / LOOK;
        while left > 0 {
            let step = left.min(u64::try_from(STEP.as_millis()).unwrap_or(1));
            let then = Duration::from_millis(self.clock.forward.load(Ordering::SeqCst) + step);
            self.edge.watch().heard(then);
            self.clock.forward.store(u64::try_from(then.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
            self.clock.wall.advance(Millis(step));
            left -= step;
            self.beats += step;
        }
        if self.beats / LOOK > looks {
            self.edge.refresh().await.unwrap();
        }
    }

    /// A heartbeat is a comment and an empty line, in a chunk of its own.
    pub(super) fn heartbeats(&self) -> u64 {
        self.beats / u64::try_from(self.heartbeat.as_millis()).unwrap_or(1) * 8
    }

    pub(super) async fn through_edge(&mut self, question: &Question) -> Result<Answer, Error> {
        self.edge.evaluate(question).await
    }

    pub(super) async fn alone(&mut self, question: &Question) -> Result<Answer, Error> {
        self.client.evaluate(question).await
    }

    /// The question as the layer asks it.
    pub(super) fn question(&mut self, request: &Request<'_>) -> Question {
        let (visit, token) = (request.visit, self.token(request.visit, request.at));
        let mut headers = vec![
            ["authorization".to_owned(), format!("Bearer {token}")],
            ["user-agent".to_owned(), visit.agent.clone()],
            ["accept".to_owned(), "application/json, text/plain, */*".to_owned()],
            ["sec-fetch-mode".to_owned(), "cors".to_owned()],
            ["sec-fetch-dest".to_owned(), "empty".to_owned()],
            ["sec-fetch-site".to_owned(), "same-origin".to_owned()],
        ];
        headers.extend(visit.cookie.as_ref().map(|cookie| ["cookie".to_owned(), format!("{DEVICE_COOKIE}={cookie}")]));
        let http = json!({"method": request.method, "scheme": "https", "host": HOST, "target": request.path, "headers": headers,
            "client_address": visit.address});
        let asked = json!({"subject": {"type": "token", "id": "presented"}, "action": {"name": request.method},
            "resource": {"type": "route", "id": format!("{HOST}{}", request.path)}, "context": {"http": http}});
        Question::new(serde_json::from_value::<EvaluationRequest>(asked).unwrap())
    }

    /// The token of a session, which is a new one every hour; a thief has the owner's.
    fn token(&mut self, visit: &Visit, at: Timestamp) -> String {
        let begins = *self.begins.entry(visit.session.clone()).or_insert(visit.at);
        let hour = at.since(begins).0 / 3_600_000;
        let issued = begins.secs() + i64::try_from(hour).unwrap_or_default() * 3600;
        let mut claims = json!({"sid": visit.session, "iat": issued, "exp": issued + 3900, "role": "clerk", "compliant": true,
            "jti": format!("{}-{hour}", visit.session), "scope": "openid profile app.read app.write"});
        if visit.who != Who::Guesser && matches!(visit.auth.as_str(), "phr" | "mfa") {
            claims["auth_time"] = json!(begins.secs());
            claims["amr"] = json!(["pwd", "mfa"]);
        }
        if let Some(proved) = self.proved.get(&visit.session).filter(|_| visit.who == Who::Owner) {
            claims["auth_time"] = json!(proved.secs());
            claims["amr"] = json!(["pwd", "mfa"]);
        }
        let (issuer, key) = (&self.issuer, (visit.session.clone(), hour, claims.to_string()));
        self.tokens.entry(key).or_insert_with(|| issuer.token_of_claims(&visit.subject, &claims)).clone()
    }

    /// The person was told to prove it, and logs in at the issuer again, with a second factor.
    pub(super) fn prove(&mut self, visit: &Visit) {
        self.proved.insert(visit.session.clone(), self.clock.wall.now());
    }

    /// The session is revoked, at both.
    pub(super) async fn revoke(&mut self, request: &Request<'_>) {
        let (tenant, at) = (Tenant::new("main").unwrap(), self.clock.wall.now());
        let session = issuer_session(ISS, &request.visit.session).unwrap();
        for decider in [&self.behind_edge, &self.alone] {
            let target = RevocationTarget::Session { tenant: tenant.clone(), session: session.clone() };
            let event = StateEvent::Revoked { target, at, by: "day".to_owned(), reason: "it is over".to_owned() };
            decider.pdp.store.append(event, Expect::Any).await.unwrap();
        }
        self.hear(TOLD).await;
    }

    /// What the decision point told since, as its watch tells it; `within` is how long it may take to be told.
    pub(super) async fn hear(&mut self, within: Duration) {
        tokio::time::sleep(within).await;
        while let Some(Some(told)) = self.following.next().now_or_never() {
            // `id: …`, `event: …`, `data: …` and an empty line, in a chunk of its own, of which length and line ends are eight bytes.
            if let Told::Event(event) = told {
                let data = serde_json::to_string(&event.event).unwrap();
                self.watched += (format!("id: {}\nevent: ended\ndata: {data}\n\n", event.at).len() + 8) as u64;
                self.edge.watch().told(self.clock.elapsed(), event.at, &event.event);
            }
        }
    }

    pub(super) fn batches(&self) -> u64 {
        self.edge.upstream().records.load(Ordering::SeqCst)
    }
}

/// Asks a decision point without a network.
async fn ask(decider: &Decider, question: &Question) {
    use countersign_pdp_engine::request::{Client as From, RawCheck, RawHttp};
    let http = &question.asked().context["http"];
    let text = |name: &str| http[name].as_str().unwrap_or_default().to_owned();
    let headers = http["headers"].as_array().cloned().unwrap_or_default();
    let pair = |pair: &Value| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].as_str().unwrap_or_default().as_bytes().to_vec());
    let raw = RawHttp {
        method: text("method"),
        scheme: text("scheme"),
        authority: text("host"),
        target: text("target"),
        headers: headers.iter().map(pair).collect(),
        client: text("client_address").parse().map_or(From::Unknown, From::Asserted),
        client_certificate: None,
    };
    let pep = decider.enforcers[0].pep.clone();
    let raw = RawCheck { tenant: decider.tenant.clone(), pep, http: Some(raw), asked: Some(question.asked().clone()) };
    let _ = decider.pdp.check(countersign_pdp_server::metrics::Door::Authzen, Ok(raw)).await;
}

fn parts(
    folder: &tempfile::TempDir,
    clock: &Clock,
    issuer: &Issuer,
    signing: &rcgen::KeyPair,
    places: BTreeMap<IpAddr, PlaceRecord>,
) -> Parts {
    let tenant = Tenant::new("main").unwrap();
    let asserts = std::collections::BTreeSet::new();
    let pep = Pep { id: PepId::new("edge").unwrap(), asserts_subject: false, asserts_client: true, asserts };
    let networks = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()];
    let enforcer = Enforcer { secret: Some(Enforcer::digest(SECRET)), is_edge: true, ..Enforcer::new(pep, networks) };
    let claims = ["role", "compliant"].map(ToOwned::to_owned);
    let trusted = Trusted {
        keys: KeySet::parse(issuer.jwks().to_string().as_bytes()).unwrap(),
        check: Check::Signature,
        algorithms: ALGORITHMS.to_vec(),
        audiences: std::iter::once(AUDIENCE.to_owned()).collect(),
        takes_plain_jwt: false,
        clients: std::collections::BTreeSet::new(),
        max_lifetime: Seconds(24 * 3600),
        mapped_claims: claims.into_iter().collect(),
    };
    let map = ClaimMap { role: Some("role".to_owned()), device_compliant: Some("compliant".to_owned()), ..ClaimMap::default() };
    Parts {
        enforcers: vec![enforcer],
        rules: RequestRules {
            hosts: std::iter::once((Host::new(HOST).unwrap(), HostRules::default())).collect(),
            ..RequestRules::default()
        },
        issuers: Issuers { by_iss: std::iter::once((ISS.to_owned(), trusted)).collect(), opaque: None, skew: Seconds(5) },
        claim_maps: std::iter::once((ISS.to_owned(), map)).collect(),
        places: Places::table(move |address| places.get(&address).cloned()),
        patience: countersign_pdp_server::config::Patience { deadline: PATIENCE / 2, policy: PATIENCE / 4 },
        snapshot_terms: SnapshotTerms {
            signing_key: Some(SigningKey::from_pem(signing.serialize_pem().as_bytes()).unwrap()),
            ..SnapshotTerms::default()
        },
        clock: clock.clone(),
        ..Parts::new(starter().unwrap(), tenant, folder.path().join("data"))
    }
}

async fn serve(decider: &Arc<Decider>, stopped: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(front_door::serve(Listener::tcp(listener, None), router(Arc::clone(decider)), Limits::default(), stopped));
    at
}

/// Passes on what comes, and counts it.
async fn counted(to: SocketAddr, counter: &Arc<Counter>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (at, counter) = (listener.local_addr().unwrap(), Arc::clone(counter));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, Arc::clone(&counter)));
            tokio::spawn(pass(far_in, near_out, Arc::clone(&counter)));
        }
    });
    at
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, counter: Arc<Counter>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        counter.bytes.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
