//! What a forecast says, as data.

use countersign_sdk_types::{RiskScore, Signal};
use serde::Serialize;

use super::Plan;
use super::curve::{Curve, Histogram};
use super::tally::{Side, Subject, Tally};
use crate::diff::{Answers, Budget};

/// People whom a list names.
const SHOWN: usize = 100;

/// Whose scores they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// Those of the log.
    Recorded,
    /// Those of the weights that were given.
    Weights,
}

/// What a log says about weights and thresholds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Decisions with a score on which something depended.
    pub decisions: u64,
    /// Their subjects.
    pub subjects: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Requests that were refused whatever their score.
    pub undecided: u64,
    /// Lines that are no record that this version reads.
    pub unreadable: u64,
    /// Decisions that another version made, which may score otherwise by the same weights.
    pub other_engine: u64,
    /// Decisions whose subjects, and whose sessions, are too many to be counted each.
    pub unnamed: u64,
    /// See above.
    pub uncounted: u64,
    /// What was answered then, by risk and policy.
    pub answered: Answers,
    /// What the budget leads to.
    pub found: Option<Found>,
    /// What thresholds come to.
    pub outlooks: Vec<Outlook>,
    /// Asked and denied decisions, and stopped sessions, for each threshold from 1 to 100, by each scoring.
    pub thresholds: Vec<Vec<[u64; 3]>>,
}

/// The threshold that keeps to a budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Found {
    /// How many decisions may be asked or denied.
    pub budget: Budget,
    /// The lowest threshold that keeps to it; `None` where none does.
    pub threshold: Option<RiskScore>,
}

/// What one threshold comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// By which scores.
    pub scoring: Scoring,
    /// From which score on a proof is asked for.
    pub threshold: RiskScore,
    /// Let through.
    pub passed: u64,
    /// Asked for a proof.
    pub asked: u64,
    /// Denied: no passkey, or none helps.
    pub denied: u64,
    /// Sessions of which a decision is asked or denied.
    pub sessions: u64,
    /// By signal that has to do with it, the one with the most points first.
    pub signals: Vec<Carried>,
    /// By the hour of the subjects' day, from midnight on.
    pub hours: Vec<Hour>,
    /// Subjects with a denied decision.
    pub locked_out: u64,
    /// Those with the most of these.
    pub locked_out_most: Vec<Person>,
    /// Subjects who are asked more often than is bearable.
    pub asked_often: u64,
    /// Those who are asked most.
    pub asked_most: Vec<Person>,
}

/// What one signal has to do with what is asked or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// The signal.
    pub signal: Signal,
    /// Stopped decisions in which it has points.
    pub speaks: u64,
    /// Its points in them.
    pub points: u64,
    /// Decisions that are stopped only because of it.
    pub alone: u64,
    /// Decisions that would be stopped, did it not speak for the subject.
    pub spared: u64,
}

/// One hour of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// Which.
    pub hour: u8,
    /// Decisions in it.
    pub decisions: u64,
    /// Asked for a proof.
    pub asked: u64,
    /// Denied.
    pub denied: u64,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Who.
    pub subject: String,
    /// They have a passkey.
    pub can_prove: bool,
    /// Their decisions.
    pub decisions: u64,
    /// Asked for a proof.
    pub asked: u64,
    /// Denied.
    pub denied: u64,
}

pub(super) fn forecast(tally: &Tally, plan: &Plan<'_>) -> Forecast {
    let last = tally.sides.len().saturating_sub(1);
    let decisions = tally.sides.first().map_or(0, |side| side.all.decisions());
    let found = plan.budget.map(|budget| Found { budget, threshold: tally.sides.get(last).and_then(|side| lowest(&side.all, budget)) });
    let mut columns: Vec<(usize, RiskScore)> = (0..=last).map(|side| (side, plan.threshold)).collect();
    columns.extend(found.and_then(|found| found.threshold).filter(|found| *found != plan.threshold).map(|found| (last, found)));
    let sessions: Vec<Histogram> = (0..=last).map(|side| tally.sessions_by(side)).collect();
    let outlook = |(side, threshold): (usize, RiskScore)| tally.outlook(side, threshold, sessions.get(side)?, plan.asked_more_than);
    let outlooks = columns.into_iter().filter_map(outlook).collect();
    let thresholds = tally.sides.iter().zip(&sessions).map(|(side, sessions)| {
        let at = |threshold| [side.all.asked(threshold), side.all.denied(threshold), sessions.from(threshold)];
        scores().map(at).collect()
    });
    Forecast {
        thresholds: thresholds.collect(),
        decisions,
        subjects: count(tally.subjects.len()),
        sessions: count(tally.sessions.len()),
        undecided: tally.undecided,
        unreadable: tally.unreadable,
        other_engine: tally.other_engine,
        unnamed: tally.unnamed,
        uncounted: tally.uncounted,
        answered: tally.answered,
        found,
        outlooks,
    }
}

/// Every threshold; at 0 all would be asked.
fn scores() -> impl Iterator<Item = RiskScore> {
    (1..=100).filter_map(|score| RiskScore::new(score).ok())
}

/// A higher threshold stops no more: the first that keeps to the budget is the lowest.
fn lowest(all: &Curve, budget: Budget) -> Option<RiskScore> {
    scores().find(|threshold| budget.holds(all.stopped(*threshold), all.decisions()))
}

impl Tally {
    fn sessions_by(&self, side: usize) -> Histogram {
        let mut by_score = Histogram::default();
        self.sessions.values().filter_map(|highest| highest.get(side)).for_each(|highest| by_score.add(*highest, 1));
        by_score
    }

    fn outlook(&self, side: usize, threshold: RiskScore, sessions: &Histogram, often: u32) -> Option<Outlook> {
        let Side { all, hours, signals } = self.sides.get(side)?;
        let mut signals: Vec<Carried> = signals
            .iter()
            .map(|(signal, carrier)| Carried {
                signal: *signal,
                speaks: carrier.speaks.from(threshold),
                points: carrier.points.from(threshold),
                alone: carrier.heard.from(threshold).saturating_sub(carrier.without.from(threshold)),
                spared: carrier.instead.from(threshold).saturating_sub(carrier.heard.from(threshold)),
            })
            .collect();
        signals.retain(|carried| carried.speaks + carried.alone + carried.spared > 0);
        signals.sort_by_key(|carried| (std::cmp::Reverse(carried.points), carried.signal));
        let hour = |(hour, curve): (u8, &Curve)| Hour {
            hour,
            decisions: curve.decisions(),
            asked: curve.asked(threshold),
            denied: curve.denied(threshold),
        };
        let people = || self.subjects.values().filter_map(|subject| subject.outlook(side, threshold));
        let (locked_out, locked_out_most) = most(people().filter(|person| person.denied > 0), |person| person.denied);
        let (asked_often, asked_most) = most(people().filter(|person| person.asked > u64::from(often)), |person| person.asked);
        Some(Outlook {
            scoring: if side == 0 { Scoring::Recorded } else { Scoring::Weights },
            threshold,
            passed: all.decisions().saturating_sub(all.stopped(threshold)),
            asked: all.asked(threshold),
            denied: all.denied(threshold),
            sessions: sessions.from(threshold),
            signals,
            hours: (0..24).zip(hours).map(hour).collect(),
            locked_out,
            locked_out_most,
            asked_often,
            asked_most,
        })
    }
}

impl Subject {
    fn outlook(&self, side: usize, threshold: RiskScore) -> Option<Person> {
        let curve = self.curves.get(side)?;
        Some(Person {
            subject: self.name.clone(),
            can_prove: self.can_prove,
            decisions: curve.decisions(),
            asked: curve.asked(threshold),
            denied: curve.denied(threshold),
        })
    }
}

/// How many there are, and those with the most.
fn most(people: impl Iterator<Item = Person>, by: impl Fn(&Person) -> u64) -> (u64, Vec<Person>) {
    let mut people: Vec<Person> = people.collect();
    let all = count(people.len());
    people.sort_by_key(|person| std::cmp::Reverse(by(person)));
    people.truncate(SHOWN);
    (all, people)
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
