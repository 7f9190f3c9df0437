//! Histograms of actions, and what two of them say about each other, feature by feature.

use serde::{Deserialize, Serialize};

use super::counted::CountedAction;
use super::feature::FEATURES;
use super::profile::PointerProfile;

/// Bins of a feature's histogram.
pub const BINS: usize = 16;
const WIDTH: f64 = 16.0;
/// Actions' worth of population that smooths a person's histogram.
const PRIOR: f64 = 32.0;
/// The expected distance between the distributions of n values and of what they are drawn from is this over √n: √(2/π) · π/8.
const NOISE: f64 = 0.313;
/// Shares below this are not told apart from zero.
const LEAST_SHARE: f64 = 1e-3;

/// The actions of a stretch of one session, counted: the order of actions never matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    counts: [[u32; BINS]; FEATURES],
    actions: u32,
}

impl Window {
    /// Counts actions.
    #[must_use]
    pub fn of<'a>(actions: impl IntoIterator<Item = &'a CountedAction>) -> Self {
        let mut window = Self { counts: [[0; BINS]; FEATURES], actions: 0 };
        for action in actions {
            window.actions = window.actions.saturating_add(1);
            for (counts, bin) in window.counts.iter_mut().zip(action.bins()) {
                if let Some(count) = bin.and_then(|bin| counts.get_mut(bin)) {
                    *count = count.saturating_add(1);
                }
            }
        }
        window
    }

    /// How many actions.
    #[must_use]
    pub const fn actions(&self) -> u32 {
        self.actions
    }
}

/// How a feature of a window speaks for somebody else. Zero where the window has no such feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureEvidence {
    /// The mean over the window's values of ln p(value | population) − ln p(value | person), in nats (Neyman & Pearson 1933).
    pub likelihood: f64,
    /// The mean distance between the cumulative distributions of window and person (Kolmogorov's distance, averaged over the bins as
    /// Cramér & von Mises do), from 0 to 1, less what so few values show by chance.
    pub distance: f64,
}

/// A person against a population, made ready for many windows.
#[derive(Debug, Clone)]
pub struct Comparison([[Bin; BINS]; FEATURES]);

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    /// ln p(bin | population) − ln p(bin | person).
    likelihood: f64,
    /// p(bin or below | person).
    cumulative: f64,
}

impl Comparison {
    /// Smooths the person's histograms by the population's and takes the logarithms.
    #[must_use]
    pub fn new(profile: &PointerProfile, background: &Background) -> Self {
        let mut all = [[Bin::default(); BINS]; FEATURES];
        for (bins, (own, population)) in all.iter_mut().zip(profile.histograms().iter().zip(&background.0)) {
            let learned: f64 = own.iter().map(|count| f64::from(*count)).sum();
            let mut cumulative = 0.0;
            for (bin, (own, population)) in bins.iter_mut().zip(own.iter().zip(population)) {
                let person = (f64::from(*own) + PRIOR * population) / (learned + PRIOR);
                cumulative += person;
                *bin = Bin { likelihood: libm::log(*population) - libm::log(person), cumulative };
            }
        }
        Self(all)
    }

    /// What each feature of a window says.
    #[must_use]
    pub fn evidence(&self, window: &Window) -> [FeatureEvidence; FEATURES] {
        let mut all = [FeatureEvidence::default(); FEATURES];
        for (evidence, (counts, bins)) in all.iter_mut().zip(window.counts.iter().zip(&self.0)) {
            *evidence = of_feature(counts, bins);
        }
        all
    }
}

fn of_feature(counts: &[u32; BINS], bins: &[Bin; BINS]) -> FeatureEvidence {
    let values: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if values == 0.0 {
        return FeatureEvidence::default();
    }
    let (mut likelihood, mut distance, mut cumulative) = (0.0, 0.0, 0.0);
    for (count, bin) in counts.iter().zip(bins) {
        let share = f64::from(*count) / values;
        cumulative += share;
        likelihood += share * bin.likelihood;
        distance += (cumulative - bin.cumulative).abs();
    }
    FeatureEvidence { likelihood, distance: distance / WIDTH - NOISE / libm::sqrt(values) }
}

/// How the population moves: the shares of each feature's bins, every person counting the same. Learned by a tenant from its own people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<[f64; BINS]>", into = "Vec<[f64; BINS]>")]
pub struct Background([[f64; BINS]; FEATURES]);

impl Default for Background {
    /// Nothing is known: all bins are alike.
    fn default() -> Self {
        Self::of([])
    }
}

impl Background {
    /// The mean of persons' histograms.
    #[must_use]
    pub fn of<'a>(profiles: impl IntoIterator<Item = &'a PointerProfile>) -> Self {
        let mut sums = [[0.0; BINS]; FEATURES];
        for profile in profiles {
            for (sum, own) in sums.iter_mut().zip(profile.histograms()) {
                let all: f64 = own.iter().map(|count| f64::from(*count)).sum();
                for (sum, count) in sum.iter_mut().zip(own) {
                    *sum += f64::from(*count) / all.max(1.0);
                }
            }
        }
        Self(sums.map(normalized))
    }
}

fn normalized(shares: [f64; BINS]) -> [f64; BINS] {
    let all: f64 = shares.iter().map(|share| share + LEAST_SHARE).sum();
    shares.map(|share| (share + LEAST_SHARE) / all)
}

impl From<Background> for Vec<[f64; BINS]> {
    fn from(background: Background) -> Self {
        background.0.to_vec()
    }
}

impl TryFrom<Vec<[f64; BINS]>> for Background {
    type Error = &'static str;

    fn try_from(shares: Vec<[f64; BINS]>) -> Result<Self, Self::Error> {
        if shares.iter().flatten().any(|share| !(0.0..=1.0).contains(share)) {
            return Err("a share of the background is not a number from 0 to 1");
        }
        let shares: [[f64; BINS]; FEATURES] = shares.try_into().map_err(|_| "the background has another number of features")?;
        // Shares that were saved add up to one already: smoothing them again would make reading change them.
        let is_normal = |row: &[f64; BINS]| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9 && row.iter().all(|share| *share > 0.0);
        Ok(Self(shares.map(|row| if is_normal(&row) { row } else { normalized(row) })))
    }
}
