//! One request from what an adapter read to a decision with a record: the steps of the decision point, in order.

mod look_up;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decided, Decision, Demand, Witness, decide, witness};
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::{Identified, IdentifiedBy, IdentifyError, LinkedSession, identify};
use countersign_pdp_engine::path::CanonicalPath;
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{AccessRequest, Client, ClientKind, Credentials, RawCheck, RequestRules, client_address, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{AuditMode, Expect, LockTarget, Receipt, StateEvent, Store};
use countersign_risk::{Sighting, Strength};
use countersign_sdk_types::{Acr, DecisionId, DenialCode, Digest, Host, Millis, RiskLevel, Seconds, SubjectId, Tenant, Timestamp};
use tokio::time::timeout;

use crate::attempts::{Attempts, MOST_CONTEXTS};
use crate::behavior::Behaviors;
use crate::clock::{Clock, Stopwatch};
use crate::config::{ClaimMap, Site};
use crate::directory::Directory;
use crate::key_sets::KeySets;
use crate::metrics::{Door, Metrics};
use crate::places::Places;
use crate::step_up::StepUp;
use crate::trails::Trails;

pub(crate) use look_up::{grant_digest, salts};

/// How long a session stays locked that was asked for a proof from too many contexts.
const LOCKED_FOR: Seconds = Seconds(15 * 60);

/// The decision point of one process.
#[derive(Debug)]
pub struct Pdp {
    /// The active policy, weights and ladder.
    pub snapshot: ArcSwap<Snapshot>,
    /// How requests are read.
    pub rules: RequestRules,
    /// Whose tokens are taken, with their keys.
    pub key_sets: Arc<KeySets>,
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
}

impl Answer {
    /// What is left of it without its record: a denial, also of what was refused already, because a path in report mode lets a refusal pass.
    fn unrecorded(self) -> Self {
        self.denied(Denial::new(DenialCode::AuditUnavailable, "the record could not be written"))
    }

    /// What is left of it when its record was not there in time. That may still be written, and then says what would have been answered.
    fn late(self) -> Self {
        self.denied(Denial::new(DenialCode::Deadline, "the record was not written before the deadline"))
    }

    fn denied(self, denial: Denial) -> Self {
        Self { decision: Decision::Deny(denial), ceremony: None, ..self }
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
    pub async fn check(&self, door: Door, raw: Result<RawCheck, Denial>) -> Answer {
        let watch = Stopwatch::start();
        let (mut answer, receipt, lesson) = self.settle(raw, watch).await;
        match (self.audit, receipt) {
            (AuditMode::BestEffort, _) => self.metrics.records_lost(self.store.decisions().lost()),
            (AuditMode::Required, receipt) => match written(receipt, self.deadline.saturating_sub(watch.elapsed())).await {
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
        self.metrics.decided(door, answer.decision.effect(), answer.code(), watch.elapsed());
        log(&answer, watch);
        answer
    }

    async fn settle(&self, raw: Result<RawCheck, Denial>, watch: Stopwatch) -> (Answer, Option<Receipt>, Option<StateEvent>) {
        let now = self.clock.now();
        let id = match self.next_id() {
            Ok(id) => id,
            Err(denial) => return (Settled::denied(denial).answer(String::new()), None, None),
        };
        let mut settled = self.guarded(raw.clone(), &id, now);
        // A token of a key that is not here yet: the issuer may have rotated, so its keys are looked at once and the token once more.
        if let Some(iss) = &settled.unknown_key
            && self.key_sets.unknown_key(iss).await
        {
            settled = self.guarded(raw, &id, now);
        }
        let mut settled = if watch.elapsed() > self.deadline { settled.late() } else { settled };
        let record = settled.record.take().unwrap_or_else(|| settled.denial_record(&id, now, &self.tenant));
        let receipt = self.store.append_decision(&id, &record, self.audit);
        let lesson = settled.lesson.take();
        (settled.answer(id.to_string()), Some(receipt), lesson)
    }

    fn guarded(&self, raw: Result<RawCheck, Denial>, id: &DecisionId, now: Timestamp) -> Settled {
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(raw, id, now)));
        decided.unwrap_or_else(|_| Settled::denied(Denial::new(DenialCode::Internal, "a step panicked")))
    }

    fn decide(&self, raw: Result<RawCheck, Denial>, id: &DecisionId, now: Timestamp) -> Settled {
        let normalized = raw.and_then(|raw| normalize(raw, &self.rules));
        let (request, credentials) = match normalized {
            Ok(normalized) => normalized,
            Err(denial) => return Settled::denied(denial),
        };
        let asked = Asked::of(&request);
        let address = request.client_address();
        let snapshot = self.snapshot.load();
        let looked_up = self.identify(request, &credentials, now).and_then(|identified| {
            let facts = self.look_up(&identified, &credentials, &snapshot.ladder, now)?;
            Ok((identified, facts))
        });
        match looked_up {
            Err(IdentifyError::UnknownKey(iss)) => Settled { asked, unknown_key: Some(iss.clone()), ..Settled::denied(unknown_key(&iss)) },
            Err(IdentifyError::Denied(denial)) => {
                // A token that has expired was good once; one that never was is somebody's attempt.
                if denial.code() == DenialCode::InvalidToken {
                    self.attempts.forged(address, credentials.device.as_ref(), now);
                }
                Settled { asked, ..Settled::denied(denial) }
            }
            Ok((identified, facts)) => {
                let decided = decide(&identified, &facts, &snapshot, now);
                let record = Record::new(id.clone(), now, &identified, &facts, &snapshot, &decided);
                let begins = self.trails.follow(&identified, &decided);
                let lesson = if begins { lesson(&identified, &decided) } else { None };
                let ceremony = match &decided.decision {
                    Decision::StepUp(demand) => {
                        let asked = asked.as_ref().filter(|asked| begins_ceremonies(asked, &credentials));
                        self.demanded(demand, &identified, &decided, asked, &record)
                    }
                    Decision::Allow(_) => None,
                    Decision::Deny(denial) => {
                        self.refused(denial, &identified, now);
                        None
                    }
                };
                Settled { record: Some(record), ceremony, lesson, ..Settled::from(decided, &identified, asked) }
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

    /// A policy's no that no proof would have changed; what is refused for other reasons is counted where it fails.
    fn refused(&self, denial: &Denial, identified: &Identified, now: Timestamp) {
        if denial.code() == DenialCode::PolicyDenied {
            self.attempts.refused(identified.subject(), now);
        }
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
    pub fn witness(&self, raw: RawCheck) -> Result<Witnessed, Denial> {
        let now = self.clock.now();
        let (request, credentials) = normalize(raw, &self.rules)?;
        let identified = self.identify(request, &credentials, now).map_err(denied)?;
        let snapshot = self.snapshot.load();
        let facts = self.look_up(&identified, &credentials, &snapshot.ladder, now)?;
        let witness = witness(&identified, &facts, &snapshot, now);
        Ok(Witnessed { identified, facts, witness })
    }

    fn identify(&self, request: AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Identified, IdentifyError> {
        let linked = self.linked(&request, credentials, now)?;
        identify(request, credentials, &self.key_sets.current(), linked, now)
    }

    /// Whose session cookie this is, as an application that saw a token linked it.
    fn linked(&self, request: &AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Option<LinkedSession>, Denial> {
        let (Some(cookie), Some(http)) = (&credentials.session_cookie, request.http()) else { return Ok(None) };
        let link = self.store.view().session_link(request.tenant(), &http.host, &session_digest(cookie), now).map_err(unavailable)?;
        let Some(link) = link else { return Ok(None) };
        let token = serde_json::from_value(link.claims).map_err(unavailable)?;
        Ok(Some(LinkedSession { subject: link.subject, token }))
    }

    /// Links an application's session cookie to the subject of a token, until the token ends. Resolves when it is on the disk.
    ///
    /// # Errors
    /// When the token identifies nobody, or the link cannot be written.
    pub async fn link(&self, raw: RawCheck, host: Host, cookie: &str) -> Result<SubjectId, Denial> {
        let now = self.clock.now();
        let (request, credentials) = normalize(raw, &self.rules)?;
        let identified = self.identify(request, &credentials, now).map_err(denied)?;
        let (subject, token) = (identified.subject().clone(), identified.token().clone());
        let expires = token.expires.ok_or_else(|| Denial::new(DenialCode::InvalidToken, "a session is linked by a token"))?;
        let claims = serde_json::to_value(token).map_err(unavailable)?;
        let (tenant, cookie) = (subject.tenant.clone(), session_digest(cookie));
        let event = StateEvent::SessionLinked { tenant, host, cookie, subject: subject.clone(), claims, expires };
        self.store.append(event, Expect::Any).await.map_err(unavailable)?;
        Ok(subject)
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

/// What a login that was verified elsewhere a moment ago teaches with its first request here, when that is at low risk.
fn lesson(identified: &Identified, decided: &Decided) -> Option<StateEvent> {
    let is_low = decided.trace.assessment.inherent().level() == RiskLevel::Low;
    let strength = verified(identified, decided.trace.sighting.at).filter(|_| is_low)?;
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

/// A session cookie at rest.
fn session_digest(cookie: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign session cookie 1").update(cookie.as_bytes()).finalize().as_bytes())
}

fn unknown_key(iss: &str) -> Denial {
    Denial::new(DenialCode::UnknownKey, format!("no such key of `{iss}`"))
}

fn denied(error: IdentifyError) -> Denial {
    match error {
        IdentifyError::Denied(denial) => denial,
        IdentifyError::UnknownKey(iss) => unknown_key(&iss),
    }
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
    /// The issuer whose keys should be looked at before this denial stands.
    unknown_key: Option<String>,
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
            unknown_key: None,
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
        Self { decision: decided.decision, subject, level, asked, ceremony: None, record: None, lesson: None, unknown_key: None }
    }

    fn late(self) -> Self {
        let denial = Denial::new(DenialCode::Deadline, "the answer came after the deadline");
        Self { decision: Decision::Deny(denial), ceremony: None, record: None, lesson: None, ..self }
    }

    fn answer(self, id: String) -> Answer {
        let Self { decision, subject, level, asked, ceremony, .. } = self;
        Answer { id, decision, subject, level, asked, ceremony }
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
