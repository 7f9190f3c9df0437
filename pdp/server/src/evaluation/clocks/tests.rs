//! Clocks made here: what is drawn, what is known when, and what is refused.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const MONDAY: i64 = 1_772_409_600;

/// Persons in office hours, each some hours further east.
fn offices(persons: i64, days: i64) -> String {
    let lines = (0..persons).flat_map(|person| {
        let offset = person * 120 - 240;
        (0..days).map(move |day| {
            let local = 9 * HOUR + (day * 7 + person) % 8 * HOUR + day * 13 % 60 * 60;
            format!("p{person},{},{offset}\n", MONDAY + day * DAY + local - offset * 60)
        })
    });
    format!("person,t_utc,utc_offset_minutes\n{}", lines.collect::<String>())
}

fn parsed(text: &str) -> Clocks {
    Clocks::parse(text.as_bytes()).unwrap()
}

#[test]
fn office_workers_are_told_from_who_comes_at_night() {
    let report = evaluate(&parsed(&offices(5, 200)), 1).unwrap();
    assert_eq!((report.persons, report.events, report.scored), (5, 1_000, 750));
    let of = |model: &str| &report.models.iter().find(|row| row.model == model).unwrap().stopped;
    let [uniform, _, zone, later, night] = of("hour signal")[..] else { panic!("five attackers") };
    assert!(night.auc > 0.99 && night.tpr > 0.9, "{night:?}");
    assert!(later.auc > 0.9 && (0.6..0.9).contains(&uniform.auc), "{later:?} {uniform:?}");
    assert!((0.4..0.6).contains(&zone.auc), "everybody has the same habits: {zone:?}");
    let text = report.to_string();
    assert!(text.contains("seed 1\n") && text.contains("| hour signal |") && text.lines().count() == 9, "{text}");
}

#[test]
fn the_same_seed_draws_the_same() {
    let clocks = parsed(&offices(3, 60));
    let run = |seed| evaluate(&clocks, seed).unwrap().models;
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn attacks_are_what_they_are_called() {
    let (clocks, mut draws) = (parsed(&offices(5, 300)), Draws(3));
    let plan = plan(&clocks, &mut draws);
    let mut hours = std::collections::BTreeSet::new();
    for steps in &plan {
        assert_eq!(steps.iter().filter(|step| step.attacks.is_some()).count(), SCORED);
        assert!(steps.iter().take(WARM).all(|step| step.attacks.is_none()));
        for (before, step) in steps.iter().zip(&steps[1..]) {
            let Some([uniform, other, zone, later, night]) = step.attacks else { continue };
            let local = |at: i64| (at + before.start.offset).rem_euclid(DAY);
            let day = |at: i64| at.div_euclid(DAY);
            assert!([uniform, other, zone, night].iter().all(|at| day(*at) == day(step.start.at)), "the same day");
            assert!((8 * HOUR..=12 * HOUR).contains(&(later - step.start.at)));
            assert!((HOUR..5 * HOUR).contains(&local(night)));
            assert!((9 * HOUR..18 * HOUR).contains(&local(zone)), "office hours here");
            hours.insert(uniform.rem_euclid(DAY) / HOUR);
        }
    }
    assert_eq!(hours.len(), 24);
}

/// The scored event's own offset must not reach a model before it is learned.
#[test]
fn the_zone_of_a_scored_event_is_not_known() {
    let start = |day: i64, offset: i64| Start { at: MONDAY + day * DAY + 9 * HOUR, offset };
    let home: Vec<Start> = (0..40).map(|day| start(day, 0)).collect();
    let all = |last: i64| {
        let step = |start: &Start, attacks| Step { start: *start, attacks };
        let mut steps: Vec<Step> = home.iter().map(|start| step(start, None)).collect();
        steps.push(step(&start(40, last), Some([MONDAY + 40 * DAY; 5])));
        scores::<HourSignal>(&[steps])
    };
    assert_eq!(all(0), all(8 * HOUR));
}

#[test]
fn gzip_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("clocks.csv"), folder.path().join("clocks.csv.gz"));
    std::fs::write(&plain, offices(2, 40)).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(offices(2, 40).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    std::fs::write(&packed, &gzip).unwrap();
    assert_eq!(run(&plain, 1).unwrap(), run(&packed, 1).unwrap());
    std::fs::write(&packed, &gzip[..gzip.len() / 2]).unwrap();
    assert!(matches!(run(&packed, 1), Err(ClocksError::Io(_))), "a file that breaks off is none");
}

#[test]
fn what_is_no_session_start_is_refused_with_its_line() {
    let refused =
        |line: &str| Clocks::parse(format!("person,t_utc,utc_offset_minutes\np,1,0\n{line}\n").as_bytes()).unwrap_err().to_string();
    for line in ["p,1", "p,1,0,0", ",1,0", "p,one,0", "p,-1,0", "p,1,1081", "p,1,0.5", "p,9999999999999,0", "", "p,1,99999999999999999999"]
    {
        assert!(refused(line).starts_with("line 3 is no session start"), "{line}: {}", refused(line));
    }
    assert!(refused(&"x".repeat(100_000)).contains("more than 128 bytes"));
    let header = Clocks::parse("who,when\n".as_bytes()).unwrap_err().to_string();
    assert_eq!(header, "line 1 is no session start: the header is not `person,t_utc,utc_offset_minutes`");
    assert!(matches!(evaluate(&parsed(&offices(3, 20)), 1), Err(ClocksError::TooFew)));
}

#[test]
fn events_are_put_in_order() {
    let text = "person,t_utc,utc_offset_minutes\nb,30,0\na,20,60\nb,10,-60\n";
    let found: Vec<Vec<Start>> = parsed(text).persons().map(<[Start]>::to_vec).collect();
    let start = |at, offset| Start { at, offset };
    assert_eq!(found, [vec![start(20, 3_600)], vec![start(10, -3_600), start(30, 0)]]);
}
