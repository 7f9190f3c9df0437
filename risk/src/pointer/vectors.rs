//! The points and features that the browser's script is checked with too.

use countersign_sdk_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::*;

/// Made-up points, and what is measured of their actions. `UPDATE=1` writes the file anew.
#[derive(Serialize, Deserialize)]
struct Vectors {
    points: Vec<(i64, f64, f64, String)>,
    features: Vec<String>,
    actions: Vec<ActionFeatures>,
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/browser/vectors/pointer.json");

fn kind(name: &str) -> PointKind {
    match name {
        "move" => PointKind::Move,
        "drag" => PointKind::Drag,
        "press" => PointKind::Press,
        "release" => PointKind::Release,
        "wheel" => PointKind::Wheel,
        other => panic!("{other} is no kind of a point"),
    }
}

fn lines<T: Serialize>(rows: &[T]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<Vec<_>>().join(",\n")
}

#[test]
fn the_vectors_of_the_script_are_measured_alike() {
    let vectors: Vectors = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    let mut segmenter = Segmenter::default();
    let points = vectors.points.iter().map(|(at, x, y, name)| Point { at: Timestamp(*at), x: *x, y: *y, kind: kind(name) });
    let mut actions: Vec<_> = points.filter_map(|point| segmenter.push(point)).collect();
    actions.extend(segmenter.finish());
    let features = Feature::ALL.map(|feature| feature.name.to_owned());
    if std::env::var_os("UPDATE").is_some() {
        let (points, names) = (lines(&vectors.points), serde_json::to_string(&features).unwrap());
        std::fs::write(PATH, format!("{{\"points\":[\n{points}],\n\"features\":{names},\n\"actions\":[\n{}]}}\n", lines(&actions)))
            .unwrap();
        return;
    }
    assert_eq!(vectors.features, features);
    assert_eq!(vectors.actions, actions);
    assert!(
        actions.len() >= 8 && (0..FEATURES).all(|nth| actions.iter().any(|action| action.values()[nth].is_some())),
        "too little is measured"
    );
}
