//! Enforcement inside applications, with the real server behind it.

use countersign_tests::decision_points::{self, World, remote::Remote};

#[tokio::test]
async fn the_remote_decision_point_passes_the_suite() {
    let world = World::default();
    let remote = Remote::start(&world);
    decision_points::check(&world, &remote).await;
}
