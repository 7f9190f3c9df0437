//! Why one event scored as it did, as plain data: what each signal said, and what the subject's past says of place and hour. `picture` draws it.

mod journey;

use std::fmt;

use countersign_pdp_engine::record::{Record, explain, rfc3339};
use countersign_risk::{Assessment, Familiarity, Hours, Known, Organisation, Sighting};
use countersign_sdk_types::{Country, RiskLevel, RiskScore, Signal, Timestamp};
use serde::Serialize;

pub use journey::{Journey, Leg, Spot};

/// The breakdown of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdown {
    /// Which event it was.
    pub event: String,
    /// Whose.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// What each signal said, the most points first.
    pub contributions: Vec<Contribution>,
    /// All nats.
    pub sum: f64,
    /// The score.
    pub score: RiskScore,
    /// What remained after live grants, where a server decided.
    pub remaining: Option<RiskScore>,
    /// What would remain after a passkey.
    pub after_passkey: RiskScore,
    /// What the subject's lists know of it.
    pub familiarity: Familiarity,
    /// What the organisation says of it.
    pub organisation: Organisation,
    /// The country of the event.
    pub country: Option<Country>,
    /// From where to where.
    pub journey: Journey,
    /// When the subject is expected; none while too little is known.
    pub hours: Option<Hours>,
}

/// What one signal said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Which.
    pub signal: Signal,
    /// Above zero speaks against the subject.
    pub nats: f64,
    /// The score is at least this; 100 for a hard rule.
    pub floor: RiskScore,
    /// Its share of the score.
    pub points: i8,
    /// A passkey answers it.
    pub answered: bool,
    /// One sentence.
    pub text: String,
}

/// Why a record has no breakdown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decision `{id}` was a {effect} before anything was scored: {why}")]
pub struct NothingScored {
    id: String,
    effect: &'static str,
    why: String,
}

impl Breakdown {
    /// Breaks an assessment down. `event` and `subject` are for people.
    #[must_use]
    pub fn of(event: String, subject: String, sighting: &Sighting, known: &Known<'_>, assessment: &Assessment) -> Self {
        let contributions = contributions(assessment);
        Self {
            event,
            subject,
            at: sighting.at,
            sum: contributions.iter().map(|one| one.nats).sum(),
            contributions,
            score: assessment.inherent(),
            remaining: None,
            after_passkey: assessment.remaining(&assessment.answerable()),
            familiarity: known.baseline.familiarity(sighting),
            organisation: known.organisation,
            country: sighting.country,
            journey: Journey::of(sighting, known),
            hours: known.baseline.hours(sighting.at),
        }
    }

    /// Breaks down what a server recorded.
    ///
    /// # Errors
    /// When the request was denied before it was scored.
    pub fn of_record(record: &Record) -> Result<Self, NothingScored> {
        let told = explain(record);
        let (Some(basis), Some(trace)) = (&record.basis, &record.trace) else {
            let why = told.detail.or(told.code.map(|code| code.to_string())).unwrap_or_default();
            return Err(NothingScored { id: record.id.to_string(), effect: told.effect.as_str(), why });
        };
        let facts = &basis.facts;
        let known = Known {
            baseline: &facts.baseline,
            organisation: facts.organisation,
            trail: facts.trail.as_ref(),
            behavior: facts.behavior.as_ref(),
            is_asked_when_unknown: true,
        };
        let event = format!("decision {}: {}", record.id, told.effect.as_str());
        let subject = told.subject.map(|subject| format!("{} of {}", subject.sub, subject.iss)).unwrap_or_default();
        let breakdown = Self::of(event, subject, &trace.sighting, &known, &trace.assessment);
        Ok(Self { remaining: Some(trace.remaining), ..breakdown })
    }
}

/// The evidence with its points, in the order of the reasons.
fn contributions(assessment: &Assessment) -> Vec<Contribution> {
    let reasons = assessment.reasons();
    let mut all: Vec<Contribution> = assessment
        .evidence()
        .items()
        .iter()
        .map(|item| {
            let reason = reasons.iter().find(|reason| reason.signal == item.signal && reason.text == item.text);
            Contribution {
                signal: item.signal,
                nats: item.nats,
                floor: item.floor,
                points: reason.map_or(0, |reason| reason.points),
                answered: item.signal.answered_by_passkey(),
                text: item.text.clone().into_owned(),
            }
        })
        .collect();
    all.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| b.nats.total_cmp(&a.nats)));
    all
}

/// What a score is called.
pub(crate) const fn level(score: RiskScore) -> &'static str {
    match score.level() {
        RiskLevel::Low => "low",
        RiskLevel::Medium => "medium",
        RiskLevel::High => "high",
    }
}

impl Contribution {
    /// What sets a floor, in words.
    pub(crate) fn rule(&self) -> Option<String> {
        match self.floor {
            RiskScore::MIN => None,
            RiskScore::MAX => Some("hard rule".to_owned()),
            least => Some(format!("at least {least}")),
        }
    }
}

impl Breakdown {
    /// What remains after grants and a passkey, in words.
    pub(crate) fn outlook(&self) -> String {
        let grants = self.remaining.map(|remaining| format!("{remaining} after live grants, ")).unwrap_or_default();
        format!("{} of 100 ({}); {grants}{} after a passkey", self.score, level(self.score), self.after_passkey)
    }

    /// What the subject's lists know of the event, in words: decayed events of each list.
    pub(crate) fn familiar(&self) -> String {
        let known = &self.familiarity;
        let lists = [
            ("address", known.address),
            ("prefix", known.prefix),
            ("network", known.network),
            ("country", known.country),
            ("device", known.device),
            ("client", known.client),
        ];
        let told = lists.map(|(name, weight)| match weight {
            None => format!("{name} –"),
            Some(weight) if weight > 0.0 => format!("{name} {weight:.1}"),
            Some(_) => format!("{name} new"),
        });
        format!("{:.1} events, of them {}", known.learned, told.join(", "))
    }

    /// How many others of the organisation use the same, in words.
    pub(crate) fn others(&self) -> String {
        let Organisation { prefix, network, device, churn } = self.organisation;
        let carrier = if churn.is_carrier() { " (a mobile carrier)" } else { "" };
        format!("who use the same: prefix {prefix}, network {network}{carrier}, device {device}")
    }

    /// How usual the hour is, in words.
    pub(crate) fn hour(&self) -> String {
        let Some(hours) = &self.hours else { return "too little is known of the subject's hours".to_owned() };
        let times = hours.half_hours.get(hours.now).copied().unwrap_or(0.0) * 48.0;
        format!("{} in {}, {times:.2} times as likely as an average half hour", half_hour(hours.now), hours.zone)
    }

    /// The legs of the journey, in words.
    pub(crate) fn legs(&self) -> Vec<String> {
        let Journey { here, verified, passed } = &self.journey;
        let country = self.country.map(|country| format!("{country}, ")).unwrap_or_default();
        let here = here.map_or_else(|| "no point is known".to_owned(), |here| here.to_string());
        let leg = |name: &str, leg: &Option<Leg>| match leg {
            Some(leg) => format!("{name} {leg}"),
            None => format!("{name} no point is known"),
        };
        vec![format!("here: {country}{here}"), leg("last verified:", verified), leg("session passed:", passed)]
    }
}

/// The half hour of the day, from 0, as a clock shows it.
pub(crate) fn half_hour(number: usize) -> String {
    let clock = |number: usize| format!("{:02}:{:02}", number / 2 % 24, number % 2 * 30);
    format!("{}–{}", clock(number), clock(number + 1))
}

impl fmt::Display for Breakdown {
    /// A table, with nothing yet done about what a terminal would obey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}, {}\n", self.event, rfc3339(self.at), self.subject)?;
        writeln!(f, "{:<10}  {:>6}  {:>6}  {:<8}  why", "signal", "nats", "points", "passkey")?;
        for one in &self.contributions {
            let answered = match (one.nats > 0.0 || one.floor > RiskScore::MIN, one.answered) {
                (false, _) => "",
                (true, true) => "answers",
                (true, false) => "does not",
            };
            let rule = one.rule().map(|rule| format!(" [{rule}]")).unwrap_or_default();
            writeln!(f, "{:<10}  {:>+6.2}  {:>6}  {answered:<8}  {}{rule}", one.signal.name(), one.nats, one.points, one.text)?;
        }
        writeln!(f, "{:<10}  {:>+6.2}  {:>6}\n", "sum", self.sum, self.score)?;
        writeln!(f, "score    {}", self.outlook())?;
        writeln!(f, "learned  {}", self.familiar())?;
        writeln!(f, "others   {}", self.others())?;
        writeln!(f, "hour     {}", self.hour())?;
        write!(f, "places   {}", self.legs().join("\n         "))
    }
}

#[cfg(test)]
pub(crate) mod tests;
