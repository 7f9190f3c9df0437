//! One request from what an adapter read to a decision with a record: the steps of the decision point, in order.

mod batch;
mod edge;
mod identify;
mod lease;
mod look_up;
mod search;
mod served;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decided, Decision, Demand, Witness, decide, witness};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::{Identified, IdentifiedBy, IdentifyError};
use countersign_pdp_engine::lease::{Made, tag};
use countersign_pdp_engine::path::CanonicalPath;
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{
    AccessRequest, Client, ClientKind, Credentials, RawCheck, RequestRules, Scheme, client_address, normalize,
};
use countersign_pdp_store::{AuditMode, Expect, LockTarget, Receipt, StateEvent, Store, ViewError};
use countersign_risk::{Sighting, Strength, Told};
use countersign_sdk_types::{
    Acr, Consistency, CredentialId, DecisionId, DenialCode, DeviceId, Digest, Host, Lease, Millis, RiskLevel, Seconds, SubjectId, Tag,
    Tenant, Timestamp, Wanted, WantedLease, WatchName,
};
use tokio::time::timeout;

use crate::attempts::{Attempts, MOST_CONTEXTS};
use crate::behavior::{Behaviors, TooMany, Whose};
use crate::clock::{Clock, Stopwatch};
use crate::config::{ClaimMap, LeaseTerms, Site};
use crate::directory::Directory;
use crate::introspection::Introspection;
use crate::key_sets::KeySets;
use crate::metrics::{Door, Metrics};
use crate::places::Places;
use crate::proofs::{Proofs, Terms};
use crate::step_up::StepUp;
use crate::trails::{Step, Trails};
use crate::watch::Hub;

use batch::Batch;
pub use edge::Shown;
use identify::{Need, unasked, unknown_key};
use lease::Seen;
pub(crate) use look_up::{fresh, grant_digest, salts};
pub use search::{Bounds, Ended, Found, Hit, Search};
pub use served::{Observed, Served, Serving};

/// How long a session stays locked that was asked for a proof from too many contexts.
const LOCKED_FOR: Seconds = Seconds(15 * 60);

/// The decision point of one process.
#[derive(Debug)]
pub struct Pdp {
    /// The policies that decide, with weights and ladder.
    pub served: Served,
    /// How requests are read.
    pub rules: RequestRules,
    /// Whose tokens are taken, with their keys.
    pub key_sets: Arc<KeySets>,
    /// The issuers that are asked about their tokens.
    pub introspection: Arc<Introspection>,
    /// DPoP proofs.
    pub proofs: Proofs,
    /// Where addresses are.
    pub places: Places,
    /// Users and devices.
    pub directory: Directory,
    /// What claims stand in for where neither the store nor the files say anything, by issuer.
    pub claim_maps: BTreeMap<String, ClaimMap>,
    /// What each protected host is to a browser.
    pub sites: BTreeMap<Host, Site>,
    /// Ceremonies, where there is an auth origin.
    pub step_up: Option<StepUp>,
    /// Recent demands and failures.
    pub attempts: Attempts,
    /// Where sessions were seen before.
    pub trails: Trails,
    /// What ends decisions that were given.
    pub hub: Arc<Hub>,
    /// On which terms decisions are leased.
    pub lease: LeaseTerms,
    /// How the pointers of sessions moved.
    pub behaviors: Behaviors,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Clock,
    /// Longer than this, an answer is a deny: proxies stop waiting soon after.
    pub deadline: Duration,
    /// What must not be lost, and the view of it.
    pub store: Store,
    /// The name of its log of changes.
    pub chain: u64,
    /// Whether a decision waits for its record.
    pub audit: AuditMode,
    /// Whose decision point this is.
    pub tenant: Tenant,
    /// Which life of this store this is, part of every decision id.
    pub incarnation: u64,
    /// Counts decisions.
    pub sequence: AtomicU64,
}

/// A decision, named.
#[derive(Debug)]
pub struct Answer {
    /// Its id, also in the log.
    pub id: String,
    /// What was decided.
    pub decision: Decision,
    /// Who asked, where that is known.
    pub subject: Option<SubjectId>,
    /// The band of the remaining risk, where it was assessed.
    pub level: Option<RiskLevel>,
    /// What was asked for, where that could be read.
    pub asked: Option<Asked>,
    /// Where this browser performs the ceremony, when one was demanded of it.
    pub ceremony: Option<String>,
    /// How much of the log of changes the decision has seen.
    pub consistency: Option<Consistency>,
    /// Leave to repeat it, of an allow.
    pub lease: Option<Lease>,
}

/// A question, and what is wanted of its answer.
#[derive(Debug)]
pub struct Question {
    /// What is asked, or why it cannot be read.
    pub raw: Result<RawCheck, Denial>,
    /// What is wanted.
    pub wanted: Wanted,
}

impl From<Result<RawCheck, Denial>> for Question {
    fn from(raw: Result<RawCheck, Denial>) -> Self {
        Self { raw, wanted: Wanted::default() }
    }
}

impl Answer {
    /// A decision of which nothing else is known.
    #[must_use]
    pub const fn of(id: String, decision: Decision) -> Self {
        Self { id, decision, subject: None, level: None, asked: None, ceremony: None, consistency: None, lease: None }
    }

    /// What is left of it without its record: a denial, also of what was refused already, because a path in report mode lets a refusal pass.
    fn unrecorded(self) -> Self {
        self.denied(Denial::new(DenialCode::AuditUnavailable, "the record could not be written"))
    }

    /// What is left of it when its record was not there in time. That may still be written, and then says what would have been answered.
    fn late(self) -> Self {
        self.denied(Denial::new(DenialCode::Deadline, "the record was not written before the deadline"))
    }

    fn denied(self, denial: Denial) -> Self {
        Self { decision: Decision::Deny(denial), ceremony: None, lease: None, ..self }
    }

    /// The stable code of a denial.
    #[must_use]
    pub const fn code(&self) -> Option<DenialCode> {
        match &self.decision {
            Decision::Deny(denial) => Some(denial.code()),
            Decision::Allow(_) | Decision::StepUp(_) => None,
        }
    }
}

/// How long an answer may take, from when.
#[derive(Debug, Clone, Copy)]
struct Patient {
    watch: Stopwatch,
    deadline: Duration,
}

impl Patient {
    fn left(self) -> Duration {
        self.deadline.saturating_sub(self.watch.elapsed())
    }

    fn is_over(self) -> bool {
        self.watch.elapsed() > self.deadline
    }
}

/// One question among those that are answered together.
#[derive(Debug, Clone, Copy)]
struct Turn<'a> {
    id: &'a DecisionId,
    now: Timestamp,
    wanted: Option<&'a WantedLease>,
    patience: Patient,
}

/// A decision whose record is on its way.
struct Pending {
    answer: Answer,
    receipt: Option<Receipt>,
    lesson: Option<StateEvent>,
    /// The watch of whoever gets the lease.
    watch: Option<WatchName>,
}

/// The request as a redirect, a report or a ceremony needs it: everything in it is canonical.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The protected host.
    pub host: Host,
    /// The canonical path.
    pub path: CanonicalPath,
    /// Path and query.
    pub target: String,
    /// What kind of client asks.
    pub kind: ClientKind,
    /// Path and query of the page whose script asks.
    pub page: Option<String>,
    /// GET or HEAD: repeating it does nothing.
    pub is_safe: bool,
    /// The client proves a key with each request, and this is what its next proof must be.
    pub proving: Option<Terms>,
}

/// A request that was looked at and not decided.
#[derive(Debug)]
pub struct Witnessed {
    /// Who it is.
    pub identified: Identified,
    /// What is known of them.
    pub facts: Facts,
    /// What the request shows.
    pub witness: Witness,
}

impl Asked {
    fn of(request: &AccessRequest) -> Option<Self> {
        let http = request.http()?;
        let query = if http.query.is_empty() { String::new() } else { format!("?{}", http.query) };
        Some(Self {
            host: http.host.clone(),
            path: http.path.clone(),
            target: format!("{}{query}", http.path.as_str()),
            kind: http.kind,
            page: http.page.clone(),
            is_safe: matches!(http.method.as_str(), "GET" | "HEAD"),
            proving: None,
        })
    }

    /// Path and query to which a browser is sent back: what it asked for; of a script, the page that it belongs to, for its own answer is nothing to look at.
    #[must_use]
    pub fn back(&self) -> &str {
        match self.kind {
            ClientKind::Script => self.page.as_deref().unwrap_or("/"),
            _ => &self.target,
        }
    }
}

impl Pdp {
    /// Decides a request and records it. Never panics, never answers late with an allow, and with a required audit never allows unrecorded.
    pub async fn check(&self, door: Door, question: impl Into<Question>) -> Answer {
        let patience = Patient { watch: Stopwatch::start(), deadline: self.deadline };
        let question = self.fresh(question.into(), patience.left() / 2).await;
        let leases = self.leases(std::iter::once(&question.wanted), self.deadline);
        let pending = self.settle(question, patience, &mut Batch::of_one(leases)).await;
        self.finish(door, pending, patience).await
    }

    /// The question, once it can be answered as freshly as it wants; a denial when that takes too long.
    async fn fresh(&self, question: Question, within: Duration) -> Question {
        match (&question.raw, question.wanted.at_least) {
            (Ok(_), Some(floor)) => match self.reach(floor, within).await {
                Ok(()) => question,
                Err(denial) => Question { raw: Err(denial), ..question },
            },
            _ => question,
        }
    }

    /// Waits for the record, where the answer depends on it.
    async fn finish(&self, door: Door, pending: Pending, patience: Patient) -> Answer {
        let Pending { mut answer, receipt, lesson, watch } = pending;
        match (self.audit, receipt) {
            (AuditMode::BestEffort, _) => self.metrics.records_lost(self.store.decisions().lost()),
            (AuditMode::Required, receipt) => match written(receipt, patience.left()).await {
                Written::InTime => {}
                Written::Late => answer = answer.late(),
                Written::Never => {
                    self.metrics.audit_lost();
                    answer = answer.unrecorded();
                }
            },
        }
        // Only what is let through in the end teaches: a denied request writes no state.
        if let (Decision::Allow(_), Some(lesson)) = (&answer.decision, lesson) {
            // Nobody waits for it: a login that is not learned is learned with the next one.
            drop(self.store.append(lesson, Expect::Any));
        }
        if let Some(lease) = &answer.lease {
            self.hub.leased(watch.as_ref(), &lease.depends_on, self.clock.now().after(lease.ttl));
        }
        self.metrics.decided(door, answer.decision.effect(), answer.code(), patience.watch.elapsed());
        log(&answer, patience.watch);
        answer
    }

    async fn settle(&self, question: Question, patience: Patient, batch: &mut Batch) -> Pending {
        let Question { raw, wanted: Wanted { lease: wanted, .. } } = question;
        let (now, position) = (self.clock.now(), self.position());
        let id = match self.next_id() {
            Ok(id) => id,
            Err(denial) => {
                let answer = Settled::denied(denial).answer(String::new(), position);
                return Pending { answer, receipt: None, lesson: None, watch: None };
            }
        };
        let turn = Turn { id: &id, now, wanted: wanted.as_ref(), patience };
        let mut settled = self.guarded(raw.clone(), turn, batch);
        // Keys first, then what the issuer says: a token may need both, and nothing twice.
        for _ in 0..2 {
            let Some(need) = settled.need.take() else { break };
            settled = match self.fetch(need, patience).await {
                Ok(true) => self.guarded(raw.clone(), turn, batch),
                Ok(false) => break,
                Err(denial) => Settled { asked: settled.asked, ..Settled::denied(denial) },
            };
        }
        let trial = settled.trial.take();
        let (mut settled, late) = if patience.is_over() { settled.late() } else { (settled, None) };
        let record = settled.record.take().unwrap_or_else(|| settled.denial_record(&id, now, &self.tenant));
        let lost = self.store.decisions().lost();
        let receipt = self.store.append_decision(&id, &record, self.audit);
        if let Some(serving) = trial {
            // What came too late was decided all the same.
            self.served.observe(serving, late.unwrap_or(record));
        }
        if self.store.decisions().lost() > lost {
            // Nobody could tell later by what right it was repeated.
            settled.lease = None;
        }
        let lesson = settled.lesson.take();
        let watch = wanted.and_then(|wanted| wanted.watch);
        Pending { answer: settled.answer(id.to_string(), position), receipt: Some(receipt), lesson, watch }
    }

    fn guarded(&self, raw: Result<RawCheck, Denial>, turn: Turn<'_>, batch: &mut Batch) -> Settled {
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(raw, turn, batch)));
        decided.unwrap_or_else(|_| Settled::denied(Denial::new(DenialCode::Internal, "a step panicked")))
    }

    fn decide(&self, raw: Result<RawCheck, Denial>, turn: Turn<'_>, batch: &mut Batch) -> Settled {
        let (Turn { id, now, .. }, watch) = (turn, Stopwatch::start());
        let (seen, serving) = batch.begin(|| (self.seen(), self.served.load_full()));
        let normalized = raw.and_then(|raw| normalize(raw, &self.rules));
        let (request, credentials) = match normalized {
            Ok(normalized) => normalized,
            Err(denial) => return Settled::denied(denial),
        };
        let mut asked = Asked::of(&request);
        if let (Some(asked), Some((Scheme::Dpop, _))) = (&mut asked, &credentials.token) {
            asked.proving = Some(self.proofs.terms(now));
        }
        let address = request.client_address();
        let identified = batch.identify(request, &credentials, seen, |request| self.identify(request, &credentials, now));
        let looked_up = identified.and_then(|(identified, seen)| {
            let (leases, snapshot) = (batch.leases, serving.of(identified.subject()));
            let facts = batch.look_up(|| {
                self.may_lease(&identified, leases);
                self.look_up(&identified, &credentials, &snapshot.ladder, now)
            })?;
            Ok((identified, facts, seen, snapshot))
        });
        match looked_up {
            Err(IdentifyError::UnknownKey(iss)) => {
                Settled { asked, need: Some(Need::Keys(iss.clone())), ..Settled::denied(unknown_key(&iss)) }
            }
            Err(IdentifyError::Unasked(iss)) => {
                let need = credentials.token.map(|(_, token)| Need::Answer { iss: iss.clone(), token });
                Settled { asked, need, ..Settled::denied(unasked(&iss)) }
            }
            Err(IdentifyError::Denied(denial)) => {
                // A token that has expired was good once; one that never was is somebody's attempt, and so is a proof.
                if matches!(denial.code(), DenialCode::InvalidToken | DenialCode::InvalidProof) && batch.charges_forgery() {
                    self.forged(address, credentials.device.as_ref(), now);
                }
                Settled { asked, ..Settled::denied(denial) }
            }
            Ok((identified, facts, seen, snapshot)) => {
                let decided = decide(&identified, &facts, snapshot, now);
                let made = Made { identified: &identified, credentials: &credentials, facts: &facts, snapshot, now, decided: &decided };
                let is_general = serving.is_general(&snapshot.revision);
                let lease = if is_general { self.lease(turn, watch.elapsed(), &made, seen) } else { None };
                let record = Record::new(id.clone(), now, &identified, &facts, snapshot, &decided);
                let record = record.leased(lease.as_ref().map(|lease| lease.ttl));
                let step = self.trails.follow(&identified, &decided);
                batch.show(|| Shown::new(&identified, &credentials, &facts, &decided, seen.epoch));
                let lesson = if step == Step::Begins { lesson(&identified, &facts, &decided) } else { None };
                let ceremony = match &decided.decision {
                    Decision::StepUp(demand) => {
                        let asked = asked.as_ref().filter(|asked| begins_ceremonies(asked, &credentials));
                        self.demanded(demand, &identified, &decided, asked, &record)
                    }
                    Decision::Allow(_) => None,
                    Decision::Deny(denial) => {
                        self.refused(denial, &identified, &credentials, now, batch);
                        None
                    }
                };
                // After all that this decision changed.
                self.stirred(&identified, &decided, step);
                let settled = Settled::from(decided, &identified, asked);
                let trial = serving.candidate().map(|_| Arc::clone(&serving));
                Settled { record: Some(record), ceremony, lesson, lease, seen: Some(seen), trial, ..settled }
            }
        }
    }

    /// Remembers a demand, locks a session that is asked from too many places, and opens the way to a ceremony for `asked`, if given.
    fn demanded(
        &self,
        demand: &Demand,
        identified: &Identified,
        decided: &Decided,
        asked: Option<&Asked>,
        record: &Record,
    ) -> Option<String> {
        let (tenant, session) = (&identified.subject().tenant, identified.session());
        let contexts = self.attempts.demanded(tenant, session, context(&decided.trace.sighting), record.at);
        if contexts >= MOST_CONTEXTS {
            self.lock(identified, record.at);
        }
        let asked = asked?;
        let site = self.sites.get(&asked.host)?;
        self.step_up.as_ref()?.demand(demand, identified, asked, site, record)
    }

    /// A policy's no that no proof would have changed, and a token that came without its key; what is refused for other reasons is counted where it fails.
    fn refused(&self, denial: &Denial, identified: &Identified, credentials: &Credentials, now: Timestamp, batch: &mut Batch) {
        match denial.code() {
            DenialCode::PolicyDenied if batch.charges(identified.subject()) => self.attempts.refused(identified.subject(), now),
            // Against the address, never the subject, from whom the token was taken.
            DenialCode::InvalidToken if batch.charges_forgery() => {
                self.forged(identified.request().client_address(), credentials.device.as_ref(), now);
            }
            _ => {}
        }
    }

    /// Counts a forgery, which makes whatever comes from the same address or device riskier.
    fn forged(&self, address: Option<IpAddr>, device: Option<&DeviceId>, now: Timestamp) {
        self.attempts.forged(address, device, now);
        let address = address.map(|address| tag::address(&self.tenant, address));
        let tags: Vec<Tag> = address.into_iter().chain(device.map(|device| tag::device(&self.tenant, device))).collect();
        self.hub.stir(&tags);
    }

    /// A proof of this subject did not hold: that counts against the subject, the address, and the network from which several are tried.
    pub(crate) fn failed(&self, subject: &SubjectId, address: Option<IpAddr>, now: Timestamp) {
        self.attempts.failed(subject, address, now);
        let addresses = address.map(|address| [tag::address(&subject.tenant, address), tag::network(&subject.tenant, address)]);
        let tags: Vec<Tag> = addresses.into_iter().flatten().chain([tag::subject(subject)]).collect();
        self.hub.stir(&tags);
    }

    /// A passkey's counter went backwards.
    pub(crate) fn regressed(&self, subject: &SubjectId, credential: CredentialId) {
        self.attempts.regressed(subject, credential);
        self.hub.stir(&[tag::subject(subject)]);
    }

    /// A batch of pointer actions came: what it says of the session ends leases when it raises the risk.
    pub(crate) fn moved(&self, identified: &Identified, whose: &Whose) -> Result<(), ViewError> {
        let raised = self.behaviors.judge(whose, self.store.view())?.is_some_and(|behavior| behavior.nats > 0.0 || behavior.is_replay);
        if raised {
            self.stir(identified);
        }
        Ok(())
    }

    /// A page's script told what the device looks like, and it is not what it told before: it may not be the known one any more.
    pub(crate) fn looked(&self, identified: &Identified, whose: Whose, told: Told, now: Timestamp) -> Result<(), TooMany> {
        let before = self.behaviors.looks(&whose);
        self.behaviors.look(whose, told, now)?;
        if before != Some(told) {
            self.stir(identified);
        }
        Ok(())
    }

    /// What is refused, and what is let through in spite of its risk or elsewhere than before, says something of the session that its leases did not know.
    fn stirred(&self, identified: &Identified, decided: &Decided, step: Step) {
        let is_calm = matches!(decided.decision, Decision::Allow(_)) && decided.trace.remaining < self.lease.risk_below;
        if !is_calm || step == Step::Moves {
            self.stir(identified);
        }
    }

    fn stir(&self, identified: &Identified) {
        let subject = identified.subject();
        self.hub.stir(&[tag::session(&subject.tenant, identified.session()), tag::subject(subject)]);
    }

    /// The one write that a denied request may cause.
    fn lock(&self, identified: &Identified, now: Timestamp) {
        let subject = identified.subject();
        if !self.attempts.may_lock(subject) {
            return;
        }
        let target = LockTarget::Session { tenant: subject.tenant.clone(), session: identified.session().clone() };
        tracing::warn!(subject = subject.sub, "session is locked: it was asked for a proof from too many contexts");
        // Nobody waits for the lock: the demand that caused it is refused without it.
        drop(self.store.append(StateEvent::Locked { target, until: now.after(LOCKED_FOR) }, Expect::Any));
    }

    /// Looks at a request as a decision would, without asking any policy: who it is, what is known, and what it shows.
    ///
    /// # Errors
    /// When the request is malformed, identifies nobody, or facts cannot be read.
    pub async fn witness(&self, raw: RawCheck) -> Result<Witnessed, Denial> {
        let now = self.clock.now();
        let (identified, credentials) = self.identify_asking(raw, now).await?;
        let serving = self.served.load();
        let snapshot = serving.of(identified.subject());
        let facts = self.look_up(&identified, &credentials, &snapshot.ladder, now)?;
        let witness = witness(&identified, &facts, snapshot, now);
        Ok(Witnessed { identified, facts, witness })
    }

    /// The client's address, where it can be believed.
    #[must_use]
    pub fn client_address(&self, client: &Client) -> Option<IpAddr> {
        client_address(client, &self.rules.trusted_proxies).ok().flatten()
    }

    fn next_id(&self) -> Result<DecisionId, Denial> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let id = DecisionId::new(format!("{}.{}.{sequence}", self.tenant, self.incarnation));
        id.map_err(|error| Denial::new(DenialCode::Internal, error.to_string()))
    }
}

/// Who can begin a ceremony: a browser that navigates, and a script whose page would be the same subject's when it goes there. The address is worth as much in
/// a script's hands as in a redirect: what binds the ceremony to a browser are the cookies that it gets when it goes there.
fn begins_ceremonies(asked: &Asked, credentials: &Credentials) -> bool {
    match asked.kind {
        ClientKind::Navigation => true,
        ClientKind::Script => credentials.are_a_browsers(),
        ClientKind::Program | ClientKind::Grpc | ClientKind::WebSocket | ClientKind::Preflight => false,
    }
}

/// How long ago a login may be that teaches.
const FRESH: Millis = Millis(120_000);

/// What a login that was verified elsewhere a moment ago teaches with its first request here, when that is at low risk; and what a key teaches that the
/// subject proved before. A new key is made known by such a login, or by a step-up, and never by itself.
fn lesson(identified: &Identified, facts: &Facts, decided: &Decided) -> Option<StateEvent> {
    let is_low = decided.trace.assessment.inherent().level() == RiskLevel::Low;
    let is_continuous = || decided.trace.sighting.key.is_some_and(|key| facts.baseline.knows_device(key));
    let bound = || is_continuous().then_some(Strength::BoundLowRisk);
    let strength = verified(identified, decided.trace.sighting.at).or_else(bound).filter(|_| is_low)?;
    Some(StateEvent::Learned { subject: identified.subject().clone(), event: decided.trace.sighting.learned(strength) })
}

/// What the token says of a login that just happened, with the first request of its session. Later requests of the session teach nothing: whoever copied the
/// token makes them too. A token that names no session of its issuer teaches nothing either: nobody could tell which request is the first.
fn verified(identified: &Identified, now: Timestamp) -> Option<Strength> {
    let token = identified.token();
    let is_fresh = token.auth_time.is_some_and(|login| login <= now && now.since(login) <= FRESH);
    if !is_fresh || token.sid.is_none() || identified.by() != IdentifiedBy::Token {
        return None;
    }
    let reached = |level: &Acr| token.acr.as_ref().is_some_and(|acr| acr == level);
    match () {
        () if reached(&Acr::phr()) || reached(&Acr::phrh()) => Some(Strength::PhishingResistant),
        // RFC 8176: more than one factor.
        () if token.amr.iter().any(|method| method == "mfa") => Some(Strength::SecondFactor),
        () => None,
    }
}

/// What became of a record that an answer waits for.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    InTime,
    Late,
    Never,
}

async fn written<T, E>(receipt: Option<impl Future<Output = Result<T, E>>>, within: Duration) -> Written {
    let Some(receipt) = receipt else { return Written::Never };
    match timeout(within, receipt).await {
        Ok(Ok(_)) => Written::InTime,
        Ok(Err(_)) => Written::Never,
        Err(_) => Written::Late,
    }
}

/// From where and by what a session is used: its network and its client.
fn context(sighting: &Sighting) -> Digest {
    let bytes = serde_json::to_vec(&(sighting.prefix, sighting.asn, sighting.client.map(|client| client.family))).unwrap_or_default();
    Digest(*blake3::Hasher::new_derive_key("countersign demand context 1").update(&bytes).finalize().as_bytes())
}

fn unavailable(error: impl std::fmt::Display) -> Denial {
    Denial::new(DenialCode::FactsUnavailable, error.to_string())
}

/// A decision before it has a name.
struct Settled {
    decision: Decision,
    subject: Option<SubjectId>,
    level: Option<RiskLevel>,
    asked: Option<Asked>,
    ceremony: Option<String>,
    record: Option<Record>,
    /// What it teaches, if it is let through in the end.
    lesson: Option<StateEvent>,
    /// What should be fetched before this denial stands.
    need: Option<Need>,
    /// Leave to repeat it.
    lease: Option<Lease>,
    /// What it has seen at least.
    seen: Option<Seen>,
    /// What decided, while a candidate is on trial.
    trial: Option<Arc<Serving>>,
}

impl Settled {
    const fn denied(denial: Denial) -> Self {
        Self {
            decision: Decision::Deny(denial),
            subject: None,
            level: None,
            asked: None,
            ceremony: None,
            record: None,
            lesson: None,
            need: None,
            lease: None,
            seen: None,
            trial: None,
        }
    }

    /// The record of a denial that came before, or instead of, a decision.
    fn denial_record(&self, id: &DecisionId, now: Timestamp, tenant: &Tenant) -> Record {
        let denial = match &self.decision {
            Decision::Deny(denial) => denial.clone(),
            Decision::Allow(_) | Decision::StepUp(_) => Denial::new(DenialCode::Internal, "a decision without a record"),
        };
        Record::for_denial(id.clone(), now, tenant.clone(), None, denial)
    }

    fn from(decided: Decided, identified: &Identified, asked: Option<Asked>) -> Self {
        let (subject, level) = (Some(identified.subject().clone()), Some(decided.trace.remaining.level()));
        let decision = decided.decision;
        Self {
            decision,
            subject,
            level,
            asked,
            ceremony: None,
            record: None,
            lesson: None,
            need: None,
            lease: None,
            seen: None,
            trial: None,
        }
    }

    /// What is left of it when it came too late, and what was decided.
    fn late(self) -> (Self, Option<Record>) {
        let denial = Denial::new(DenialCode::Deadline, "the answer came after the deadline");
        (Self { decision: Decision::Deny(denial), ceremony: None, record: None, lesson: None, lease: None, ..self }, self.record)
    }

    /// With a name, and the position at which nothing had been looked at yet.
    fn answer(self, id: String, position: Consistency) -> Answer {
        let Self { decision, subject, level, asked, ceremony, lease, seen, .. } = self;
        let consistency = Some(seen.map_or(position, |seen| seen.consistency));
        Answer { id, decision, subject, level, asked, ceremony, consistency, lease }
    }
}

/// One structured line a decision: who, what, why; no address, no token, no path.
fn log(answer: &Answer, watch: Stopwatch) {
    let code = answer.code().map_or("", DenialCode::as_str);
    let detail = match &answer.decision {
        Decision::Deny(denial) => denial.detail(),
        Decision::Allow(_) | Decision::StepUp(_) => "",
    };
    let subject = answer.subject.as_ref().map_or("", |subject| subject.sub.as_str());
    let effect = answer.decision.effect();
    let micros = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(target: "countersign::decision", id = answer.id, ?effect, code, detail, subject, micros, "decided");
}

#[cfg(test)]
mod tests;
