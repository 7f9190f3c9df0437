//! An edge: decides in-process what is plainly safe, and asks the decision point about everything else.
//!
//! Plainly safe is an allow, under the policy of a signed snapshot, at low risk, by facts that the decision point gave for the very same presentation a
//! while ago and did not end since. Whatever is in doubt goes to the decision point: another address, a first request, a sensitive action, a no, a proof that
//! is good once, a question that wants a fresh answer. So an edge is never more permissive than its decision point.

mod capsules;
mod link;
mod packed;
mod records;
mod sse;
mod tasks;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_pdp_engine::capsule::{Granted, presentation};
use countersign_pdp_engine::decide::Decision;
use countersign_pdp_engine::record::edge_id;
use countersign_sdk_client::{Allow, Answer, Error, Question, UNLEASED};
use countersign_sdk_types::{DecisionId, EvaluationRequest, EvaluationResponse, Lease, Millis, Timestamp, Wanted, WantedLease, WatchName};
use quick_cache::sync::Cache;
use serde_json::{Map, json};

use self::capsules::{Capsules, Held};
pub use self::link::{Batches, Fetched, Heard, Link, Upstream};
use self::records::{Allowed, Records, Without};
pub use self::watch::Watch;
use crate::embed::{Clock, EmbedError, Embedded, SnapshotKey, SystemClock, asked, who};
use crate::point::DecisionPoint;

/// Why a question went to the decision point.
///
/// ```
/// use countersign_sdk_pep::edge::{Counted, Doubt};
///
/// /// How often it was the risk.
/// fn risky(counted: &Counted) -> u64 {
///     counted.asked.iter().filter(|(doubt, _)| *doubt == Doubt::Risk).map(|(_, count)| count).sum()
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Nothing is known of this presentation: it is the first request of its session, from this address, with this client.
    NoFacts,
    /// What was known has ended.
    Ended,
    /// Who asks could not be made out here, or brought a proof that is good once.
    Identity,
    /// The action is one that the decision point keeps for itself.
    Never,
    /// It must be at least as fresh as something.
    Floor,
    /// The snapshot is too old, or of another policy or another life of the decision point than the facts.
    Snapshot,
    /// The clock here is not the decision point's.
    Clock,
    /// It would be no allow, or one with something to carry out.
    NotAllowed,
    /// The risk is not low.
    Risk,
    /// There is no room for its record, or nobody who takes it.
    Record,
    /// Nobody was free to decide, or the decision broke.
    Busy,
}

const DOUBTS: [Doubt; 11] = [
    Doubt::NoFacts,
    Doubt::Ended,
    Doubt::Identity,
    Doubt::Never,
    Doubt::Floor,
    Doubt::Snapshot,
    Doubt::Clock,
    Doubt::NotAllowed,
    Doubt::Risk,
    Doubt::Record,
    Doubt::Busy,
];

/// What an edge is made of.
///
/// ```no_run
/// use std::time::Duration;
/// use countersign_sdk_pep::edge::{Edge, Link};
/// use countersign_sdk_pep::embed::SnapshotKey;
///
/// # async fn start(pem: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let link = Link::new("https://pdp.example", "edge-1", "the shared secret", Duration::from_millis(300))?;
/// let edge = Edge::builder(link, SnapshotKey::from_pem(pem)?).threads(4).start().await?;
/// # Ok(())
/// # }
/// ```
pub struct Builder<U> {
    upstream: U,
    key: SnapshotKey,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    threads: usize,
    most: usize,
    facts: Duration,
    open: Duration,
    snapshot_every: Duration,
}

impl<U: Upstream> Builder<U> {
    /// What time it is. The system's unless told.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Builder, Link};
    /// use countersign_sdk_pep::embed::SystemClock;
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.clock(SystemClock::default())
    /// }
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long a decision in-process may take. 150 ms unless told; after that, the decision point is asked.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.deadline(Duration::from_millis(50))
    /// }
    /// ```
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many threads decide. Two unless told.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.threads(4)
    /// }
    /// ```
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How many presentations are remembered. 10,000 unless told.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.most(100_000)
    /// }
    /// ```
    #[must_use]
    pub const fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// How long facts are of use here, at most. The decision point may give them for a shorter time. An hour unless told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.facts(Duration::from_secs(300))
    /// }
    /// ```
    #[must_use]
    pub const fn facts(mut self, facts: Duration) -> Self {
        self.facts = facts;
        self
    }

    /// How long a batch of records is open. 10 ms unless told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.open(Duration::from_millis(50))
    /// }
    /// ```
    #[must_use]
    pub const fn open(mut self, open: Duration) -> Self {
        self.open = open;
        self
    }

    /// How often it is asked for another snapshot, beside every time that the policy changes. Ten minutes unless told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::{Builder, Link};
    ///
    /// fn told(builder: Builder<Link>) -> Builder<Link> {
    ///     builder.snapshot_every(Duration::from_secs(60))
    /// }
    /// ```
    #[must_use]
    pub const fn snapshot_every(mut self, every: Duration) -> Self {
        self.snapshot_every = every;
        self
    }

    /// Fetches the snapshot and begins to watch. Its tasks end with the last clone.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Builder, Edge, Link, StartError};
    ///
    /// async fn start(builder: Builder<Link>) -> Result<Edge<Link>, StartError> {
    ///     builder.start().await
    /// }
    /// ```
    ///
    /// # Errors
    /// When there is no snapshot to be had, or it is refused.
    pub async fn start(self) -> Result<Edge<U>, StartError> {
        let fetched = self.upstream.snapshot(None).await?.ok_or(StartError::Nothing)?;
        let clock = Arc::new(Shares(Arc::clone(&self.clock)));
        // Allows are told in lines, and everything else is decided elsewhere.
        let builder = Embedded::builder(self.key).clock(Shares(Arc::clone(&clock.0))).dangerous_unrecorded();
        let embedded = builder.threads(self.threads).deadline(self.deadline).build(&fetched.document)?;
        let life = fastrand::u64(..);
        let name = WatchName::try_from(format!("edge-{life:016x}")).map_err(|_| StartError::Nothing)?;
        let shared = Arc::new(Shared {
            embedded,
            upstream: self.upstream,
            clock: self.clock,
            watch: Watch::default(),
            name,
            capsules: Capsules::new(self.most),
            given: Cache::new(MOST_GIVEN),
            records: Arc::new(Records::new(life)),
            facts: self.facts,
            telling: tokio::sync::Mutex::new(None),
            tag: tokio::sync::Mutex::new(fetched.tag),
            counts: Counts::default(),
        });
        tasks::start(&shared, self.open, self.snapshot_every);
        Ok(Edge { shared })
    }
}

/// Hands one clock to several.
struct Shares(Arc<dyn Clock>);

impl Clock for Shares {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Why an edge does not start.
///
/// ```
/// use countersign_sdk_pep::edge::StartError;
///
/// /// Whether it may work a little later.
/// const fn is_worth_another_try(error: &StartError) -> bool {
///     matches!(error, StartError::Upstream(_))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The decision point gave no snapshot.
    #[error("no snapshot could be fetched: {0}")]
    Upstream(#[from] Error),
    /// The snapshot is refused.
    #[error(transparent)]
    Snapshot(#[from] EmbedError),
    /// There was nothing where a snapshot should be.
    #[error("decision point gave no snapshot")]
    Nothing,
}

/// An edge. Clones share everything.
///
/// ```
/// use countersign_sdk_client::{Answer, Question};
/// use countersign_sdk_pep::DecisionPoint as _;
/// use countersign_sdk_pep::edge::{Edge, Link};
///
/// async fn may(edge: &Edge<Link>, question: &Question) -> bool {
///     matches!(edge.evaluate(question).await, Ok(Answer::Allow(_)))
/// }
/// ```
pub struct Edge<U> {
    shared: Arc<Shared<U>>,
}

impl<U> Clone for Edge<U> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<U> std::fmt::Debug for Edge<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("embedded", &self.shared.embedded).finish_non_exhaustive()
    }
}

struct Shared<U> {
    embedded: Embedded,
    upstream: U,
    clock: Arc<dyn Clock>,
    watch: Watch,
    name: WatchName,
    capsules: Capsules,
    given: Cache<DecisionId, Given>,
    records: Arc<Records>,
    facts: Duration,
    telling: tokio::sync::Mutex<Option<tasks::Stream>>,
    /// The tag of the snapshot in use.
    tag: tokio::sync::Mutex<String>,
    counts: Counts,
}

/// An allow that was given: when it was decided, and what ends it sooner than its time.
#[derive(Clone)]
struct Given {
    asked: Duration,
    held: Option<Arc<Held>>,
}

impl Given {
    /// How much longer it may be relied on.
    fn left(&self, watch: &Watch, now: Duration) -> Option<Duration> {
        // Facts hold for long, and an allow does not: its token expires, and a policy looks at the time. Whatever goes on is asked about anew.
        let left = self.asked.saturating_add(UNLEASED).checked_sub(now).filter(|left| !left.is_zero())?;
        match &self.held {
            Some(held) => Some(watch.left(now, held.asked, &held.granted.lease)?.min(left)),
            None => Some(left),
        }
    }
}

impl<U> Drop for Shared<U> {
    fn drop(&mut self) {
        self.records.wake();
    }
}

#[derive(Default)]
struct Counts {
    local: AtomicU64,
    doubts: [AtomicU64; DOUBTS.len()],
}

/// What an edge did so far.
///
/// ```
/// use countersign_sdk_pep::edge::Counted;
///
/// fn share(Counted { local, asked, .. }: &Counted) -> f64 {
///     let passed_on: u64 = asked.iter().map(|(_, count)| count).sum();
///     *local as f64 / (local + passed_on).max(1) as f64
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Decisions in-process.
    pub local: u64,
    /// Questions that went to the decision point, by why.
    pub asked: Vec<(Doubt, u64)>,
    /// Decisions in-process whose records were lost.
    pub lost: u64,
}

impl Edge<Link> {
    /// Begins an edge of a decision point, whose snapshots are signed by this key.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use countersign_sdk_pep::edge::{Edge, Link};
    /// use countersign_sdk_pep::embed::SnapshotKey;
    ///
    /// # fn begin(pem: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// let link = Link::new("https://pdp.example", "edge-1", "the shared secret", Duration::from_millis(300))?;
    /// let builder = Edge::builder(link, SnapshotKey::from_pem(pem)?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(link: Link, key: SnapshotKey) -> Builder<Link> {
        Self::of(link, key)
    }
}

impl<U: Upstream> Edge<U> {
    /// Begins an edge with another way to its decision point.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Builder, Edge, Upstream};
    /// use countersign_sdk_pep::embed::SnapshotKey;
    ///
    /// fn begin<U: Upstream>(upstream: U, key: SnapshotKey) -> Builder<U> {
    ///     Edge::of(upstream, key)
    /// }
    /// ```
    #[must_use]
    pub fn of(upstream: U, key: SnapshotKey) -> Builder<U> {
        Builder {
            upstream,
            key,
            clock: Arc::new(SystemClock::default()),
            deadline: Duration::from_millis(150),
            threads: 2,
            most: 10_000,
            facts: Duration::from_secs(3600),
            open: records::OPEN,
            snapshot_every: Duration::from_secs(600),
        }
    }

    /// What it did so far.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// fn print(edge: &Edge<Link>) {
    ///     println!("{:?}", edge.counted());
    /// }
    /// ```
    #[must_use]
    pub fn counted(&self) -> Counted {
        let counts = &self.shared.counts;
        let asked = DOUBTS.iter().zip(&counts.doubts).map(|(doubt, count)| (*doubt, count.load(Ordering::Relaxed)));
        Counted {
            local: counts.local.load(Ordering::Relaxed),
            asked: asked.filter(|(_, count)| *count > 0).collect(),
            lost: self.shared.records.lost_ever(),
        }
    }

    /// Whether it hears of everything that ends.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// fn is_healthy(edge: &Edge<Link>) -> bool {
    ///     edge.is_watching() && edge.counted().lost == 0
    /// }
    /// ```
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.shared.watch.is_alive(self.shared.clock.elapsed())
    }

    /// The way to its decision point.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// fn link(edge: &Edge<Link>) -> &Link {
    ///     edge.upstream()
    /// }
    /// ```
    #[must_use]
    pub fn upstream(&self) -> &U {
        &self.shared.upstream
    }

    /// The state of its watch, for who hears by other means than its own.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// fn position(edge: &Edge<Link>) -> String {
    ///     edge.watch().position().map(|at| at.to_string()).unwrap_or_default()
    /// }
    /// ```
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.shared.watch
    }

    /// Sends every line that waits, without waiting until it is kept.
    ///
    /// ```
    /// use countersign_sdk_client::Error;
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// async fn tell_now(edge: &Edge<Link>) -> Result<(), Error> {
    ///     edge.send().await
    /// }
    /// ```
    ///
    /// # Errors
    /// When the decision point did not take what was sent before.
    pub async fn send(&self) -> Result<(), Error> {
        tasks::tell(&self.shared, tasks::Then::Open).await
    }

    /// Looks for another snapshot now.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// async fn look(edge: &Edge<Link>) {
    ///     if let Err(error) = edge.refresh().await {
    ///         eprintln!("{error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// When there is none to be had, or it is refused: the one in use goes on deciding, as long as it is good.
    pub async fn refresh(&self) -> Result<(), StartError> {
        tasks::refresh(&self.shared).await
    }

    /// Tells every line that waits. For the end of a process.
    ///
    /// ```
    /// use countersign_sdk_pep::edge::{Edge, Link};
    ///
    /// async fn end(edge: Edge<Link>) {
    ///     if let Err(error) = edge.flush().await {
    ///         eprintln!("records are lost: {error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// When the decision point does not take one.
    pub async fn flush(&self) -> Result<(), Error> {
        tasks::tell(&self.shared, tasks::Then::End).await
    }

    /// Asks the decision point, and keeps the facts that come with its allow.
    async fn ask(&self, question: &Question) -> Result<Answer, Error> {
        let shared = &self.shared;
        // INVARIANT: before the question is sent, so that no facts are believed longer than they are good.
        let begun = shared.clock.elapsed();
        let response = shared.upstream.evaluate(&shared.sent(question, begun)).await?;
        let response = shared.keep(response, begun);
        Answer::from_response(&response, question)
    }
}

impl<U: Upstream> DecisionPoint for Edge<U> {
    async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        let (shared, copy) = (Arc::clone(&self.shared), question.clone());
        let embedded = &self.shared.embedded;
        let local = embedded.pool.run(embedded.deadline, move || {
            let decided = catch_unwind(AssertUnwindSafe(|| shared.decide(&copy)));
            decided.unwrap_or(Err(Doubt::Busy))
        });
        match local.await.unwrap_or(Err(Doubt::Busy)) {
            Ok(response) => {
                self.shared.counts.local.fetch_add(1, Ordering::Relaxed);
                Answer::from_response(&response, question)
            }
            Err(doubt) => {
                self.shared.counts.doubted(doubt);
                self.ask(question).await
            }
        }
    }

    /// As long as an allow without a lease, and no longer than its facts hold: to decide again here costs nothing.
    async fn ended(&self, allow: &Allow) {
        let shared = &self.shared;
        // Of an answer that is not remembered, nothing is known: it has ended.
        let Some(given) = allow.decision_id().and_then(|id| shared.given.get(id)) else { return };
        let mut changes = shared.watch.changes();
        while let Some(left) = given.left(&shared.watch, shared.clock.elapsed()) {
            // Whatever changes, how long it is left is asked anew; silence changes it as well.
            let _ = tokio::time::timeout(left.min(Duration::from_secs(1)), changes.changed()).await;
        }
    }
}

impl Counts {
    fn doubted(&self, doubt: Doubt) {
        if let Some((_, count)) = DOUBTS.iter().zip(&self.doubts).find(|(one, _)| **one == doubt) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<U: Upstream> Shared<U> {
    /// Decides what is plainly safe. Runs on a thread of the pool.
    fn decide(&self, question: &Question) -> Result<EvaluationResponse, Doubt> {
        let (loaded, now, elapsed) = (self.embedded.core.loaded(), self.clock.now(), self.clock.elapsed());
        let (sealed, terms) = (&loaded.sealed, &loaded.sealed.edge);
        match () {
            () if question.floor().is_some() => return Err(Doubt::Floor),
            () if terms.never.contains(&question.asked().action.name) => return Err(Doubt::Never),
            () if !sealed.is_valid(now) => return Err(Doubt::Snapshot),
            () => {}
        }
        let (identified, credentials) = who(sealed, question, now).map_err(|_| Doubt::Identity)?;
        let key = presentation(&identified, &credentials).ok_or(Doubt::Identity)?;
        let held = self.capsules.get(&key).ok_or(Doubt::NoFacts)?;
        let lease = &held.granted.lease;
        let Some(left) = self.watch.left(elapsed, held.asked, lease) else {
            self.capsules.remove(&key);
            return Err(Doubt::Ended);
        };
        // Weights, terms and keys are no part of a revision: after a restart they may be others under the same one.
        if lease.revision != loaded.snapshot.revision || sealed.server != Some(lease.epoch.life) {
            return Err(Doubt::Snapshot);
        }
        if !agree(now, held.granted.capsule.seen(), elapsed.saturating_sub(held.asked)) {
            return Err(Doubt::Clock);
        }
        let decided = held.granted.capsule.decide(&identified, &credentials, &loaded.snapshot, now).ok_or(Doubt::NoFacts)?;
        let Decision::Allow(permit) = &decided.decision else { return Err(Doubt::NotAllowed) };
        if !permit.obligations().is_empty() {
            return Err(Doubt::NotAllowed);
        }
        let risk = decided.trace.remaining;
        if risk >= terms.risk_below.min(lease.risk_below) {
            return Err(Doubt::Risk);
        }
        let (action, resource) = (identified.request().action(), identified.request().resource());
        let allowed = Allowed { under: &held.under, action: &action.name, resource, at: now, risk };
        let without = if terms.audit_required { Without::Refused } else { Without::Counted };
        let number = self.records.note(&allowed, without).ok_or(Doubt::Record)?;
        let id = edge_id(&sealed.tenant, &sealed.pep.id, self.records.life(), number).ok_or(Doubt::Record)?;
        let lease = Lease { ttl: millis(left.min(UNLEASED)), ..lease.clone() };
        // Decisions of one line have one id: the first is the one that ends first.
        if self.given.get(&id).and_then(|given| given.left(&self.watch, elapsed)).is_none() {
            self.given.insert(id.clone(), Given { asked: elapsed, held: Some(Arc::clone(&held)) });
        }
        let context = Map::from_iter([("id".to_owned(), json!(id)), ("lease".to_owned(), json!(lease))]);
        Ok(EvaluationResponse { decision: true, context })
    }

    /// A request tells batches for longer than it should.
    async fn is_telling_too_long(&self) -> bool {
        let now = self.clock.elapsed();
        self.telling.lock().await.as_ref().is_some_and(|stream| stream.is_over(now))
    }

    /// The decision point decides by another policy by now, or was started anew.
    fn is_outdated(&self) -> bool {
        let loaded = self.embedded.core.loaded();
        let is_other = self.watch.revision().is_some_and(|revision| revision != loaded.sealed.revision);
        is_other || self.watch.life().is_some_and(|life| loaded.sealed.server != Some(life))
    }

    /// The question as it is sent: facts are wanted while it is heard when they end.
    fn sent(&self, question: &Question, now: Duration) -> EvaluationRequest {
        let mut asked = asked(question);
        let lease = || WantedLease { ttl: millis(self.facts), watch: Some(self.name.clone()) };
        let wanted = Wanted { lease: self.watch.is_heard(now).then(lease), at_least: question.floor() };
        if wanted != Wanted::default() {
            asked.context.insert("countersign".to_owned(), json!(wanted));
        }
        asked
    }

    /// Takes the facts out of a response, and keeps them if they have not ended on the way.
    fn keep(&self, mut response: EvaluationResponse, begun: Duration) -> EvaluationResponse {
        let facts = response.context.remove("facts");
        let under: Option<DecisionId> = response.context.get("id").cloned().and_then(|id| serde_json::from_value(id).ok());
        if let Some(id) = under.clone().filter(|_| response.decision) {
            self.given.insert(id, Given { asked: begun, held: None });
        }
        let Some(facts) = facts else { return response };
        let granted = serde_json::from_value::<Granted>(facts).ok();
        let (Some(under), Some(granted), true) = (under, granted, response.decision) else { return response };
        self.watch.learned(begun, granted.lease.epoch);
        let Some(left) = self.watch.left(self.clock.elapsed(), begun, &granted.lease) else { return response };
        // What outlives its request hears of the end by the same lease.
        response.context.insert("lease".to_owned(), json!(Lease { ttl: millis(left.min(UNLEASED)), ..granted.lease.clone() }));
        let held = Arc::new(Held { granted, under: under.clone(), asked: begun });
        self.given.insert(under, Given { asked: begun, held: Some(Arc::clone(&held)) });
        self.capsules.keep(held);
        response
    }
}

/// How far the clock of an edge may be from its decision point's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Whether the time of day is what it must be so long after the decision point said what time it was. A clock that was set back takes an expired token, and
/// one that stood still while the machine slept, old facts.
fn agree(now: Timestamp, seen: Timestamp, since: Duration) -> bool {
    let then = seen.after(millis(since));
    let apart = now.since(then).max(then.since(now));
    apart <= millis(CLOCKS_DIFFER)
}

/// Allows of which it is remembered when they end.
const MOST_GIVEN: usize = 50_000;

fn millis(time: Duration) -> Millis {
    Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
