//! Corpora made here: what is learned, what is refused, and that labels stay outside.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

/// An owner at home with a passkey, each day at nine.
fn home(day: u32) -> Value {
    json!({
        "t": format!("2026-03-{day:02}T09:00:00Z"), "subject": "ada", "session": format!("s{day}"), "ip": "81.2.69.142", "user_agent": "Firefox",
        "timezone": "Europe/London", "device": {"cookie": "laptop", "key": null}, "cnf": null,
        "place": {"country": "GB", "lat": 51.5, "lon": -0.1, "radius_km": 20, "timezone": "Europe/London", "asn": 20712, "org_kind": "consumer"},
        "auth": "phr", "label": "genuine", "kind": "home",
    })
}

/// A thief far away with the owner's token.
fn far(day: u32) -> Value {
    let mut event = home(day);
    let thief = json!({
        "t": format!("2026-03-{day:02}T03:40:00Z"), "ip": "203.0.113.9", "user_agent": "curl", "device": {"cookie": null, "key": null},
        "place": {"country": "SG", "lat": 1.35, "lon": 103.8, "radius_km": 20, "timezone": "Asia/Singapore", "asn": 64500, "org_kind": "hosting"},
        "auth": "none", "label": "token_far", "kind": "attack",
    });
    for (name, value) in thief.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}

fn lines(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect()
}

fn evaluate(name: &str, bytes: &[u8]) -> Result<(Report, Vec<Scored>), CorpusError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    let mut all = Vec::new();
    let report = run(&path, Weights::default(), RiskScore::new(30).expect("a score"), |scored, _| {
        all.push(scored.clone());
        Ok(())
    })?;
    Ok((report, all))
}

fn days() -> Vec<Value> {
    (1..=10).map(home).chain([far(11)]).collect()
}

#[test]
fn a_stolen_token_far_away_is_stopped_and_its_owner_is_not() {
    let (report, scored) = evaluate("corpus.jsonl", &lines(&days())).expect("a report");
    assert_eq!((report.events, report.subjects, report.genuine, report.flagged), (11, 1, 5, 0.0));
    let attacker = report.attackers.first().expect("an attacker");
    assert_eq!((attacker.name, attacker.n, attacker.flagged, attacker.auc), ("token_far", 1, 1.0, 1.0));
    let thief = scored.last().expect("scored");
    let points: u32 = thief.reasons.iter().map(|reason| u32::try_from(reason.points).unwrap_or_default()).sum();
    assert!(thief.step_up && thief.i == 10 && points >= 30, "{thief:?}");
}

#[test]
fn gzip_says_the_same() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&lines(&days())).expect("packed");
    let packed = packed.finish().expect("packed");
    let untimed = |report: Report| Report { nanos: 0.0, ..report };
    let plain = evaluate("corpus.jsonl", &lines(&days())).expect("a report").0;
    assert_eq!(untimed(evaluate("corpus.jsonl.gz", &packed).expect("a report").0), untimed(plain));
    let half = packed.get(..packed.len() / 2).expect("half");
    assert!(matches!(evaluate("corpus.jsonl.gz", half), Err(CorpusError::Io(_))), "a file that breaks off is no corpus");
}

#[test]
fn labels_do_not_reach_the_engine() {
    let relabelled = |label: &str| {
        let mut events = days();
        events[10]["label"] = json!(label);
        let scored = evaluate("corpus.jsonl", &lines(&events)).expect("a report").1;
        serde_json::to_value(scored).expect("JSON")
    };
    assert_eq!(relabelled("token_far"), relabelled("genuine"));
}

/// The rule sees authentication and binding, not what the event is called: a slow walk is offered like anything else.
#[test]
fn unverified_events_teach_nothing() {
    let after = |walked: usize, auth: &str| {
        let walk = (11..=20).take(walked).map(|day| {
            let mut event = far(day);
            (event["label"], event["kind"], event["auth"]) = (json!("slow_walk"), json!("walk"), json!(auth));
            event
        });
        // Nobody is asked for a proof, so only the rule stands between the walk and the baseline.
        let mut evaluation = Evaluation::new(Weights::default(), RiskScore::new(100).expect("a score"));
        let events = (1..=10).map(home).chain(walk).chain([far(21)]);
        let events = events.map(|event| serde_json::from_value::<Event>(event).expect("an event"));
        events.map(|event| evaluation.take(&event).expect("scored").score).last().expect("an event")
    };
    let unwalked = after(0, "none");
    assert_eq!((after(10, "pwd"), after(10, "none")), (unwalked, unwalked));
    assert!(after(10, "phr") < unwalked, "what is proved is learned");
}

#[test]
fn what_is_no_event_is_refused_with_its_line() {
    let bad = |name: &str, value: Value| {
        let mut event = home(2);
        event[name] = value;
        let bytes = lines(&[home(1), event]);
        evaluate("corpus.jsonl", &bytes).expect_err("refused").to_string()
    };
    for (name, value) in [("t", json!("yesterday")), ("auth", json!("magic")), ("label", json!("friend")), ("place", json!(1))] {
        let error = bad(name, value);
        assert!(error.starts_with("line 2 is no event"), "{name}: {error}");
    }
    let long = [b"{\"t\":\"".as_slice(), &vec![b'x'; 20_000]].concat();
    assert!(matches!(evaluate("corpus.jsonl", &long), Err(CorpusError::Event { line: 1, .. })), "a line has a bound");
}

#[test]
fn a_closer_look_sees_what_was_scored_and_teaches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("corpus.jsonl");
    std::fs::write(&path, lines(&days())).expect("written");
    let thirty = RiskScore::new(30).expect("a score");
    let scored = evaluate("corpus.jsonl", &lines(&days())).expect("a report").1;
    for one in &scored {
        let look = look(&path, one.i, Weights::default(), thirty, |_| ()).expect("a look");
        assert_eq!((look.assessment.inherent(), look.assessment.reasons()), (one.score, one.reasons.clone()), "{}", one.i);
        let again = score(observe(&look.sighting, &look.known(), &Weights::default()), &Weights::default().calibration);
        assert_eq!(again, look.assessment, "what it was compared with gives the score again");
    }
    let short = look(&path, 11, Weights::default(), thirty, |_| ()).expect_err("eleven events").to_string();
    assert_eq!(short, "there is no event 11: the corpus holds 11, which are numbered from 0");
}
