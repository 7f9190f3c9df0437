//! Made-up people: what is read, what is refused, and that a hand is told from another.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::measures::Measures;
use super::*;

const HEADER: &str = "record_s,client_s,button,state,x,y\n";

/// A session of `n` clicks. A hand is its pace and how long it presses.
fn session(hand: u32, seed: u32, n: u32) -> String {
    let mut text = HEADER.to_owned();
    for action in 0..n {
        let start = f64::from(action) * 4.0;
        // The last term makes every movement one of its kind.
        let pace = f64::from(2 + hand * 3 + (action + seed) % 3) + 0.001 * f64::from(action * 20 + seed);
        let steps = 45 + (action * 7 + seed * 13) % 30;
        for step in 0..steps {
            let (at, x) = (start + f64::from(step) * 0.02, 100.0 + pace * f64::from(step));
            writeln!(text, "0,{at:.3},NoButton,Move,{x:.3},{:.0}", 300.0 + (x / 30.0).sin() * 9.0).unwrap();
        }
        let pressed = start + f64::from(steps) * 0.02;
        let released = pressed + 0.06 + 0.05 * f64::from(hand) + 0.001 * f64::from((action * 3 + seed) % 20);
        let x = 100.0 + pace * f64::from(steps);
        writeln!(text, "0,{pressed:.3},Left,Pressed,{x:.3},300\n0,{released:.3},Left,Released,{x:.3},300").unwrap();
    }
    text
}

fn made(person: &str, name: &str, hand: u32, seed: u32) -> Session {
    Session { person: person.into(), session: name.into(), actions: trace::actions(&session(hand, seed, 60)).unwrap() }
}

/// Four people; those with the smallest numbers differ most.
fn enrolled() -> Vec<Session> {
    (0..4).flat_map(|hand| (0..4).map(move |seed| made(&format!("p{hand}"), &format!("s{seed}"), hand, seed))).collect()
}

fn tested() -> Vec<Tested> {
    let one = |claimed: u32, by: u32| Tested { session: made(&format!("p{claimed}"), "t", by, 9 + claimed), is_other: claimed != by };
    (0..4).flat_map(|claimed| (0..4).map(move |by| one(claimed, by))).collect()
}

#[test]
fn a_hand_is_told_from_another() {
    let report = measure(&enrolled(), &tested(), &|_, _| {}).expect("a report");
    assert_eq!((report.people, report.training, report.sessions, report.others, report.silent), (4, 16, 16, 12, 0));
    for variant in &report.variants {
        assert_eq!((variant.sessions.n, variant.sessions.auc, variant.mean_auc), (16, 1.0, 1.0), "{}", variant.name);
        // Sixteen blocks: each pair has its own two people's blocks and what each of them makes as the other.
        assert_eq!((variant.weights_left_out.n, variant.all_left_out.n), (96, 96), "{}", variant.name);
    }
    // Two people are too few to train on, and a thin population; equal weights need nobody.
    let default = report.variants.last().expect("the default");
    assert!(default.weights_left_out.auc == 1.0 && default.all_left_out.auc > 0.9, "{default:?}");
    assert_eq!(report.repeated, 0);
    let mut recorded = tested();
    recorded[0].session.actions = enrolled()[0].actions.clone();
    assert_eq!(measure(&enrolled(), &recorded, &|_, _| {}).expect("a report").repeated, 1);
    let text = report.to_string();
    assert!(text.contains("| product default, equal weights | 1.0000 | 1.0000 | 0.0000 | 1.000 | 1.000 | 1.000 |"), "{text}");
    assert_eq!(measure(&enrolled(), &tested(), &|_, _| {}).expect("the same report"), report);
}

#[test]
fn two_people_are_too_few() {
    let two: Vec<Session> = enrolled().into_iter().filter(|session| session.person.as_str() < "p2").collect();
    let error = measure(&two, &tested(), &|_, _| {}).expect_err("refused");
    assert_eq!(error.to_string(), "to leave two people out, at least four are needed in the training folder");
}

#[test]
fn folders_are_read_gzip_or_plain() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |at: &str, text: &str| {
        let path = folder.path().join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for hand in 0..4 {
        for seed in 0..2 {
            write(&format!("train/p{hand}/s{seed}.csv"), &session(hand, seed, 60));
        }
        write(&format!("test/p{hand}/own.csv"), &session(hand, 9, 30));
        write(&format!("test/p{hand}/unlabelled.csv"), &session(hand, 8, 30));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(session((hand + 2) % 4, 9, 30).as_bytes()).unwrap();
        std::fs::write(folder.path().join(format!("test/p{hand}/other.csv.gz")), gzip.finish().unwrap()).unwrap();
    }
    let labels: String = (0..4).map(|hand| format!("p{hand},own,0\np{hand},other,1\n")).collect();
    write("labels.csv", &format!("user,session,is_illegal\n{labels}"));
    let path = |name: &str| folder.path().join(name);
    let report = run(&path("train"), &path("test"), &path("labels.csv"), &|_, _| {}).expect("a report");
    assert_eq!((report.training, report.sessions, report.others), (8, 8, 4));
    assert_eq!(report.variants[0].sessions.auc, 1.0);
    write("labels.csv", "user,session,is_illegal\np0,own,yes\n");
    let error = run(&path("train"), &path("test"), &path("labels.csv"), &|_, _| {}).expect_err("refused").to_string();
    assert!(error.ends_with("labels.csv: line 2 is refused: not `user,session,is_illegal` with 0 or 1"), "{error}");
}

#[test]
fn the_oddities_of_a_recorder_are_overlooked() {
    let clean = trace::actions(&session(1, 1, 3)).unwrap();
    let mut lines: Vec<String> = session(1, 1, 3).lines().map(str::to_owned).collect();
    lines.insert(9, "0,0.150,NoButton,Move,65535,65535".to_owned());
    lines.insert(12, "0,0.200,Scroll,Down,0,0".to_owned());
    lines.insert(14, "0,0.210,NoButton,Up,0,0".to_owned());
    assert_eq!(trace::actions(&lines.join("\n")).unwrap(), clean);
    assert_eq!(clean.len(), 3);
}

#[test]
fn a_line_that_is_no_event_is_refused() {
    let check = |text: &str, line: usize, why: &str| assert_eq!(trace::actions(text).expect_err(text), (line, why.to_owned()));
    check("client_s,button,state,x\n", 1, "no column `y`");
    check("", 1, "no column `client_s`");
    for (line, why) in [
        ("0,0.1,NoButton,Move,3", "too few columns"),
        ("0,soon,NoButton,Move,3,4", "`soon` is no number"),
        ("0,NaN,NoButton,Move,3,4", "`NaN` is no number"),
        ("0,1e12,NoButton,Move,3,4", "`1000000000000` is no time of a session"),
        ("0,0.1,NoButton,Hover,3,4", "`Hover` is no state of a pointer"),
    ] {
        check(&format!("{HEADER}0,0,NoButton,Move,1,1\n{line}\n"), 3, why);
    }
}

#[test]
fn measures_count_ties_half() {
    let check = |scores: &[Judged], auc: f64, eer: f64| {
        let measures = Measures::of(scores);
        assert_eq!((measures.auc, measures.eer), (auc, eer), "{scores:?}");
    };
    check(&[(2.0, true), (1.0, false)], 1.0, 0.0);
    check(&[(1.0, true), (2.0, false)], 0.0, 1.0);
    check(&[(1.0, true), (1.0, false)], 0.5, 0.5);
    check(&[(3.0, true), (1.0, true), (2.0, false), (0.0, false)], 0.75, 0.5);
    check(&[(3.0, true)], 0.0, 0.0);
    assert_eq!(Measures::of(&[(3.0, true), (1.0, true), (2.0, false), (0.0, false)]).tpr, [0.5; 3]);
}

#[test]
fn a_regression_finds_what_parts_two_classes() {
    let lines: Vec<(Vec<f64>, bool)> = (0..200)
        .map(|nth| (vec![f64::from(nth % 10) + if nth % 4 == 0 { 6.0 } else { 0.0 }, f64::from(nth % 7), 1.0], nth % 4 == 0))
        .collect();
    let rows: Vec<Row<'_>> = lines.iter().map(|(columns, is_other)| (columns.as_slice(), *is_other)).collect();
    let Logistic { bias, weights } = Logistic::train(&rows);
    assert!(weights[0] > 0.2 && weights[1].abs() < 0.1 && bias < 0.0, "{bias} {weights:?}");
    // A column that never changes weighs nothing.
    assert_eq!(weights[2], 0.0);
    assert_eq!(Logistic::train(&[]), Logistic { bias: 0.0, weights: vec![] });
}
