//! One request from what an adapter read to a decision with a record: the steps of the decision point, in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::{Decided, Decision, decide};
use countersign_pdp_engine::facts::{DeviceFacts, Facts};
use countersign_pdp_engine::identify::{Identified, IdentifyError, Issuers, identify};
use countersign_pdp_engine::request::{AccessRequest, Credentials, RawCheck, RequestRules, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::SubjectSalt;
use countersign_sdk_types::{DecisionId, DenialCode, RiskLevel, SubjectId, Timestamp};

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
    /// The name of this process's life, part of every decision id.
    pub incarnation: String,
    /// Keys the subjects' identifiers; drawn at start.
    pub node_secret: [u8; 32],
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
    /// A browser navigates here.
    pub navigation: bool,
}

impl Pdp {
    /// Decides a request. Never panics, never answers late with an allow.
    #[must_use]
    pub fn check(&self, raw: Result<RawCheck, Denial>) -> Answer {
        let watch = Stopwatch::start();
        let now = clock::now();
        let id = self.next_id();
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(raw, now)));
        let decided = decided.unwrap_or_else(|_| Settled::denied(Denial::new(DenialCode::Internal, "a step panicked")));
        let settled = if watch.elapsed() > DEADLINE { decided.late() } else { decided };
        let answer = settled.answer(id);
        log(&answer, watch);
        answer
    }

    fn decide(&self, raw: Result<RawCheck, Denial>, now: Timestamp) -> Settled {
        let normalized = raw.and_then(|raw| normalize(raw, &self.rules));
        let (request, credentials) = match normalized {
            Ok(normalized) => normalized,
            Err(denial) => return Settled::denied(denial),
        };
        let navigation = request.http().is_some_and(|http| http.navigation);
        match self.identify(request, &credentials, now) {
            Err(denial) => Settled { navigation, ..Settled::denied(denial) },
            Ok(identified) => {
                let facts = self.look_up(&identified, now);
                let decided = decide(&identified, &facts, &self.snapshot.load(), now);
                Settled::from(decided, &identified, navigation)
            }
        }
    }

    fn identify(&self, request: AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Identified, Denial> {
        identify(request, credentials, &self.issuers, None, now).map_err(|error| match error {
            IdentifyError::Denied(denial) => denial,
            IdentifyError::UnknownKey(issuer) => Denial::new(DenialCode::UnknownKey, format!("no such key of `{issuer}`")),
        })
    }

    fn look_up(&self, identified: &Identified, now: Timestamp) -> Facts {
        let place = self.places.place(identified.request().client_address(), now);
        let device = identified.device().map(countersign_sdk_types::DeviceId::as_str);
        Facts {
            user: self.directory.user(&identified.subject().sub).cloned(),
            device: DeviceFacts { inventory: device.and_then(|device| self.directory.device(device)), known: false },
            ..Facts::unknown(self.salt(identified.subject()), place)
        }
    }

    fn salt(&self, subject: &SubjectId) -> SubjectSalt {
        let mut hasher = blake3::Hasher::new_keyed(&self.node_secret);
        for part in [subject.tenant.as_str(), &subject.iss, &subject.sub] {
            hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
        }
        SubjectSalt::new(*hasher.finalize().as_bytes())
    }

    fn next_id(&self) -> String {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let id = DecisionId::new(format!("main.{}.{sequence}", self.incarnation));
        id.map_or_else(|_| sequence.to_string(), |id| id.to_string())
    }
}

/// A decision before it has a name.
struct Settled {
    decision: Decision,
    subject: Option<SubjectId>,
    level: Option<RiskLevel>,
    navigation: bool,
}

impl Settled {
    const fn denied(denial: Denial) -> Self {
        Self { decision: Decision::Deny(denial), subject: None, level: None, navigation: false }
    }

    fn from(decided: Decided, identified: &Identified, navigation: bool) -> Self {
        let level = decided.trace.remaining.level();
        Self { decision: decided.decision, subject: Some(identified.subject().clone()), level: Some(level), navigation }
    }

    fn late(self) -> Self {
        Self { decision: Decision::Deny(Denial::new(DenialCode::Deadline, "the answer came after the deadline")), ..self }
    }

    fn answer(self, id: String) -> Answer {
        Answer { id, decision: self.decision, subject: self.subject, level: self.level, navigation: self.navigation }
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
