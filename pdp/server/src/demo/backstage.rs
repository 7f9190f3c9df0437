//! The decision point behind the demonstration's scene: its clock, its journal, and its explanations.

use std::sync::Arc;

use countersign_pdp_demo::backstage::{ALICE, Backstage, CODE_LIFE, Later, Place as DemoPlace, TimeOfDay};
use countersign_pdp_demo::hand::{self, Browsing, Hand};
use countersign_pdp_demo::places::PlaceTable;
use countersign_pdp_demo::why::Why;
use countersign_pdp_engine::facts::DirectoryUser;
use countersign_pdp_engine::record::{Explanation, Record, explain};
use countersign_pdp_engine::request::{Client, Pep, RawCheck, RawHttp};
use countersign_pdp_store::{Expect, Receipt, StateEvent};
use countersign_risk::{Keyed, RawSighting, SessionTag, Sighting, Strength};
use countersign_sdk_types::{DecisionId, Millis, PepId, Place, PlaceGap, RiskScore, SessionId, Signal, SubjectId, Tenant, Timestamp};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Span, ZonedDateTime};

use super::colleagues;
use crate::behavior::Whose;
use crate::control::code;
use crate::directory::Directory;
use crate::pipeline::Pdp;

/// What the demonstration sees of its decision point.
pub(super) struct PdpBackstage {
    pdp: Arc<Pdp>,
    iss: String,
}

const PARIS: &str = "Europe/Paris";
/// When every run begins.
const BEFORE_WORK: TimeOfDay = TimeOfDay { hour: 9, minute: 59 };
/// Between two runs in one folder a day passes: no token, grant or code of the first is good in the second, and a traveller is home again.
const BETWEEN_RUNS: Millis = Millis(24 * 3_600_000);

impl PdpBackstage {
    pub(super) const fn new(pdp: Arc<Pdp>, iss: String) -> Self {
        Self { pdp, iss }
    }

    fn alice(&self) -> SubjectId {
        SubjectId { tenant: self.pdp.tenant.clone(), iss: self.iss.clone(), sub: ALICE.to_owned() }
    }

    /// Goes on after the last instant of an earlier run in the same folder: grants and codes of that run are over, what was learned lies behind.
    pub(super) async fn go_on(&self) -> Result<(), String> {
        let mark = self.pdp.store.view().clock_mark(&self.pdp.tenant).map_err(|error| error.to_string())?;
        if let Some(mark) = mark.filter(|mark| mark.after(BETWEEN_RUNS) > self.now()) {
            self.pdp.clock.advance(mark.after(BETWEEN_RUNS).since(self.now()));
            self.wait_until(BEFORE_WORK);
        }
        self.mark().await
    }

    /// Leaves the time of the story in the journal.
    pub(super) async fn mark(&self) -> Result<(), String> {
        self.marking().await.map(drop).map_err(|error| error.to_string())
    }

    fn marking(&self) -> Receipt {
        self.pdp.store.append(StateEvent::ClockMark { tenant: self.pdp.tenant.clone(), at: self.now() }, Expect::Any)
    }

    /// Five weeks of working days, four step-ups a day; of these, what lies after the last that is known.
    fn past(&self, agent: &str) -> Result<Vec<StateEvent>, String> {
        let (subject, now) = (self.alice(), in_paris(self.pdp.clock.now()));
        let known = self.pdp.store.view().baseline(&subject).map_err(|error| error.to_string())?.last().map(|last| last.at);
        let salts = self.pdp.salts(&subject).map_err(|denial| denial.to_string())?;
        let address = DemoPlace::Paris.address();
        let place = PlaceTable::demo().find(address).cloned().map_or(Place::Unknown(PlaceGap::NotFound), Place::Known);
        let days = (1..=35).rev().filter_map(|days| now.checked_sub(Span::new().days(days)).ok());
        let working = days.filter(|day| !is_weekend(day));
        let hours = working.flat_map(|day| [9, 10, 14, 16].map(|hour| day.with().hour(hour).minute(5).build().ok())).flatten();
        let instants = hours.map(|at| Timestamp(at.timestamp().as_millisecond())).filter(|at| known.is_none_or(|known| *at > known));
        let learned = instants.filter_map(|at| {
            let session = SessionId::new(format!("sid:past-{}", at.0)).ok()?;
            let raw = RawSighting { address: Some(address), user_agent: Some(agent), ..RawSighting::new(at, &place, &session) };
            Some(StateEvent::Learned { subject: subject.clone(), event: Sighting::new(&raw, &salts).learned(Strength::StepUp) })
        });
        Ok(learned.collect())
    }
}

impl Backstage for PdpBackstage {
    fn now(&self) -> Timestamp {
        self.pdp.clock.now()
    }

    fn clock(&self) -> String {
        clock(self.now())
    }

    fn time(&self) -> TimeOfDay {
        let now = in_paris(self.now());
        let part = |part: i8| u8::try_from(part).unwrap_or(0);
        TimeOfDay { hour: part(now.hour()), minute: part(now.minute()) }
    }

    fn wait_until(&self, time: TimeOfDay) {
        let now = in_paris(self.now());
        let by_day = time.hour >= 6;
        let candidates = (0..=7).filter_map(|days| {
            let day = now.checked_add(Span::new().days(days)).ok()?;
            day.with().hour(time.hour.try_into().ok()?).minute(time.minute.try_into().ok()?).second(0).build().ok()
        });
        let next = candidates.into_iter().find(|at| *at > now && !(by_day && is_weekend(at)));
        if let Some(next) = next {
            self.pdp.clock.advance(Timestamp(next.timestamp().as_millisecond()).since(self.now()));
            // On its way to the disk by now; nothing waits for it.
            drop(self.marking());
        }
    }

    fn remember(&self, agent: &str) -> Later<()> {
        let past = self.past(agent);
        let store = self.pdp.store.clone();
        Box::pin(async move {
            for event in past? {
                store.append(event, Expect::Any).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }

    fn enroll_code(&self) -> Later<String> {
        let (store, made) = (self.pdp.store.clone(), code::made(self.alice(), self.now().after(CODE_LIFE), "demo".to_owned()));
        Box::pin(async move {
            let (code, event) = made.ok_or("the system gives no random numbers")?;
            store.append(event, Expect::Any).await.map_err(|error| error.to_string())?;
            Ok(code)
        })
    }

    fn passkeys(&self) -> usize {
        self.pdp.store.view().credentials(&self.alice()).map_or(0, |all| all.len())
    }

    fn hand(&self, browsing: Browsing) -> Later<Option<Hand>> {
        let pdp = Arc::clone(&self.pdp);
        Box::pin(async move {
            // Nobody is at a pointer whose browser identifies nobody.
            let Ok(witnessed) = pdp.witness(check(&pdp.tenant, browsing)?).await else { return Ok(None) };
            let reasons = witnessed.witness.assessment.reasons();
            let pointer = reasons.iter().find(|reason| reason.signal == Signal::Behavior);
            let profile = pdp.store.view().pointer(witnessed.identified.subject()).map_err(|error| error.to_string())?;
            Ok(Some(Hand {
                score: witnessed.witness.assessment.inherent().value(),
                points: pointer.map_or(0, |reason| reason.points),
                says: pointer.map(|reason| reason.text.clone()),
                movements: pdp.behaviors.told(&Whose::from(&witnessed.identified)),
                known: profile.is_known(),
                asks_from: ASKS_FROM,
            }))
        })
    }

    fn learn_hand(&self, browsing: Browsing) -> Later<()> {
        let pdp = Arc::clone(&self.pdp);
        Box::pin(async move {
            let witnessed = pdp.witness(check(&pdp.tenant, browsing)?).await.map_err(|denial| denial.to_string())?;
            let (subject, whose) = (witnessed.identified.subject(), Whose::from(&witnessed.identified));
            if pdp.behaviors.told(&whose) < hand::ENOUGH {
                return Err("too few movements".to_owned());
            }
            let (moved, at) = (pdp.behaviors.end(&whose), pdp.clock.now());
            for lesson in colleagues::lessons(subject, pdp.store.view(), at) {
                pdp.store.append(lesson, Expect::Any).await.map_err(|error| error.to_string())?;
            }
            for (nth, part) in moved.chunks(moved.len().div_ceil(2)).enumerate() {
                let session = SessionTag::of(&SessionId::new(format!("sid:hand-{}-{nth}", at.0)).map_err(|error| error.to_string())?);
                let profile = pdp.store.view().pointer(subject).map_err(|error| error.to_string())?;
                let lesson = Box::new(profile.lesson(Keyed(session.0), part));
                let learned = StateEvent::PointerLearned { subject: subject.clone(), session, lesson, at };
                pdp.store.append(learned, Expect::Any).await.map_err(|error| error.to_string())?;
            }
            pdp.behaviors.renew(pdp.store.view(), &pdp.tenant).map_err(|error| error.to_string())
        })
    }

    fn why(&self, decision: &str) -> Option<Why> {
        let record = self.pdp.store.decision(&DecisionId::new(decision).ok()?).ok()??;
        let record: Record = serde_json::from_value(record).ok()?;
        Some(shown(explain(&record)))
    }
}

/// Where the starter policy begins to ask.
const ASKS_FROM: u8 = 30;
/// What is not the browser's own, or would identify the page's request rather than the person.
const NOT_ITS_OWN: [&str; 3] = ["host", "connection", "content-length"];

/// A visit of this browser to the application, as the payroll would see it.
fn check(tenant: &Tenant, browsing: Browsing) -> Result<RawCheck, String> {
    let Browsing { authority, headers, from } = browsing;
    let http = RawHttp {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority,
        target: "/payroll".to_owned(),
        headers: headers.into_iter().filter(|(name, _)| !NOT_ITS_OWN.contains(&name.as_str())).collect(),
        client: Client::Chain { peer: from, forwarded: None },
        client_certificate: None,
    };
    let id = PepId::new("hand").map_err(|error| error.to_string())?;
    let pep = Pep { id, asserts_subject: false, asserts_client: false, asserts: std::collections::BTreeSet::new() };
    Ok(RawCheck { tenant: tenant.clone(), pep, http: Some(http), asked: None })
}

fn shown(explanation: Explanation) -> Why {
    let text = explanation.to_string();
    Why {
        decision: explanation.id.to_string(),
        effect: explanation.effect,
        at: clock(explanation.at),
        client: explanation.asked.and_then(|asked| asked.client),
        detail: explanation.detail,
        risk: explanation.remaining.map(RiskScore::value),
        inherent: explanation.inherent.map(RiskScore::value),
        reasons: explanation.reasons,
        policy: explanation.policy,
        remedy: explanation.remedy,
        text,
    }
}

fn clock(at: Timestamp) -> String {
    in_paris(at).strftime("%a %H:%M").to_string()
}

/// Alice and bob are employees.
pub(super) fn directory() -> Directory {
    let employee = || DirectoryUser::new(Some("employee".to_owned()), []);
    Directory::of_users([ALICE, "bob"].map(|name| (name.to_owned(), employee())))
}

/// The next Tuesday, before work in Paris; today, if today is one.
pub(super) fn a_tuesday_morning(now: Timestamp) -> Timestamp {
    let now = in_paris(now);
    let tuesday = (0..7).filter_map(|days| now.checked_add(Span::new().days(days)).ok()).find(|day| day.weekday() == Weekday::Tuesday);
    let morning = tuesday.and_then(|day| day.with().hour(9).minute(59).second(0).build().ok()).unwrap_or(now);
    Timestamp(morning.timestamp().as_millisecond())
}

fn is_weekend(day: &ZonedDateTime) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn in_paris(at: Timestamp) -> ZonedDateTime {
    let zone = jiff::tz::db().get(PARIS).unwrap_or(TimeZone::UTC);
    ZonedDateTime::new(jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH), zone)
}
