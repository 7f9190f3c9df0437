//! How many attacks are told from genuine events: AUC, and the share that is caught where one genuine event in a hundred is asked.

use serde::Serialize;

/// The false-positive rate of the table.
const RATE: f64 = 0.01;

/// What a model does to one attacker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stopped {
    /// The chance that an attack scores above a genuine event, ties counting half (Mann-Whitney).
    pub auc: f64,
    /// The share of attacks above the lowest score that at most 1 % of genuine events exceed.
    pub tpr: f64,
}

pub(super) fn stopped(mut genuine: Vec<f64>, attacks: &[Vec<f64>]) -> Vec<Stopped> {
    genuine.sort_by(f64::total_cmp);
    let threshold = threshold(&genuine);
    let measured = attacks.iter().map(|scores| Stopped {
        auc: scores.iter().map(|score| below(&genuine, *score)).sum::<f64>() / whole(scores.len().max(1)),
        tpr: whole(scores.iter().filter(|score| **score > threshold).count()) / whole(scores.len().max(1)),
    });
    measured.collect()
}

/// The lowest genuine score that at most [`RATE`] of the genuine events exceed.
fn threshold(sorted: &[f64]) -> f64 {
    let exceeding = |score: &f64| whole(sorted.len() - sorted.partition_point(|other| other <= score)) <= RATE * whole(sorted.len());
    let first = sorted.partition_point(|score| !exceeding(score));
    sorted.get(first).copied().unwrap_or(f64::INFINITY)
}

/// The share of genuine events below a score.
fn below(sorted: &[f64], score: f64) -> f64 {
    let (lower, upper) = (sorted.partition_point(|other| *other < score), sorted.partition_point(|other| *other <= score));
    (whole(lower) + whole(upper)) / 2.0 / whole(sorted.len().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a count of events below 2^53 is exact")]
const fn whole(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(genuine: &[f64], attacks: &[f64], auc: f64, tpr: f64) {
        let found = stopped(genuine.to_vec(), &[attacks.to_vec()])[0];
        assert!((found.auc - auc).abs() < 1e-12 && (found.tpr - tpr).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn pairs_are_counted_and_ties_are_halves() {
        check(&[1.0, 2.0], &[3.0, 4.0], 1.0, 1.0);
        check(&[3.0, 4.0], &[1.0, 2.0], 0.0, 0.0);
        check(&[1.0, 2.0], &[2.0, 0.0], 0.375, 0.0);
        check(&[0.0; 500], &[0.0; 500], 0.5, 0.0);
    }

    #[test]
    fn one_genuine_event_in_a_hundred_may_be_asked() {
        let genuine: Vec<f64> = (0..200_u8).map(f64::from).collect();
        check(&genuine, &[197.0, 197.5, 198.0, 300.0], (197.5 + 198.0 + 198.5 + 200.0) / 800.0, 0.75);
    }
}
