//! The measures against numbers worked out by hand.

use super::*;

fn sorted(scores: &[u8]) -> Sorted {
    Sorted::of(scores.iter().copied())
}

#[test]
fn auc_counts_ties_half() {
    // Pairs: 30 beats 10, 20 and ties 30; 5 beats none. (2 + ½ + 0) / 6.
    let auc = sorted(&[10, 20, 30]).auc(&sorted(&[30, 5]));
    assert!((auc - 2.5 / 6.0).abs() < 1e-12, "{auc}");
    assert!((sorted(&[7, 7]).auc(&sorted(&[7])) - 0.5).abs() < 1e-12, "no better than chance");
}

#[test]
fn the_threshold_occurs_and_is_reached_by_no_more_than_the_rate() {
    let genuine = sorted(&[0, 0, 0, 0, 0, 0, 0, 0, 20, 40]);
    assert_eq!(genuine.threshold(0.1), Some(40));
    assert_eq!(genuine.threshold(0.2), Some(20));
    assert_eq!(genuine.threshold(0.05), None, "one in ten is more than one in twenty");
}

#[test]
fn the_price_is_at_the_lower_rank() {
    let attacks: Vec<u8> = (1..=100).collect();
    // ⌊0.01 × 99⌋ = 0: the lowest of a hundred; of 101 it is the second.
    assert_eq!(sorted(&attacks).quantile_lower(0.01), 1);
    let more: Vec<u8> = (0..=100).collect();
    assert_eq!(sorted(&more).quantile_lower(0.01), 1);
}

#[test]
fn the_median_is_of_logins_two_to_thirteen() {
    let mut judge = Judge::default();
    let logins = |flagged: usize| -> Vec<(u8, bool)> {
        let first = [(90, true)];
        let rest = (0..12).map(|at| (if at < flagged { 50 } else { 0 }, false));
        first.into_iter().chain(rest).chain([(90, true); 3]).collect()
    };
    for (subject, flagged) in [("a", 0), ("b", 3), ("c", 12)] {
        judge.logins.insert(subject.to_owned(), logins(flagged));
    }
    assert!((judge.median_of_12(50) - 3.0).abs() < 1e-12, "neither the first login counts nor the fourteenth");
    judge.logins.remove("c");
    assert!((judge.median_of_12(50) - 1.5).abs() < 1e-12, "of two, the middle");
}
