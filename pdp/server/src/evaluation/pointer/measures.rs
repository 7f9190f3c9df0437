//! How well scores part somebody else's sessions from the owner's.

use serde::Serialize;

/// The false-positive rates of the table.
pub(super) const RATES: [f64; 3] = [0.01, 0.05, 0.10];

/// What is said of a list of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// Scores.
    pub n: usize,
    /// The chance that somebody else scores above the owner (Mann–Whitney, ties counting half).
    pub auc: f64,
    /// The rate at which as many owners are flagged as others are missed.
    pub eer: f64,
    /// Others flagged when 1, 5 and 10 % of owners are.
    pub tpr: [f64; 3],
}

/// A score with the truth: whether somebody else made it.
pub(super) type Judged = (f64, bool);

impl Measures {
    /// Measures scores; zeros where one side is empty.
    pub(super) fn of(scores: &[Judged]) -> Self {
        let curve = curve(scores);
        let mut auc = 0.0;
        for pair in curve.windows(2) {
            if let [(x0, y0), (x1, y1)] = pair {
                auc += (x1 - x0) * f64::midpoint(*y0, *y1);
            }
        }
        let gap = |point: &(f64, f64)| (point.0 - (1.0 - point.1)).abs();
        let nearest = curve.iter().min_by(|a, b| gap(a).total_cmp(&gap(b)));
        let tpr = RATES.map(|rate| curve.iter().filter(|point| point.0 <= rate).map(|point| point.1).fold(0.0, f64::max));
        Self { n: scores.len(), auc, eer: nearest.map_or(0.0, |(fpr, tpr)| f64::midpoint(*fpr, 1.0 - tpr)), tpr }
    }
}

/// The points (owners flagged, others flagged), as the threshold falls; empty where one side is.
fn curve(scores: &[Judged]) -> Vec<(f64, f64)> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let others = count(sorted.iter().filter(|(_, is_other)| *is_other).count());
    let owners = count(sorted.len()) - others;
    if others == 0.0 || owners == 0.0 {
        return Vec::new();
    }
    let mut points = vec![(0.0, 0.0)];
    let (mut false_positives, mut true_positives) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let hits = count(tied.iter().filter(|(_, is_other)| *is_other).count());
        true_positives += hits;
        false_positives += count(tied.len()) - hits;
        points.push((false_positives / owners, true_positives / others));
    }
    points
}

pub(super) fn count(of: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
}
