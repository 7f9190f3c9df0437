//! Looks for an input on which two readers differ, and makes it small.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// How many inputs are compared before anybody looks: what differs is mostly found early.
const BATCH: usize = 250;
/// How many smaller inputs are tried when a difference is to be shown.
const SHRINKING: usize = 2_000;

/// An input on which they differ, how, and the plainest input that there is.
#[derive(Debug)]
pub(super) struct Found<I, D> {
    pub(super) input: I,
    pub(super) difference: D,
    pub(super) plainest: I,
}

/// Compares `count` generated inputs, the same in every run; `compare` answers for each input whether there is a difference.
pub(super) fn first_difference<S: Strategy, D>(
    strategy: &S,
    count: usize,
    mut compare: impl FnMut(&[S::Value]) -> Vec<Option<D>>,
) -> Option<Found<S::Value, D>> {
    let mut runner = TestRunner::deterministic();
    for _ in 0..count.div_ceil(BATCH) {
        let mut trees: Vec<_> = (0..BATCH).map(|_| strategy.new_tree(&mut runner).unwrap()).collect();
        let inputs: Vec<S::Value> = trees.iter().map(ValueTree::current).collect();
        let answers = compare(&inputs);
        assert_eq!(answers.len(), inputs.len(), "every input is compared");
        if let Some(at) = answers.iter().position(Option::is_some) {
            let plainest = plainest(strategy.new_tree(&mut runner).unwrap());
            let (input, difference) = shrink(trees.swap_remove(at), |input| compare(std::slice::from_ref(input)).pop().flatten());
            return Some(Found { input, difference, plainest });
        }
    }
    None
}

fn plainest<T: ValueTree>(mut tree: T) -> T::Value {
    while tree.simplify() {}
    tree.current()
}

fn shrink<T: ValueTree, D>(mut tree: T, mut difference: impl FnMut(&T::Value) -> Option<D>) -> (T::Value, D) {
    let mut smallest = tree.current();
    let mut shown = difference(&smallest).expect("they differ again");
    let mut moved = tree.simplify();
    for _ in 0..SHRINKING {
        if !moved {
            break;
        }
        let smaller = tree.current();
        moved = match difference(&smaller) {
            Some(found) => {
                (smallest, shown) = (smaller, found);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    (smallest, shown)
}
