//! A kept allow is given without an allocation.

#[path = "../benches/lease/served.rs"]
mod served;

use countersign_sdk_client::Question;

#[test]
fn a_hit_allocates_nothing() {
    let (client, _runtime) = served::client();
    let question = Question::new(served::request());
    assert!(served::hit(&client, &question), "the first writes the question out");
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| assert!(served::hit(&client, &question))));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    // It counts: a question that is built anew does allocate.
    let counted = allocation_counter::measure(|| assert!(served::hit(&client, &Question::new(served::request()))));
    assert!(counted.count_total > 0, "{counted:?}");
}
