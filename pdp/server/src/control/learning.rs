//! The past of subjects, as an operator takes it from an identity provider's log: placed and keyed here, and learned only after what is known already.
//!
//! Addresses and agents are used and forgotten: no log and no journal has them, which is why nothing here can be printed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use countersign_pdp_engine::identify::issuer_session;
use countersign_pdp_store::{AppendError, Baseline, Expect, LearnedEvent, Refusal, RevocationQuery, StateEvent};
use countersign_risk::{RawSighting, Salts, Sighting, Strength, SubjectSalt};
use countersign_sdk_types::{DeviceId, Place, PlaceGap, SessionId, SubjectId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{LargeBody, Line, Who, name};
use super::guard::Operator;
use super::problem::Problem;
use crate::learn::{MILLIS_OF_RETENTION, MOST_OF_A_SUBJECT};
use crate::openapi::{Refused, instant, strength};
use crate::pipeline::salts;

/// The pasts of some subjects.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// Only say what would be learned.
    pub(crate) dry_run: bool,
    /// Learn even though there is no place database: countries and networks are then never learned from these log-ins.
    pub(crate) without_places: bool,
    pub(crate) subjects: Vec<PastOf>,
}

/// The past of one subject.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastOf {
    pub(crate) subject: Who,
    #[schema(max_items = 200)]
    pub(crate) logins: Vec<Login>,
}

/// One verified log-in.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    #[schema(schema_with = instant)]
    pub(crate) at: Timestamp,
    /// `phishing_resistant` or `second_factor`.
    #[schema(schema_with = strength)]
    pub(crate) strength: Strength,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) user_agent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) device: Option<DeviceId>,
    /// The `sid` of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Line>,
    /// The client's zone, for where the place has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<Line>,
}

/// What was learned, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Imported {
    /// By log-ins that are resistant to phishing.
    pub(crate) phishing_resistant: u64,
    /// By log-ins with another second factor.
    pub(crate) second_factor: u64,
    /// Not later than what the subject has taught already.
    pub(crate) already_known: u64,
    /// Beyond what a day, a network or a session may teach, or of the last day what may wait.
    pub(crate) beyond_bounds: u64,
    /// Before the retention.
    pub(crate) too_old: u64,
    /// Of a subject or a session that is revoked.
    pub(crate) revoked: u64,
    /// Without an address that could have a place.
    pub(crate) no_location: u64,
    /// Subjects that something is learned of.
    pub(crate) subjects: u64,
    /// Learned events by country; `unknown` where no place is known.
    pub(crate) countries: BTreeMap<String, u64>,
    #[schema(value_type = Option<i64>)]
    pub(crate) oldest: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub(crate) newest: Option<Timestamp>,
}

/// Log-ins in one request.
pub(crate) const MOST_LOGINS: usize = 5_000;
/// Events in one frame of the journal: with the longest names they still fit.
const OF_A_FRAME: usize = 100;
/// How often a subject whose baseline changes meanwhile is looked at again.
const ATTEMPTS: usize = 3;

impl Imported {
    /// All that is learned.
    pub(crate) const fn learned(&self) -> u64 {
        self.phishing_resistant.saturating_add(self.second_factor)
    }

    /// Adds what another request came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.phishing_resistant += other.phishing_resistant;
        self.second_factor += other.second_factor;
        self.already_known += other.already_known;
        self.beyond_bounds += other.beyond_bounds;
        self.too_old += other.too_old;
        self.revoked += other.revoked;
        self.no_location += other.no_location;
        self.subjects += other.subjects;
        other.countries.into_iter().for_each(|(country, count)| *self.countries.entry(country).or_default() += count);
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        self.newest = self.newest.max(other.newest);
    }

    fn learn(&mut self, event: &LearnedEvent) {
        match event.strength {
            Strength::SecondFactor | Strength::BoundLowRisk => self.second_factor += 1,
            Strength::PhishingResistant | Strength::StepUp => self.phishing_resistant += 1,
        }
        let country = event.country.map_or_else(|| "unknown".to_owned(), |country| country.to_string());
        *self.countries.entry(country).or_default() += 1;
        self.oldest = Some(self.oldest.map_or(event.at, |oldest| oldest.min(event.at)));
        self.newest = self.newest.max(Some(event.at));
    }
}

/// Learns the past of subjects from verified log-ins.
#[utoipa::path(
    post,
    path = "/countersign/v1/learn",
    request_body = Import, responses((status = 200, body = Imported, description = "What was learned, or would be."), Refused)
)]
pub(super) async fn learn(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    LargeBody(import): LargeBody<Import>,
) -> Result<Json<Imported>, Problem> {
    let turn = Arc::clone(&service.imports).try_acquire_owned().map_err(|_| Problem::busy("another import is under way"))?;
    let now = service.now();
    check(&service, &import, now)?;
    let (dry_run, by) = (import.dry_run, operator.by());
    let learned = tokio::task::spawn_blocking(move || {
        let teacher = Teacher { service: &service, by, now, dry_run, without_places: import.without_places };
        let learned = teacher.all(import.subjects);
        drop(turn);
        learned
    });
    let learned = learned.await.map_err(|_| Problem::internal("the past could not be learned"))?;
    match &learned {
        Ok(learned) if !dry_run => {
            tracing::info!(%operator, change = "import past", events = learned.learned(), subjects = learned.subjects, "control");
        }
        Err(_) if !dry_run => tracing::warn!(%operator, change = "import past", "control change was not wholly made"),
        _ => {}
    }
    learned.map(Json)
}

fn check(service: &ControlService, import: &Import, now: Timestamp) -> Result<(), Problem> {
    if import.subjects.iter().map(|past| past.logins.len()).sum::<usize>() > MOST_LOGINS {
        return Err(Problem::malformed("a request has at most 5000 log-ins"));
    }
    for PastOf { subject, logins } in &import.subjects {
        if !(service.is_issuer)(subject.iss.as_str()) {
            let iss = subject.iss.as_str();
            return Err(Problem::malformed(&format!("no tokens of `{iss}` are taken here: an issuer is written as in the configuration")));
        }
        if logins.len() > MOST_OF_A_SUBJECT {
            return Err(Problem::malformed("a subject has at most 200 log-ins"));
        }
        if logins.iter().any(|login| login.at > now) {
            return Err(Problem::malformed("a log-in lies in the future"));
        }
        // A step-up is our own ceremony: no log has it.
        if !logins.iter().all(|login| matches!(login.strength, Strength::PhishingResistant | Strength::SecondFactor)) {
            return Err(Problem::malformed("a log-in is verified by `phishing_resistant` or `second_factor`"));
        }
    }
    Ok(())
}

struct Teacher<'a> {
    service: &'a ControlService,
    by: String,
    now: Timestamp,
    dry_run: bool,
    without_places: bool,
}

impl Teacher<'_> {
    fn all(&self, pasts: Vec<PastOf>) -> Result<Imported, Problem> {
        let mut all = Imported::default();
        for PastOf { subject, mut logins } in pasts {
            logins.sort_by_key(|login| login.at);
            all.add(self.subject(&subject.of(&self.service.tenant), &logins)?);
        }
        Ok(all)
    }

    fn subject(&self, subject: &SubjectId, logins: &[Login]) -> Result<Imported, Problem> {
        let mut imported = Imported::default();
        let mut candidates = Vec::new();
        if logins.is_empty() {
            return Ok(imported);
        }
        let salts = self.salts(subject)?;
        for login in logins {
            match login {
                _ if self.is_revoked(subject, login)? => imported.revoked += 1,
                _ if self.now.since(login.at).0 > MILLIS_OF_RETENTION => imported.too_old += 1,
                _ => match self.event(subject, login, &salts)? {
                    None => imported.no_location += 1,
                    Some(event) => candidates.push(event),
                },
            }
        }
        let mut baseline = self.baseline(subject)?;
        for part in candidates.chunks(OF_A_FRAME) {
            imported.add(self.part(subject, part, &mut baseline)?);
        }
        imported.subjects = u64::from(imported.learned() > 0);
        Ok(imported)
    }

    /// Whoever was shut out since is not learned from what they did before.
    fn is_revoked(&self, subject: &SubjectId, login: &Login) -> Result<bool, Problem> {
        let session = login.session.as_ref().and_then(|sid| issuer_session(&subject.iss, sid.as_str()).ok());
        let query = RevocationQuery { subject, session: session.as_ref(), tokens: &[], device: login.device.as_ref() };
        let found = self.service.store.view().is_revoked(&query).map_err(|error| Problem::internal(&error.to_string()))?;
        Ok(found.is_some())
    }

    /// Teaches some events of a subject, or nothing of them. What is learned meanwhile comes first.
    fn part(&self, subject: &SubjectId, part: &[LearnedEvent], baseline: &mut Baseline) -> Result<Imported, Problem> {
        for _ in 0..ATTEMPTS {
            let known = baseline.known_until();
            let (events, imported) = new_to(baseline, part, self.now);
            if self.dry_run || events.is_empty() {
                return Ok(imported);
            }
            match self.append(subject, events, known) {
                Ok(()) => return Ok(imported),
                Err(AppendError::Refused(Refusal::Changed)) => *baseline = self.baseline(subject)?,
                Err(error) => {
                    tracing::warn!(subject = name(subject), %error, "a past was not learned");
                    return Err(Problem::from(error));
                }
            }
        }
        Err(Problem::busy("the subject teaches by itself just now; import again"))
    }

    fn append(&self, subject: &SubjectId, events: Vec<LearnedEvent>, known: Option<Timestamp>) -> Result<(), AppendError> {
        let past = StateEvent::PastImported { subject: subject.clone(), events, by: self.by.clone(), at: self.now };
        self.service.store.append(past, Expect::LearnedUntil { subject: subject.clone(), at: known }).wait().map(drop)
    }

    /// What a log-in teaches; nothing where its address can have no place: it would make every place look new.
    fn event(&self, subject: &SubjectId, login: &Login, salts: &Salts) -> Result<Option<LearnedEvent>, Problem> {
        let Some(address) = login.address else { return Ok(None) };
        let place = (self.service.place)(address);
        let is_gap = matches!(place, Place::Unknown(PlaceGap::NoDatabase | PlaceGap::Stale));
        if is_gap && !self.dry_run && !self.without_places {
            return Err(Problem::conflict(
                "there is no place database, or it is stale, and what is learned without places is not learned again; configure one, or import without places",
            ));
        }
        let session = login.session.as_ref().and_then(|sid| issuer_session(&subject.iss, sid.as_str()).ok());
        // A log-in begins a session; one that the log does not name is its own.
        let session = session
            .map_or_else(|| SessionId::new(format!("log:{}", login.at.0)), Ok)
            .map_err(|error| Problem::internal(&error.to_string()))?;
        let raw = RawSighting {
            address: Some(address),
            user_agent: login.user_agent.as_deref(),
            cookie: login.device.as_ref(),
            // What a log says of a key is no proof of it.
            ..RawSighting::new(login.at, &place, &session)
        };
        let mut event = Sighting::new(&raw, salts).learned(login.strength);
        event.time_zone = event.time_zone.or_else(|| login.time_zone.clone().map(String::from));
        Ok(event.prefix.is_some().then_some(event))
    }

    fn baseline(&self, subject: &SubjectId) -> Result<Baseline, Problem> {
        self.service.store.view().baseline(subject).map_err(|error| Problem::internal(&error.to_string()))
    }

    /// What a dry run learns does not depend on the salts, and it makes none.
    fn salts(&self, subject: &SubjectId) -> Result<Salts, Problem> {
        let none = SubjectSalt::new([0; 32]);
        if self.dry_run {
            return Ok(Salts { subject: none.clone(), organisation: none });
        }
        salts(&self.service.store, subject).map_err(|error| Problem::internal(&error.to_string()))
    }
}

/// The events that are new to a baseline, which learns them.
fn new_to(baseline: &mut Baseline, part: &[LearnedEvent], told: Timestamp) -> (Vec<LearnedEvent>, Imported) {
    let (mut events, mut imported) = (Vec::new(), Imported::default());
    for event in part {
        if baseline.known_until().is_some_and(|known| event.at <= known) {
            imported.already_known += 1;
        } else if baseline.admits(event, told) {
            baseline.learn_told(event, told);
            imported.learn(event);
            events.push(event.clone());
        } else {
            imported.beyond_bounds += 1;
        }
    }
    (events, imported)
}
