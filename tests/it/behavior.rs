//! How the pointer moves, from a browser to the score: the owner's own is quiet, another's or a recording raises it, and nothing lowers it.

use countersign_pdp_store::{Options, StateEvent, Store};
use countersign_risk::pointer::{ActionFeatures, CountedAction, Feature, Point, PointKind, PointerProfile, Segmenter};
use countersign_risk::{Keyed, SessionTag};
use countersign_sdk_types::Timestamp;
use countersign_tests::browser::Driver;
use countersign_tests::http::{self, Answer};
use countersign_tests::process::wait_for;
use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Scenery, Stage, now, subject};
use serde_json::{Value, json};

use crate::step_up_hostile::Visitor;

const DAY: i64 = 24 * 3_600_000;
const VECTORS: &str = include_str!("../../sdk/browser/vectors/pointer.json");

/// Movements and clicks whose pace depends on the hand, and whose lengths depend on the seed.
fn hand(hand: i32, seed: i32, clicks: i32) -> Vec<ActionFeatures> {
    let mut segmenter = Segmenter::default();
    let mut actions = Vec::new();
    for nth in 0..clicks {
        let (steps, pace) = (50 + (nth * 7 + seed * 13) % 31, 3 + hand * 5 + (nth + seed) % 3);
        let start = i64::from(nth) * 5000;
        let at = |step: i32| (f64::from(100 + pace * step), 300.0 + (f64::from(pace * step) / 40.0).sin() * 9.0);
        let mut push =
            |millis: i64, (x, y): (f64, f64), kind: PointKind| actions.extend(segmenter.push(Point { at: Timestamp(millis), x, y, kind }));
        (0..steps).for_each(|step| push(start + i64::from(step) * 20, at(step), PointKind::Move));
        let pressed = start + i64::from(steps) * 20 + 20;
        push(pressed, at(steps - 1), PointKind::Press);
        push(pressed + i64::from(70 + hand * 60 + (nth * 3 + seed) % 25), at(steps - 1), PointKind::Release);
    }
    actions
}

/// Five people who have been verified on four days; alice moves like hand 1.
fn people() -> Vec<StateEvent> {
    let lesson = |(of, sub): (i32, &str), day: i32| {
        let actions: Vec<_> = hand(of, day, 50).iter().map(CountedAction::from).collect();
        let session = SessionTag(u32::try_from(day).unwrap());
        let lesson = Box::new(PointerProfile::empty().lesson(Keyed(session.0), &actions));
        StateEvent::PointerLearned { subject: subject(sub), session, lesson, at: Timestamp(now().0 - i64::from(5 - day) * DAY) }
    };
    let all = [(0, "zoe"), (1, "alice"), (2, "carol"), (3, "dave"), (4, "erin")];
    all.into_iter().flat_map(|person| (1..=4).map(move |day| lesson(person, day))).collect()
}

fn stage() -> Stage {
    Stage::with(&Scenery { more: people, ..Scenery::default() })
}

fn body(actions: &[ActionFeatures]) -> Value {
    json!({"features": Feature::ALL.map(|feature| feature.name), "actions": actions})
}

/// A signed-in browser with a device cookie, in a session of its own.
fn visitor<'a>(stage: &'a Stage, sub: &str, session: &str) -> Visitor<'a> {
    let visitor = Visitor::new(stage, PARIS, &stage.issuer.token(sub, &json!({"sid": session})));
    assert_eq!(visitor.visit("payroll", "/.countersign/").status, 200);
    visitor
}

fn tell(visitor: &Visitor<'_>, body: &Value) -> Answer {
    let origin = visitor.origin("payroll");
    visitor.request("POST", "payroll", "/.countersign/behavior", &[("origin", &origin), ("sec-fetch-site", "same-origin")], Some(body))
}

#[track_caller]
fn told(visitor: &Visitor<'_>, actions: &[ActionFeatures]) {
    let answer = tell(visitor, &body(actions));
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
}

/// The score of a visit to the payroll, and what it says of the pointer.
#[track_caller]
fn scored(stage: &Stage, visitor: &Visitor<'_>) -> (i64, Option<String>) {
    let answer = visitor.visit("payroll", "/payroll");
    let last = stage.log().lines().rev().find(|line| line.contains("\"decided\"")).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = last.unwrap_or_else(|| panic!("no decision: {answer:?}"));
    let data = stage.operated(&["risk", "explain", "--decision", last["fields"]["id"].as_str().unwrap()]);
    let of_pointer = data["contributions"].as_array().unwrap().iter().find(|one| one["signal"] == "behavior");
    (data["score"].as_i64().unwrap(), of_pointer.map(|one| one["text"].as_str().unwrap().to_owned()))
}

#[test]
fn the_owners_hand_is_quiet_and_another_or_a_recording_raises_the_score() {
    let stage = stage();
    let own = visitor(&stage, "alice", "own");
    let (silent, nothing) = scored(&stage, &own);
    assert_eq!(nothing, None, "nobody told of the pointer");
    told(&own, &hand(1, 9, 40));
    let quiet = (silent, Some("the pointer moves as the subject moves it".to_owned()));
    assert_eq!(scored(&stage, &own), quiet);

    let few = visitor(&stage, "alice", "few");
    told(&few, &hand(3, 9, 19));
    assert_eq!(scored(&stage, &few), (silent, Some("19 movements of the pointer are too few".to_owned())));

    let other = visitor(&stage, "alice", "other");
    assert_eq!(scored(&stage, &other).0, silent);
    told(&other, &hand(3, 9, 40));
    let (raised, text) = scored(&stage, &other);
    assert!(
        raised > silent && text.as_ref().is_some_and(|text| text.starts_with("the pointer moves unlike the subject: ")),
        "{raised} {text:?}"
    );

    // A whole verified session of hers again, and one action of the present one again.
    let recorded = visitor(&stage, "alice", "recorded");
    told(&recorded, &hand(1, 4, 50));
    let (raised, text) = scored(&stage, &recorded);
    assert!(raised > silent && text.as_ref().is_some_and(|text| text.ends_with("repeat earlier ones exactly")), "{raised} {text:?}");
    told(&own, &hand(1, 9, 1));
    assert!(scored(&stage, &own).0 > silent);

    // Of somebody of whom too little is known nothing is said, and no window is another session's or device's.
    let stranger = visitor(&stage, "bob", "bobs");
    told(&stranger, &hand(3, 9, 40));
    assert_eq!(scored(&stage, &stranger).1, Some("too little is known of how the subject moves the pointer".to_owned()));
    let owner = visitor(&stage, "alice", "shared");
    told(&owner, &hand(1, 9, 40));
    let thief = Visitor::new(&stage, PARIS, &stage.issuer.token("alice", &json!({"sid": "shared"})));
    told(&thief, &hand(4, 9, 40));
    assert_eq!(scored(&stage, &owner), quiet);
    assert!(scored(&stage, &thief).1.unwrap().contains("unlike"));
}

#[test]
fn a_step_up_teaches_the_pointer_and_begins_a_new_window() {
    let mut stage = stage();
    let token = stage.issuer.token("bob", &json!({"sid": "bobs"}));
    let bob = Visitor::new(&stage, SINGAPORE, &token);
    let mut key = bob.enrolled("bob");
    assert_eq!(bob.visit("payroll", "/.countersign/").status, 200);
    for seed in 1..=2 {
        told(&bob, &hand(2, seed, 50));
    }
    let thief = Visitor::new(&stage, SINGAPORE, &token);
    told(&thief, &hand(4, 1, 50));
    bob.step_up(&mut key);
    assert_eq!(scored(&stage, &bob).1, None, "what is learned is not judged again, nor taken for a recording");
    drop((bob, thief));

    let store = Store::open(&stage.end(), Options::default(), now()).unwrap();
    let profile = store.view().pointer(&subject("bob")).unwrap();
    assert_eq!((profile.actions(), profile.sessions()), (100, 1), "his own, and nothing of the browser that only had the token");
}

#[test]
fn a_batch_that_no_script_of_this_origin_sends_is_refused() {
    let stage = stage();
    let own = visitor(&stage, "alice", "own");
    let (before, one) = (scored(&stage, &own), body(&hand(1, 9, 1)));
    let post = |headers: &[(&str, &str)], body: &Value| own.request("POST", "payroll", "/.countersign/behavior", headers, Some(body));
    let origin = own.origin("payroll");
    let foreign: [&[(&str, &str)]; 4] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", &own.origin("wiki"))],
        &[("origin", &origin), ("sec-fetch-site", "cross-site")],
    ];
    for headers in foreign {
        let answer = post(headers, &one);
        assert!(answer.status == 403 && answer.body.contains("not_allowed"), "{headers:?}: {answer:?}");
    }
    let hostile = [
        json!(null),
        json!({}),
        json!({"features": ["duration"], "actions": []}),
        json!({"features": ["duration", "mood"], "actions": [[1, 1]]}),
        json!({"features": ["duration"], "actions": [["1"]]}),
        json!({"features": ["duration"], "actions": vec![[1]; 51]}),
        json!({"features": ["duration"], "actions": [[1]], "points": [[1, 2, 3]]}),
    ];
    for body in hostile {
        let answer = tell(&own, &body);
        assert!(answer.status == 403 && answer.body.contains("refused"), "{body}: {answer:?}");
    }
    assert_eq!(tell(&own, &json!({"features": ["x".repeat(70_000)], "actions": []})).status, 413);

    // Nobody, and somebody else's idea of a token.
    let nobody = Visitor::new(&stage, PARIS, "");
    assert_eq!(tell(&nobody, &one).status, 403);
    assert_eq!(tell(&Visitor::new(&stage, PARIS, "a.b.c"), &one).status, 403);
    // The auth origin has no such place, and nothing is read there or here by GET.
    let auth = own.request("POST", "auth", "/.countersign/behavior", &[("origin", &own.origin("auth"))], Some(&one));
    assert_eq!(auth.status, 404, "{auth:?}");
    assert_eq!(own.visit("payroll", "/.countersign/behavior").status, 405);
    assert_eq!(scored(&stage, &own), before, "nothing of it was taken");

    // A revoked subject tells nothing; nobody tells too much.
    let taken = (0..40).filter(|_| tell(&own, &one).status == 204).count();
    assert_eq!(taken, 20, "batches of a minute");
    assert_eq!(tell(&own, &one).status, 429);
    let carol = visitor(&stage, "carol", "carols");
    let iss = countersign_tests::issuer::ISS;
    assert!(stage.operate(&["revoke", "subject", "--iss", iss, "--sub", "carol", "--reason", "left"]).status.success());
    let answer = tell(&carol, &one);
    assert!(answer.status == 403 && answer.body.contains("not_allowed"), "{answer:?}");

    let metrics = http::send("GET", &format!("http://127.0.0.1:{}/metrics", stage.operations), &[], None).body;
    for outcome in ["accepted", "refused", "limited"] {
        assert!(metrics.contains(&format!("behavior_batches_total{{outcome=\"{outcome}\"}}")), "{outcome}: {metrics}");
    }
}

#[test]
fn the_script_measures_as_the_verifier_does_and_tells_what_the_mouse_did() {
    let stage = stage();
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let browser = driver.browser();
    browser.extra_headers(&[(FROM, PARIS)]);
    browser.devtools("Emulation.setUserAgentOverride", &json!({"userAgent": OWNERS_AGENT}));
    browser.set_cookie(&stage.url("payroll", "/"), "access_token", &stage.issuer.token("alice", &json!({"sid": "mouse"})));
    browser.open(&stage.url("payroll", "/page"));
    browser.wait_until("on the page", |browser| browser.text().contains("reached"));

    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    browser.script(&format!(
        "import('/.countersign/countersign.js').then(({{FEATURES, Segmenter}}) => {{
           const segmenter = new Segmenter();
           const actions = {}.map(([at, x, y, kind]) => segmenter.push(at, x, y, kind)).concat([segmenter.finish()]);
           window.measured = {{features: FEATURES, actions: actions.filter((action) => action)}};
         }}, (error) => {{ window.measured = String(error); }}); return null",
        vectors["points"]
    ));
    browser.wait_until("measured", |browser| browser.script("return window.measured !== undefined") == true);
    let measured = browser.script("return window.measured");
    assert_eq!(measured["features"], vectors["features"], "{measured}");
    let read = |value: &Value| serde_json::from_value::<Vec<ActionFeatures>>(value["actions"].clone()).unwrap();
    assert_eq!(read(&measured), read(&vectors), "to the last of 32 bits");

    // Two sweeps and clicks, then away: the page tells what it has. No point is in what it sends.
    browser.script("const own = window.fetch; window.fetch = (path, init) => { sessionStorage.setItem('sent', init.body); return own(path, init); }; return null");
    let sweep = |x: i32| (0..40).map(|nth| (x + nth * 9, 60 + (nth * nth) / 6)).collect::<Vec<_>>();
    browser.sweep(&sweep(20));
    browser.sweep(&sweep(120));
    browser.open(&stage.url("payroll", "/other"));
    let metrics = || http::send("GET", &format!("http://127.0.0.1:{}/metrics", stage.operations), &[], None).body;
    assert!(wait_for(|| metrics().contains("behavior_batches_total{outcome=\"accepted\"} 1")), "{}\n{}", metrics(), stage.log());
    let sent: Value = serde_json::from_str(browser.script("return sessionStorage.getItem('sent')").as_str().unwrap()).unwrap();
    let members: Vec<_> = sent.as_object().unwrap().keys().collect();
    assert_eq!(members, ["actions", "features"], "{sent}");
    let actions = read(&sent);
    assert!((2..=3).contains(&actions.len()), "{sent}");
    let duration = actions[0].values()[0].unwrap();
    assert!((0.3..5.0).contains(&duration), "{duration} s");
}
