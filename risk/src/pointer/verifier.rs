//! The verifier: one logistic regression for all persons over two comparisons a feature.

use serde::{Deserialize, Serialize};

use super::counted::CountedAction;
use super::feature::{FEATURES, Feature};
use super::profile::PointerProfile;
use super::replay::replayed;
use super::window::{Background, Comparison, FeatureEvidence, Window};
use crate::Behavior;

/// Actions from which on a window says something; a person makes about ten a minute.
const ENOUGH: u32 = 20;
/// Log-odds are clipped to these nats.
const CLIP: (f64, f64) = (-1.5, 3.0);
/// What a repeated trace says, in nats.
const REPLAY: f64 = 3.0;
/// The newest actions of a session that are looked at.
pub const MOST_ACTIONS: usize = 500;

/// The weights of the verifier. The log-odds that somebody else moves the pointer are `bias` plus, over all features, the weighted mean
/// log-likelihood ratio and the weighted distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PointerWeights {
    bias: f64,
    likelihood: [f64; FEATURES],
    distance: [f64; FEATURES],
}

/// Weights as written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bias: f64,
    likelihood: [f64; FEATURES],
    distance: [f64; FEATURES],
}

/// A weight is not a number from −1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pointer weight is not a number from -1000 to 1000")]
pub struct WeightsRefused;

impl Default for PointerWeights {
    /// All features weigh the same, but for the device's report rate, which weighs nothing: a new mouse is no new person. A mean distance of 1
    /// counts like a mean likelihood of 1 nat. The actions of a session are far from independent, so that a mean of 0.04 nats an action, of 20 to
    /// 50 actions, makes somebody else as likely as not; each further 0.025 nats add one to the log-odds.
    fn default() -> Self {
        let each = |total: f64| {
            let counted = Feature::ALL.iter().filter(|feature| !feature.is_sampling).map(|_| 1.0).sum::<f64>();
            Feature::ALL.map(|feature| if feature.is_sampling { 0.0 } else { total / counted })
        };
        Self { bias: -1.5, likelihood: each(40.0), distance: each(40.0) }
    }
}

impl PointerWeights {
    /// Weights that were trained.
    ///
    /// # Errors
    /// When one is not a number from −1000 to 1000.
    pub fn new(bias: f64, likelihood: [f64; FEATURES], distance: [f64; FEATURES]) -> Result<Self, WeightsRefused> {
        let is_legal = |weight: &f64| weight.abs() <= 1000.0;
        let are_legal = likelihood.iter().chain(&distance).all(is_legal) && is_legal(&bias);
        if are_legal { Ok(Self { bias, likelihood, distance }) } else { Err(WeightsRefused) }
    }

    /// The log-odds of somebody else, in nats, not clipped.
    #[must_use]
    pub fn log_odds(&self, evidence: &[FeatureEvidence; FEATURES]) -> f64 {
        self.bias + self.parts(evidence).iter().sum::<f64>()
    }

    /// What each feature adds to the log-odds.
    fn parts(&self, evidence: &[FeatureEvidence; FEATURES]) -> [f64; FEATURES] {
        let mut parts = [0.0; FEATURES];
        let weights = self.likelihood.iter().zip(&self.distance);
        for (part, (evidence, (likelihood, distance))) in parts.iter_mut().zip(evidence.iter().zip(weights)) {
            *part = likelihood * evidence.likelihood + distance * evidence.distance;
        }
        parts
    }
}

impl From<PointerWeights> for Written {
    fn from(PointerWeights { bias, likelihood, distance }: PointerWeights) -> Self {
        Self { bias, likelihood, distance }
    }
}

impl TryFrom<Written> for PointerWeights {
    type Error = WeightsRefused;

    fn try_from(Written { bias, likelihood, distance }: Written) -> Result<Self, WeightsRefused> {
        Self::new(bias, likelihood, distance)
    }
}

/// Weights and the population that they were made for. The same for all persons of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointerVerifier {
    /// The weights.
    pub weights: PointerWeights,
    /// The population.
    pub background: Background,
}

/// What a window says of its person.
#[derive(Debug, Clone, PartialEq)]
pub struct PointerVerdict {
    /// The log-odds of somebody else, in nats, not clipped; absent where too few actions were made or learned.
    pub log_odds: Option<f64>,
    /// What each feature adds, in the order of [`Feature::ALL`].
    pub parts: [f64; FEATURES],
    /// Actions that were seen before.
    pub replayed: usize,
    /// Actions of the window.
    pub actions: u32,
    /// Whether the window was long enough.
    pub is_enough: bool,
}

impl PointerVerifier {
    /// The log-odds of somebody else for a window of any length, without a floor on what was made or learned: for measuring.
    #[must_use]
    pub fn log_odds(&self, profile: &PointerProfile, window: &Window) -> f64 {
        self.weights.log_odds(&Comparison::new(profile, &self.background).evidence(window))
    }

    /// Judges the newest actions of a session.
    #[must_use]
    pub fn judge(&self, profile: &PointerProfile, actions: &[CountedAction]) -> PointerVerdict {
        let newest = actions.get(actions.len().saturating_sub(MOST_ACTIONS)..).unwrap_or_default();
        let window = Window::of(newest);
        let is_enough = window.actions() >= ENOUGH;
        let parts = self.weights.parts(&Comparison::new(profile, &self.background).evidence(&window));
        let log_odds = (is_enough && profile.is_known()).then(|| self.weights.bias + parts.iter().sum::<f64>());
        PointerVerdict { log_odds, parts, replayed: replayed(profile, newest), actions: window.actions(), is_enough }
    }
}

impl PointerVerdict {
    /// The clipped log-odds, or what a repeated trace says if that is more. Zero where nothing is known.
    #[must_use]
    pub fn nats(&self) -> f64 {
        let moves = self.log_odds.map_or(0.0, |odds| odds.clamp(CLIP.0, CLIP.1));
        if self.replayed > 0 { moves.max(REPLAY) } else { moves }
    }

    /// What may be added to the sum of all signals: never below zero, since a client reports its own movements and can make them up.
    #[must_use]
    pub fn raise(&self) -> f64 {
        self.nats().max(0.0)
    }

    /// One sentence for people, with the three features that speak loudest for somebody else.
    #[must_use]
    pub fn text(&self) -> String {
        if self.replayed > 0 {
            return format!("{} movements of the pointer repeat earlier ones exactly", self.replayed);
        }
        match self.log_odds {
            None if self.is_enough => "too little is known of how the subject moves the pointer".to_owned(),
            None => format!("{} movements of the pointer are too few", self.actions),
            Some(odds) if odds <= 0.5 => "the pointer moves as the subject moves it".to_owned(),
            Some(_) => format!("the pointer moves unlike the subject: {}", self.loudest().join(", ")),
        }
    }

    fn loudest(&self) -> Vec<&'static str> {
        let mut parts: Vec<(f64, &str)> = self.parts.into_iter().zip(Feature::ALL.map(|feature| feature.name)).collect();
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        parts.into_iter().take(3).filter(|(part, _)| *part > 0.0).map(|(_, name)| name).collect()
    }

    /// What a decision is told: the nats that may be added, whether they come from a repetition, and one sentence.
    #[must_use]
    pub fn behavior(&self) -> Behavior {
        Behavior { nats: self.raise(), is_replay: self.replayed > 0, text: self.text() }
    }
}
