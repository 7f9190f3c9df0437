//! Revisions change under load: no answer is wrong, and no request fails. The command `policy-swap` measures the same at a higher rate, with times.

use countersign_tests::swap::{Options, Report, swap};

fn swapped(is_canary: bool, seconds: u32, every: u32) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(swap(Options { rate: 40, seconds, subjects: 200, is_canary, every })).unwrap()
}

#[test]
fn no_answer_is_wrong_and_none_is_missing_while_revisions_are_swapped() {
    let report = swapped(false, 12, 4);
    assert_eq!((report.asked, report.missed()), (480, Vec::new()), "{report:?}");
    assert_eq!(report.offered, 2, "{report:?}");
}

#[test]
fn no_answer_is_wrong_and_none_is_missing_while_a_canary_is_under_way() {
    let report = swapped(true, 24, 16);
    assert_eq!((report.asked, report.missed()), (960, Vec::new()), "{report:?}");
    assert!(report.swapping.count > 0, "both revisions decided for a while: {report:?}");
}
