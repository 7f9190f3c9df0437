//! Measures the risk engine on a labelled corpus of access events, in time order, as it would meet them: scored first, offered for learning after.
//! Labels judge, and say who passes a step-up; they never reach the engine.

mod corpus;
mod metrics;
pub mod pointer;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use countersign_risk::{
    Assessment, Baseline, BindingState, Failures, Posture, RawSighting, Sighting, Strength, SubjectSalt, Weights, observe, score,
};
use countersign_sdk_types::{DeviceId, Place, PlaceGap, Reason, RiskScore, SessionId};
use serde::Serialize;

pub use corpus::{CorpusError, Event, Lines, Login};
pub use metrics::{Attacker, Report, Walk};

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
    judged: metrics::Judge,
}

impl Evaluation {
    /// Nothing is learned yet. From `threshold` on, a proof is asked for.
    #[must_use]
    pub fn new(weights: Weights, threshold: RiskScore) -> Self {
        Self { weights, threshold, baselines: BTreeMap::new(), judged: metrics::Judge::default() }
    }

    /// Scores an event, and only then lets the engine learn what it would have verified.
    ///
    /// # Errors
    /// When a name in the event is none.
    pub fn take(&mut self, event: &Event) -> Result<Scored, CorpusError> {
        let sighting = sighting(event)?;
        let baseline = self.baselines.entry(event.subject.clone()).or_insert_with(Baseline::empty);
        let assessment: Assessment = score(&observe(&sighting, baseline), &self.weights);
        let (inherent, step_up) = (assessment.inherent(), assessment.inherent() >= self.threshold);
        if let Some(strength) = verified(event, step_up) {
            baseline.learn(&sighting.learned(strength));
        }
        let i = self.judged.take(event, inherent, step_up);
        Ok(Scored { i, score: inherent, step_up, reasons: assessment.reasons().to_vec() })
    }

    /// How it came out.
    #[must_use]
    pub fn report(&self) -> Report {
        self.judged.report()
    }
}

/// What an event proves, by the rules of the corpus: more than the server learns from today, which is finished step-ups. Of attacks only a slow walk's steps are offered, as an engine would meet them; and a thief does not pass a step-up.
fn verified(event: &Event, step_up: bool) -> Option<Strength> {
    let is_genuine = event.label == "genuine";
    if !is_genuine && event.kind != "walk" {
        return None;
    }
    match (step_up, event.auth, binding(event)) {
        (true, _, _) => is_genuine.then_some(Strength::StepUp),
        (false, Login::Phr, _) => Some(Strength::StepUp),
        (false, _, BindingState::Proved) => Some(Strength::BoundLowRisk),
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
    let presented = match (&key, &cookie) {
        (Some(key), _) => Some((key, BindingState::Proved)),
        (None, Some(cookie)) => Some((cookie, BindingState::NotDeclared)),
        (None, None) => None,
    };
    let place = event.place.record().map_or(Place::Unknown(PlaceGap::NotFound), Place::Known);
    let session = SessionId::new(event.session.as_str()).map_err(name)?;
    let raw = RawSighting {
        at: event.t.0,
        address: event.ip.parse::<IpAddr>().ok(),
        place: &place,
        user_agent: Some(&event.user_agent),
        device: presented,
        session: &session,
        binding: binding(event),
        counter_regressed: false,
        posture: Posture::default(),
        failures: Failures::default(),
    };
    // One salt a subject, as the keyring has it; which one does not matter here.
    Ok(Sighting::new(&raw, &SubjectSalt::new(*blake3::hash(event.subject.as_bytes()).as_bytes())))
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

/// The attackers that a report lists, in its order.
pub const ATTACKERS: [&str; 8] = ["naive", "vpn", "targeted", "token_far", "token_near", "odd_hour", "bound_replay", "slow_walk"];

/// The labels that a corpus may hold.
fn is_label(label: &str) -> bool {
    label == "genuine" || ATTACKERS.contains(&label)
}

#[cfg(test)]
mod tests;
