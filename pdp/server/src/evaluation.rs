//! Measures the risk engine on a labelled corpus of access events, in time order, as it would meet them: scored first, offered for learning after.
//! Labels judge, and say who passes a step-up; they never reach the engine.

pub mod clocks;
mod corpus;
mod look;
mod metrics;
pub mod pointer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use countersign_risk::{
    Assessment, Baseline, BindingState, Known, Organisation, RawSighting, Salts, SessionTag, Settled, Sharing, Sighting, Strength,
    SubjectSalt, Thing, Trail, Weights, observe, score,
};
use countersign_sdk_types::{DeviceId, Place, PlaceGap, Reason, RiskScore, SessionId, Signal};
use serde::Serialize;

use crate::clock::Stopwatch;

pub use corpus::{CorpusError, Event, Instant, Lines, Login};
pub use look::{Look, look};
pub use metrics::{Ablation, Attacker, Report, Rule, Walk};

/// One scored event.
#[derive(Debug, Clone, Serialize)]
pub struct Scored {
    /// The line of the corpus, from 0.
    pub i: usize,
    /// The score.
    pub score: RiskScore,
    /// The engine would ask for a proof.
    pub step_up: bool,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// The engine with what it has learned of each subject of a corpus.
#[derive(Debug)]
pub struct Evaluation {
    weights: Weights,
    threshold: RiskScore,
    baselines: BTreeMap<String, Baseline>,
    trails: BTreeMap<(String, SessionTag), Trail>,
    organisation: BTreeMap<Thing, Sharing>,
    judged: metrics::Judge,
    /// How long scoring and learning took, without reading the corpus.
    spent: Duration,
}

impl Evaluation {
    /// Nothing is learned yet. From `threshold` on, a proof is asked for.
    #[must_use]
    pub fn new(weights: Weights, threshold: RiskScore) -> Self {
        Self {
            weights,
            threshold,
            baselines: BTreeMap::new(),
            trails: BTreeMap::new(),
            organisation: BTreeMap::new(),
            judged: metrics::Judge::default(),
            spent: Duration::ZERO,
        }
    }

    /// Scores an event, and only then lets the engine learn what it would have verified.
    ///
    /// # Errors
    /// When a name in the event is none.
    pub fn take(&mut self, event: &Event) -> Result<Scored, CorpusError> {
        let sighting = sighting(event)?;
        let watch = Stopwatch::start();
        let assessment = self.assess(event, &sighting);
        let (inherent, step_up) = (assessment.inherent(), assessment.inherent() >= self.threshold);
        let i = self.judged.take(event, &assessment, step_up);
        self.offer(event, &sighting, step_up);
        self.spent += watch.elapsed();
        Ok(Scored { i, score: inherent, step_up, reasons: assessment.reasons() })
    }

    fn assess(&mut self, event: &Event, sighting: &Sighting) -> Assessment {
        let baseline = self.baselines.entry(event.subject.clone()).or_default();
        teach(&mut self.organisation, &baseline.settle(sighting.at));
        let organisation = asked(&self.organisation, sighting);
        let trail = self.trails.get(&(event.subject.clone(), sighting.session));
        // Everybody in a corpus passes a step-up who is who they say, so everybody can be asked.
        let known = Known { baseline, organisation, trail, behavior: None, is_asked_when_unknown: true };
        score(observe(sighting, &known, &self.weights), &self.weights.calibration)
    }

    /// Of attacks only a slow walk's steps are offered, as an engine would meet them; and a thief does not pass a step-up.
    fn offer(&mut self, event: &Event, sighting: &Sighting, step_up: bool) {
        let is_genuine = event.label == "genuine";
        if !is_genuine && (event.kind != "walk" || step_up) {
            return;
        }
        let trail = self.trails.entry((event.subject.clone(), sighting.session)).or_insert_with(|| Trail::begin(sighting));
        if !step_up {
            trail.pass(sighting);
        }
        let baseline = self.baselines.entry(event.subject.clone()).or_default();
        let is_continuous = sighting.key.is_some_and(|key| baseline.knows_device(key));
        let Some(strength) = verified(event, step_up, is_continuous) else { return };
        teach(&mut self.organisation, &baseline.learn(&sighting.learned(strength)));
    }

    /// How it came out.
    #[must_use]
    pub fn report(&self) -> Report {
        #[expect(clippy::cast_precision_loss, reason = "a time and a count, for people")]
        let nanos = self.spent.as_nanos() as f64 / self.judged.events().max(1) as f64;
        Report { nanos, ..self.judged.report() }
    }
}

fn asked(organisation: &BTreeMap<Thing, Sharing>, sighting: &Sighting) -> Organisation {
    let Ok(asked) = Organisation::of(sighting, |thing| Ok::<_, Infallible>(organisation.get(&thing).cloned()));
    asked
}

fn teach(organisation: &mut BTreeMap<Thing, Sharing>, settled: &[Settled]) {
    for event in settled {
        event.things().for_each(|thing| organisation.entry(thing).or_default().learn(event));
    }
}

/// What an event that was let through proves: a step-up, how its login was done, or a key that the subject proved before.
fn verified(event: &Event, step_up: bool, is_continuous: bool) -> Option<Strength> {
    match (step_up, event.auth, binding(event)) {
        (true, _, _) => Some(Strength::StepUp),
        (false, Login::Phr, _) => Some(Strength::PhishingResistant),
        (false, Login::Mfa, _) => Some(Strength::SecondFactor),
        (false, _, BindingState::Proved) if is_continuous => Some(Strength::BoundLowRisk),
        _ => None,
    }
}

fn binding(event: &Event) -> BindingState {
    match (&event.cnf, &event.device.key) {
        (None, _) => BindingState::NotDeclared,
        (Some(declared), Some(proved)) if declared == proved => BindingState::Proved,
        (Some(_), Some(_)) => BindingState::Mismatch,
        (Some(_), None) => BindingState::Missing,
    }
}

fn sighting(event: &Event) -> Result<Sighting, CorpusError> {
    let name = |error: countersign_sdk_types::IdError| CorpusError::Name(error.to_string());
    let device = |id: &Option<String>| id.as_deref().map(DeviceId::new).transpose().map_err(name);
    let (key, cookie) = (device(&event.device.key)?, device(&event.device.cookie)?);
    let place = event.place.record().map_or(Place::Unknown(PlaceGap::NotFound), Place::Known);
    let session = SessionId::new(event.session.as_str()).map_err(name)?;
    let raw = RawSighting {
        address: event.ip.parse::<IpAddr>().ok(),
        user_agent: Some(&event.user_agent),
        cookie: cookie.as_ref(),
        key: key.as_ref(),
        binding: binding(event),
        ..RawSighting::new(event.t.0, &place, &session)
    };
    // One salt a subject, as the keyring has it; which one does not matter here.
    let salt = |name: &str| SubjectSalt::new(*blake3::hash(name.as_bytes()).as_bytes());
    Ok(Sighting::new(&raw, &Salts { subject: salt(&event.subject), organisation: salt("") }))
}

/// Runs a whole corpus; `each` sees every scored event and how far the file is read.
///
/// # Errors
/// When the file cannot be read, or a line is no event.
pub fn run(
    corpus: &Path,
    weights: Weights,
    threshold: RiskScore,
    mut each: impl FnMut(&Scored, u64) -> Result<(), CorpusError>,
) -> Result<Report, CorpusError> {
    let mut lines = Lines::open(corpus)?;
    let mut evaluation = Evaluation::new(weights, threshold);
    while let Some(event) = lines.next_event()? {
        let scored = evaluation.take(&event)?;
        each(&scored, lines.bytes_read())?;
    }
    Ok(evaluation.report())
}

/// The signals that a corpus can show, one of which is left out in each run of an ablation.
pub const ABLATED: [Signal; 6] = [Signal::Travel, Signal::Network, Signal::Device, Signal::Client, Signal::Session, Signal::Hour];

/// Runs a corpus without one signal.
///
/// # Errors
/// As [`run`].
pub fn without(
    signal: Signal,
    corpus: &Path,
    weights: &Weights,
    threshold: RiskScore,
    mut each: impl FnMut(u64),
) -> Result<Ablation, CorpusError> {
    let mut weights = weights.clone();
    weights.factors.insert(signal, 0.0);
    let report = run(corpus, weights, threshold, |_, read| {
        each(read);
        Ok(())
    })?;
    Ok(Ablation { without: signal, stopped: report.attackers.iter().map(|attacker| attacker.tpr[2]).collect() })
}

/// The attackers that a report lists, in its order.
pub const ATTACKERS: [&str; 8] = ["naive", "vpn", "targeted", "token_far", "token_near", "odd_hour", "bound_replay", "slow_walk"];

/// The labels that a corpus may hold.
fn is_label(label: &str) -> bool {
    label == "genuine" || ATTACKERS.contains(&label)
}

#[cfg(test)]
mod tests;
