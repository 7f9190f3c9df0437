//! One request from what an adapter read to a decision with a record: the steps of the decision point, in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decided, Decision, decide};
use countersign_pdp_engine::facts::{DeviceFacts, DirectoryUser, Facts, Inventory, LiveGrant};
use countersign_pdp_engine::identify::{Identified, IdentifyError, Issuers, LinkedSession, identify};
use countersign_pdp_engine::path::CanonicalPath;
use countersign_pdp_engine::record::Record;
use countersign_pdp_engine::request::{AccessRequest, Credentials, RawCheck, RequestRules, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::{AuditMode, Expect, Receipt, RevocationQuery, StateEvent, Store, StoredCredential, TokenName};
use countersign_risk::SubjectSalt;
use countersign_sdk_types::{
    Acr, DecisionId, DenialCode, Digest, Effect, Host, Ladder, RiskLevel, SessionId, SubjectId, Tenant, Timestamp,
};

use crate::clock::{self, Stopwatch};
use crate::directory::Directory;
use crate::places::Places;

/// Longer than this, an answer is a deny: proxies stop waiting soon after.
const DEADLINE: Duration = Duration::from_millis(150);

/// The decision point of one process.
#[derive(Debug)]
pub struct Pdp {
    /// The active policy, weights and ladder.
    pub snapshot: ArcSwap<Snapshot>,
    /// How requests are read.
    pub rules: RequestRules,
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// Where addresses are.
    pub places: Places,
    /// Users and devices.
    pub directory: Directory,
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
}

/// The request as a redirect, a report or a ceremony needs it: everything in it is canonical.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The protected host.
    pub host: Host,
    /// The canonical path.
    pub path: CanonicalPath,
    /// Path and query as a browser is sent back to them.
    pub target: String,
    /// A browser navigates here.
    pub navigation: bool,
    /// What a step-up is bound to.
    pub digest: Digest,
    /// The session, where the subject is known.
    pub session: Option<SessionId>,
}

impl Asked {
    fn of(request: &AccessRequest) -> Option<Self> {
        let http = request.http()?;
        let query = if http.query.is_empty() { String::new() } else { format!("?{}", http.query) };
        Some(Self {
            host: http.host.clone(),
            path: http.path.clone(),
            target: format!("{}{query}", http.path.as_str()),
            navigation: http.navigation,
            digest: request.digest(),
            session: None,
        })
    }
}

impl Pdp {
    /// Decides a request and records it. Never panics, never answers late with an allow, and with a required audit never allows unrecorded.
    pub async fn check(&self, raw: Result<RawCheck, Denial>) -> Answer {
        let watch = Stopwatch::start();
        let (mut answer, receipt) = self.settle(raw, watch);
        let recorded = match (self.audit, receipt) {
            (AuditMode::BestEffort, _) => true,
            (AuditMode::Required, Some(receipt)) => receipt.await.is_ok(),
            (AuditMode::Required, None) => false,
        };
        if !recorded && answer.decision.effect() == Effect::Allow {
            answer.decision = Decision::Deny(Denial::new(DenialCode::AuditUnavailable, "the record could not be written"));
        }
        log(&answer, watch);
        answer
    }

    fn settle(&self, raw: Result<RawCheck, Denial>, watch: Stopwatch) -> (Answer, Option<Receipt>) {
        let now = clock::now();
        let id = match self.next_id() {
            Ok(id) => id,
            Err(denial) => return (Settled::denied(denial).answer(String::new()), None),
        };
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(raw, &id, now)));
        let settled = decided.unwrap_or_else(|_| Settled::denied(Denial::new(DenialCode::Internal, "a step panicked")));
        let mut settled = if watch.elapsed() > DEADLINE { settled.late() } else { settled };
        let record = settled.record.take().unwrap_or_else(|| settled.denial_record(&id, now, &self.tenant));
        let receipt = serde_json::to_value(record).ok().map(|record| self.store.append_decision(&id, &record, self.audit));
        (settled.answer(id.to_string()), receipt)
    }

    fn decide(&self, raw: Result<RawCheck, Denial>, id: &DecisionId, now: Timestamp) -> Settled {
        let normalized = raw.and_then(|raw| normalize(raw, &self.rules));
        let (request, credentials) = match normalized {
            Ok(normalized) => normalized,
            Err(denial) => return Settled::denied(denial),
        };
        let asked = Asked::of(&request);
        let snapshot = self.snapshot.load();
        let looked_up = self.identify(request, &credentials, now).and_then(|identified| {
            let facts = self.look_up(&identified, &credentials, &snapshot.ladder, now)?;
            Ok((identified, facts))
        });
        match looked_up {
            Err(denial) => Settled { asked, ..Settled::denied(denial) },
            Ok((identified, facts)) => {
                let decided = decide(&identified, &facts, &snapshot, now);
                let record = Record::new(id.clone(), now, &identified, &facts, &snapshot, &decided);
                Settled { record: Some(record), ..Settled::from(decided, &identified, asked) }
            }
        }
    }

    fn identify(&self, request: AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Identified, Denial> {
        let linked = self.linked(&request, credentials, now)?;
        identify(request, credentials, &self.issuers, linked, now).map_err(|error| match error {
            IdentifyError::Denied(denial) => denial,
            IdentifyError::UnknownKey(issuer) => Denial::new(DenialCode::UnknownKey, format!("no such key of `{issuer}`")),
        })
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
        let now = clock::now();
        let (request, credentials) = normalize(raw, &self.rules)?;
        let identified = self.identify(request, &credentials, now)?;
        let (subject, token) = (identified.subject().clone(), identified.token().clone());
        let expires = token.expires.ok_or_else(|| Denial::new(DenialCode::InvalidToken, "a session is linked by a token"))?;
        let claims = serde_json::to_value(token).map_err(unavailable)?;
        let (tenant, cookie) = (subject.tenant.clone(), session_digest(cookie));
        let event = StateEvent::SessionLinked { tenant, host, cookie, subject: subject.clone(), claims, expires };
        self.store.append(event, Expect::Any).await.map_err(unavailable)?;
        Ok(subject)
    }

    /// Everything that is known of the subject. What cannot be read is no fact: the request is denied.
    fn look_up(&self, identified: &Identified, credentials: &Credentials, ladder: &Ladder, now: Timestamp) -> Result<Facts, Denial> {
        let (view, subject) = (self.store.view(), identified.subject());
        let salt = self.salt(subject)?;
        let place = self.places.place(identified.request().client_address(), now);
        let baseline = view.baseline(subject).map_err(unavailable)?;
        let tokens = token_names(identified);
        let query = RevocationQuery { subject, session: Some(identified.session()), tokens: &tokens, device: identified.device() };
        let revoked = view.is_revoked(&query).map_err(unavailable)?;
        let known = identified.device().is_some_and(|device| baseline.knows_device(salt.key("device", device.as_str().as_bytes())));
        let enrolled = view.credentials(subject).map_err(unavailable)?;
        Ok(Facts {
            revoked: revoked.map(|revocation| revocation.reason),
            locked_until: view.locked_until(subject, Some(identified.session()), now).map_err(unavailable)?,
            user: self.user(subject)?,
            device: DeviceFacts { inventory: self.device(identified)?, known },
            grants: self.grants(subject, credentials, ladder, now)?,
            reachable: reachable(&enrolled, ladder),
            break_glass: view.break_glass(subject, now).map_err(unavailable)?.is_some(),
            baseline,
            ..Facts::unknown(salt, place)
        })
    }

    /// The operator's word in the store wins over the file.
    fn user(&self, subject: &SubjectId) -> Result<Option<DirectoryUser>, Denial> {
        let stored = self.store.view().user(&subject.tenant, &subject.sub).map_err(unavailable)?;
        let stored =
            stored.map(|record| DirectoryUser { role: record.role.unwrap_or_default(), roles: record.roles.into_iter().collect() });
        Ok(stored.or_else(|| self.directory.user(&subject.sub).cloned()))
    }

    fn device(&self, identified: &Identified) -> Result<Option<Inventory>, Denial> {
        let Some(device) = identified.device() else { return Ok(None) };
        let stored = self.store.view().device(&identified.subject().tenant, device).map_err(unavailable)?;
        let stored = stored.map(|record| Inventory { compliant: record.compliant, managed: record.managed });
        Ok(stored.or_else(|| self.directory.device(device.as_str())))
    }

    /// The grant whose secret this browser presents, if it is this subject's.
    fn grants(&self, subject: &SubjectId, credentials: &Credentials, ladder: &Ladder, now: Timestamp) -> Result<Vec<LiveGrant>, Denial> {
        let Some(secret) = &credentials.grant else { return Ok(Vec::new()) };
        let secret = Digest(*blake3::hash(secret.as_bytes()).as_bytes());
        let grant = self.store.view().grant_by_secret(&subject.tenant, &secret, now).map_err(unavailable)?;
        let own = grant.filter(|grant| grant.subject == *subject);
        let live = own.map(|grant| LiveGrant {
            satisfied: ladder.satisfied_by(&grant.acr).iter().cloned().collect(),
            id: grant.id,
            acr: grant.acr,
            answers: grant.answers,
            auth_time: grant.created,
            expires: grant.expires,
        });
        Ok(live.into_iter().collect())
    }

    fn salt(&self, subject: &SubjectId) -> Result<SubjectSalt, Denial> {
        let mut fresh = [0; 32];
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| Denial::new(DenialCode::FactsUnavailable, "the system gives no random numbers"))?;
        self.store.salt(subject, || fresh).map(|salt| SubjectSalt::new(salt.0)).map_err(unavailable)
    }

    fn next_id(&self) -> Result<DecisionId, Denial> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let id = DecisionId::new(format!("{}.{}.{sequence}", self.tenant, self.incarnation));
        id.map_err(|error| Denial::new(DenialCode::Internal, error.to_string()))
    }
}

/// A session cookie at rest.
fn session_digest(cookie: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign session cookie 1").update(cookie.as_bytes()).finalize().as_bytes())
}

fn unavailable(error: impl std::fmt::Display) -> Denial {
    Denial::new(DenialCode::FactsUnavailable, error.to_string())
}

/// Every name by which the token may be revoked.
fn token_names(identified: &Identified) -> Vec<TokenName> {
    let token = identified.token();
    let jti = token.jti.clone().map(|jti| TokenName::Jti { iss: token.iss.clone(), jti });
    token.digest.map(TokenName::Digest).into_iter().chain(jti).collect()
}

/// The levels that the enrolled passkeys reach, in the order of the ladder. One that cannot be backed up reaches `phrh`.
fn reachable(enrolled: &[StoredCredential], ladder: &Ladder) -> Vec<Acr> {
    let reached = enrolled.iter().flat_map(|one| if one.backup_eligible { vec![Acr::phr()] } else { vec![Acr::phr(), Acr::phrh()] });
    let reached: std::collections::BTreeSet<Acr> = reached.collect();
    ladder.levels().iter().filter(|level| reached.contains(*level)).cloned().collect()
}

/// A decision before it has a name.
struct Settled {
    decision: Decision,
    subject: Option<SubjectId>,
    level: Option<RiskLevel>,
    asked: Option<Asked>,
    record: Option<Record>,
}

impl Settled {
    const fn denied(denial: Denial) -> Self {
        Self { decision: Decision::Deny(denial), subject: None, level: None, asked: None, record: None }
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
        let asked = asked.map(|asked| Asked { session: Some(identified.session().clone()), ..asked });
        let level = decided.trace.remaining.level();
        Self { decision: decided.decision, subject: Some(identified.subject().clone()), level: Some(level), asked, record: None }
    }

    fn late(self) -> Self {
        Self { decision: Decision::Deny(Denial::new(DenialCode::Deadline, "the answer came after the deadline")), record: None, ..self }
    }

    fn answer(self, id: String) -> Answer {
        Answer { id, decision: self.decision, subject: self.subject, level: self.level, asked: self.asked }
    }
}

/// One structured line a decision: who, what, why; no address, no token, no path.
fn log(answer: &Answer, watch: Stopwatch) {
    let code = match &answer.decision {
        Decision::Deny(denial) => denial.code().as_str(),
        Decision::Allow(_) | Decision::StepUp(_) => "",
    };
    let detail = match &answer.decision {
        Decision::Deny(denial) => denial.detail(),
        Decision::Allow(_) | Decision::StepUp(_) => "",
    };
    let subject = answer.subject.as_ref().map_or("", |subject| subject.sub.as_str());
    let effect = answer.decision.effect();
    let micros = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(target: "countersign::decision", id = answer.id, ?effect, code, detail, subject, micros, "decided");
}
