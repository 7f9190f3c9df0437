//! What is counted of a log: bounded, whatever the log holds.

use std::collections::BTreeMap;

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::Scored;
use countersign_risk::Assessment;
use countersign_sdk_types::{RiskScore, SessionId, Signal, SubjectId};

use super::curve::{Curve, Histogram};
use crate::diff::{Answers, effect};

/// Subjects that are counted by name, and sessions that are counted.
const MOST_SUBJECTS: usize = 50_000;
const MOST_SESSIONS: usize = 1_000_000;
/// The longest name of a subject that is kept, in characters: a log may hold longer ones.
const LONGEST: usize = 256;

/// What is counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) undecided: u64,
    pub(super) unreadable: u64,
    pub(super) other_engine: u64,
    /// Decisions of subjects, and of sessions, that came when enough were counted.
    pub(super) unnamed: u64,
    pub(super) uncounted: u64,
    pub(super) answered: Answers,
    pub(super) sides: Vec<Side>,
    pub(super) subjects: BTreeMap<String, Subject>,
    /// The highest score of each session, by each scoring.
    pub(super) sessions: BTreeMap<u64, [RiskScore; 2]>,
}

/// The decisions by one scoring.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) all: Curve,
    /// By the hour of the subject's day.
    pub(super) hours: [Curve; 24],
    pub(super) signals: BTreeMap<Signal, Carrier>,
}

/// The decisions for which one signal said something.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    /// By their score.
    pub(super) heard: Histogram,
    /// By their score, where the signal has points.
    pub(super) speaks: Histogram,
    /// The points, by the score.
    pub(super) points: Histogram,
    /// By the lower of their score and what it would be without the signal; and by the higher.
    pub(super) without: Histogram,
    pub(super) instead: Histogram,
}

/// The decisions of one subject.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) can_prove: bool,
    pub(super) curves: Vec<Curve>,
}

impl Tally {
    pub(super) fn new(sides: usize) -> Self {
        Self {
            undecided: 0,
            unreadable: 0,
            other_engine: 0,
            unnamed: 0,
            uncounted: 0,
            answered: Answers::default(),
            sides: std::iter::repeat_with(Side::default).take(sides).collect(),
            subjects: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Counts one decision, as each scoring has it.
    pub(super) fn add<'a>(
        &mut self,
        answer: &Summary,
        (subject, session): (&SubjectId, &SessionId),
        scorings: impl Iterator<Item = &'a Scored> + Clone,
    ) {
        self.answered.count(effect(answer), 1);
        for (side, scored) in self.sides.iter_mut().zip(scorings.clone()) {
            side.add(scored);
        }
        self.of_session(subject, session, scorings.clone());
        self.of_subject(subject, scorings);
    }

    fn of_session<'a>(&mut self, subject: &SubjectId, session: &SessionId, scorings: impl Iterator<Item = &'a Scored>) {
        let key = key(subject, session);
        if self.sessions.len() >= MOST_SESSIONS && !self.sessions.contains_key(&key) {
            self.uncounted += 1;
            return;
        }
        let highest = self.sessions.entry(key).or_insert([RiskScore::MIN; 2]);
        highest.iter_mut().zip(scorings).for_each(|(highest, scored)| *highest = scored.remaining.max(*highest));
    }

    fn of_subject<'a>(&mut self, subject: &SubjectId, scorings: impl Iterator<Item = &'a Scored>) {
        let key = format!("{}\0{}\0{}", subject.tenant, subject.iss, subject.sub);
        if self.subjects.len() >= MOST_SUBJECTS && !self.subjects.contains_key(&key) {
            self.unnamed += 1;
            return;
        }
        let sides = self.sides.len();
        let named = self.subjects.entry(key).or_insert_with(|| Subject {
            name: subject.sub.chars().take(LONGEST).collect(),
            can_prove: false,
            curves: vec![Curve::default(); sides],
        });
        for (curve, scored) in named.curves.iter_mut().zip(scorings) {
            curve.add(scored);
            named.can_prove = scored.can_prove;
        }
    }
}

impl Side {
    fn add(&mut self, scored: &Scored) {
        self.all.add(scored);
        if let Some(hour) = self.hours.get_mut(scored.half_hour / 2) {
            hour.add(scored);
        }
        let score = scored.remaining;
        for (signal, points) in points(&scored.assessment) {
            let carrier = self.signals.entry(signal).or_default();
            let without = scored.without(signal);
            carrier.heard.add(score, 1);
            carrier.speaks.add(score, u64::from(points > 0));
            carrier.points.add(score, points);
            carrier.without.add(score.min(without), 1);
            carrier.instead.add(score.max(without), 1);
        }
    }
}

/// The points of each signal that said something.
fn points(assessment: &Assessment) -> BTreeMap<Signal, u64> {
    let mut points = BTreeMap::new();
    for reason in assessment.reasons() {
        *points.entry(reason.signal).or_default() += u64::try_from(reason.points).unwrap_or(0);
    }
    points
}

fn key(subject: &SubjectId, session: &SessionId) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("countersign forecast 1");
    for part in [subject.tenant.as_str(), &subject.iss, &subject.sub, session.as_str()] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
