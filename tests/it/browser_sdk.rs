//! The script that applications include, in a real Chromium under a strict content policy: what it tells, to whose will it listens, how it leads to the
//! ceremony; and how the score follows the hand at the pointer.

use std::process::Command;

use countersign_tests::browser::{Browser, Driver, Gesture};
use countersign_tests::http;
use countersign_tests::process::{Process, countersign, wait_for};
use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Stage};
use serde_json::{Value, json};

use crate::{step_up_hostile, visitor};

/// Keeps what a page sends, what its policy refused, and how many digests it made: across pages, in the tab.
const WATCH: &str = "
    const kept = (name) => JSON.parse(sessionStorage.getItem('test.' + name) ?? '[]');
    const keep = (name, value) => sessionStorage.setItem('test.' + name, JSON.stringify([...kept(name), value]));
    const own = window.fetch;
    window.fetch = (path, init) => { keep('sent', [String(path), init?.body ?? null]); return own(path, init); };
    document.addEventListener('securitypolicyviolation', (event) => keep('refused', `${event.violatedDirective} ${event.blockedURI}`));
    const digest = SubtleCrypto.prototype.digest;
    SubtleCrypto.prototype.digest = function (...all) { keep('digests', 1); return digest.apply(this, all); };";

/// Alice's browser in Paris, signed in.
fn owner<'a>(stage: &Stage, driver: &'a Driver, more: &str) -> Browser<'a> {
    let browser = driver.browser();
    browser.extra_headers(&[(FROM, PARIS)]);
    browser.devtools("Emulation.setUserAgentOverride", &json!({"userAgent": OWNERS_AGENT}));
    browser.set_cookie(&stage.url("payroll", "/"), "access_token", &stage.issuer.token("alice", &json!({"sid": "sdk"})));
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": format!("{WATCH}{more}")}));
    browser
}

#[track_caller]
fn opens(stage: &Stage, browser: &Browser<'_>, target: &str) {
    browser.open(&stage.url("payroll", target));
    browser.wait_until("on the page", |browser| browser.text().contains("reached"));
}

fn kept(browser: &Browser<'_>, name: &str) -> Vec<Value> {
    let kept = browser.script(&format!("return JSON.parse(sessionStorage.getItem('test.{name}') ?? '[]')"));
    kept.as_array().cloned().unwrap_or_default()
}

/// What was sent to one of our paths.
fn sent(browser: &Browser<'_>, to: &str) -> Vec<Value> {
    let all = kept(browser, "sent");
    let bodies = all.iter().filter(|sent| sent[0] == to).map(|sent| serde_json::from_str(sent[1].as_str().unwrap_or("null")).unwrap());
    bodies.collect()
}

const DEVICE: &str = "/.countersign/device";
const BEHAVIOR: &str = "/.countersign/behavior";

fn metrics(stage: &Stage) -> String {
    http::send("GET", &format!("http://127.0.0.1:{}/metrics", stage.operations), &[], None).body
}

#[track_caller]
fn accepted(stage: &Stage, what: &str, count: usize) {
    let line = format!("{what}_total{{outcome=\"accepted\"}} {count}");
    assert!(wait_for(|| metrics(stage).contains(&line)), "not `{line}`:\n{}\n{}", metrics(stage), stage.log());
}

/// Two movements and clicks.
fn moves(browser: &Browser<'_>) {
    for from in [20, 120] {
        browser.sweep(&(0..24).map(|nth| (from + nth * 9, 60 + (nth * nth) / 6)).collect::<Vec<_>>());
    }
}

#[test]
fn the_device_is_told_once_a_tab_as_digests_and_under_a_strict_policy() {
    let (stage, folder) = (Stage::set(), tempfile::tempdir().unwrap());
    let driver = Driver::start(folder.path());
    let browser = owner(&stage, &driver, "");
    opens(&stage, &browser, "/told");
    accepted(&stage, "device_looks", 1);
    let told = sent(&browser, DEVICE);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["components"]);
    let components = told[0]["components"].as_object().unwrap();
    let is_digest =
        |value: &Value| value.as_str().is_some_and(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(components.len() >= 4 && components.values().all(is_digest), "{told:?}");
    for name in ["canvas", "clock", "screen", "system"] {
        assert!(components.contains_key(name), "{name}: {told:?}");
    }

    // The next page of the tab looks again, finds nothing new, and says nothing; what is forgotten is told again.
    let looked = |browser: &Browser<'_>, times: usize| {
        browser.wait_until("looked", |browser| kept(browser, "digests").len() >= times * components.len());
    };
    opens(&stage, &browser, "/told");
    looked(&browser, 2);
    assert_eq!(sent(&browser, DEVICE).len(), 1);
    browser.script("sessionStorage.removeItem('countersign.device'); return null");
    opens(&stage, &browser, "/told");
    accepted(&stage, "device_looks", 2);
    assert_eq!(sent(&browser, DEVICE), [told[0].clone(), told[0].clone()], "the same device looks the same");

    // The pointer too, and no directive of the page was in the way.
    moves(&browser);
    opens(&stage, &browser, "/other");
    accepted(&stage, "behavior_batches", 1);
    assert_eq!(sent(&browser, BEHAVIOR).len(), 1);
    assert_eq!(kept(&browser, "refused"), Vec::<Value>::new());
}

#[test]
fn nothing_is_measured_before_a_yes_nor_after_a_no() {
    let (stage, folder) = (Stage::set(), tempfile::tempdir().unwrap());
    let driver = Driver::start(folder.path());
    let browser = owner(&stage, &driver, "");
    let measures = |browser: &Browser<'_>| browser.script("return window.countersign?.isMeasuring()");
    opens(&stage, &browser, "/asked");
    browser.wait_until("loaded", |browser| measures(browser) == false);
    moves(&browser);
    browser.script("document.dispatchEvent(new CustomEvent('countersign:consent', {detail: 'yes'})); return null");
    assert_eq!(measures(&browser), false, "only a plain yes is one");

    // What was moved before is not told of afterwards.
    browser.script("document.dispatchEvent(new CustomEvent('countersign:consent', {detail: true})); return null");
    assert_eq!(measures(&browser), true);
    accepted(&stage, "device_looks", 1);
    assert_eq!(sent(&browser, BEHAVIOR).len(), 0);
    moves(&browser);
    opens(&stage, &browser, "/other");
    accepted(&stage, "behavior_batches", 1);
    let told = sent(&browser, BEHAVIOR);
    assert!(told.len() == 1 && (2..=3).contains(&told[0]["actions"].as_array().unwrap().len()), "{told:?}");

    // Taken back: what is waiting is dropped, and the tab forgets.
    opens(&stage, &browser, "/asked");
    browser.wait_until("loaded", |browser| measures(browser) == false);
    browser.script("window.countersign.consent(true); return null");
    moves(&browser);
    browser.script("window.countersign.consent(false); return null");
    assert_eq!(browser.script("return sessionStorage.getItem('countersign.device')"), Value::Null);
    moves(&browser);
    opens(&stage, &browser, "/other");
    assert_eq!(sent(&browser, BEHAVIOR).len(), 1, "{:?}", sent(&browser, BEHAVIOR));
}

#[test]
fn a_browser_that_objects_is_not_measured() {
    let (stage, folder) = (Stage::set(), tempfile::tempdir().unwrap());
    let driver = Driver::start(folder.path());
    let objections = ["globalPrivacyControl', { get: () => true }", "doNotTrack', { get: () => '1' }"];
    for objection in objections {
        let browser = owner(&stage, &driver, &format!("Object.defineProperty(Navigator.prototype, '{objection});"));
        opens(&stage, &browser, "/told");
        browser.wait_until("loaded", |browser| browser.script("return window.countersign?.isMeasuring()") == false);
        browser.script("window.countersign.consent(true); return null");
        assert_eq!(browser.script("return window.countersign.isMeasuring()"), false, "{objection}");
        moves(&browser);
        opens(&stage, &browser, "/other");
        assert_eq!((sent(&browser, DEVICE).len(), sent(&browser, BEHAVIOR).len()), (0, 0), "{objection}");
        assert_eq!(kept(&browser, "digests").len(), 0, "{objection}: it did not even look");
    }
    for nothing in ["device_looks_total{", "behavior_batches_total{"] {
        assert!(!metrics(&stage).contains(nothing), "{}", metrics(&stage));
    }
}

#[test]
fn a_script_that_is_refused_leads_its_page_to_the_ceremony_and_back() {
    let (stage, folder) = (Stage::set(), tempfile::tempdir().unwrap());
    let driver = Driver::start(folder.path());
    let owner = visitor::Visitor::new(&stage, &driver, PARIS, &stage.issuer.token("alice", &json!({"sid": "sdk"})));
    owner.browser.devtools("Emulation.setUserAgentOverride", &json!({"userAgent": OWNERS_AGENT}));
    let _authenticator = owner.browser.add_authenticator();
    owner.enroll("alice");
    opens(&stage, &owner.browser, "/told");
    owner.browser.wait_until("loaded", |browser| browser.script("return window.countersign !== undefined") == true);

    // She travels while the page is open. Unless it is told to, the script goes nowhere.
    owner.browser.extra_headers(&[(FROM, SINGAPORE)]);
    let asked = |how: &str| {
        owner.browser.script("window.answered = undefined; return null");
        owner.browser.script(&format!(
            "window.countersign.fetch('/rows', {how}).then((answer) => {{ window.answered = answer.status; }}); return null"
        ));
    };
    asked("{}");
    owner.browser.wait_until("refused", |browser| browser.script("return window.answered") == 401);
    assert!(owner.is_on("payroll", "/told"), "{}", owner.browser.url());
    asked("{ stepUp: (needed) => { window.needed = needed.page.pathname; } }");
    owner.browser.wait_until("told", |browser| browser.script("return window.needed") == "/.countersign/step-up");
    assert!(owner.is_on("payroll", "/told"), "{}", owner.browser.url());
    asked("{ stepUp: 'go' }");
    owner.browser.wait_until("there and back", |browser| {
        // The page looks the same before it leaves: what it brings back tells.
        let is_granted = browser.cookies().to_string().contains("__Host-countersign-grant");
        is_granted && owner.is_on("payroll", "/told") && browser.text().contains("reached")
    });
}

/// What the last decision said of the device.
#[track_caller]
fn of_device(stage: &Stage, visitor: &step_up_hostile::Visitor<'_>) -> (i64, String) {
    let answer = visitor.visit("payroll", "/payroll");
    let last = stage.log().lines().rev().find(|line| line.contains("\"decided\"")).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = last.unwrap_or_else(|| panic!("no decision: {answer:?}"));
    let data = stage.operated(&["risk", "explain", "--decision", last["fields"]["id"].as_str().unwrap()]);
    let device = data["contributions"].as_array().unwrap().iter().find(|one| one["signal"] == "device").cloned().unwrap();
    (data["score"].as_i64().unwrap(), device["text"].as_str().unwrap().to_owned())
}

#[test]
fn a_device_that_looks_like_a_known_one_is_half_as_strange_and_no_more() {
    let stage = Stage::set();
    let look = |seed: u64| {
        let names = ["audio", "canvas", "clock", "graphics", "screen", "system"];
        json!({"components": names.iter().enumerate().map(|(nth, name)| ((*name).to_owned(), json!(format!("{:016x}", seed + nth as u64)))).collect::<serde_json::Map<_, _>>()})
    };
    let tell = |visitor: &step_up_hostile::Visitor<'_>, body: &Value| {
        let origin = visitor.origin("payroll");
        visitor.request("POST", "payroll", DEVICE, &[("origin", &origin), ("sec-fetch-site", "same-origin")], Some(body))
    };
    let signed_in = |sid: &str| step_up_hostile::Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({"sid": sid})));

    // The owner's browser tells, and a step-up teaches it.
    let owner = signed_in("first");
    let mut key = owner.enrolled("alice");
    assert_eq!(owner.visit("payroll", "/.countersign/").status, 200);
    assert_eq!(tell(&owner, &look(100)).status, 204);
    owner.step_up(&mut key);
    assert_eq!(of_device(&stage, &owner).1, "the device is one that the subject has used before");

    // Her cookies are cleared, and she signs in anew: a strange device, until it tells that it looks the same.
    let (cleared, other) = (signed_in("second"), signed_in("third"));
    for visitor in [&cleared, &other] {
        assert_eq!(visitor.visit("payroll", "/.countersign/").status, 200);
    }
    let (strange, text) = of_device(&stage, &cleared);
    assert_eq!(text, "the device is new to the subject");
    assert_eq!(tell(&other, &look(900)).status, 204);
    assert_eq!(of_device(&stage, &other), (strange, text), "another look is no better and no worse than none");
    assert_eq!(tell(&cleared, &look(100)).status, 204);
    let (alike, text) = of_device(&stage, &cleared);
    assert_eq!(text, "the device is not known, and looks like one that the subject has used before");
    assert!(alike < strange && alike > 0, "{alike} {strange}");

    // What no script of this origin sends is refused, and changes nothing.
    for body in [
        json!({}),
        json!({"components": {}}),
        json!({"components": {"fonts": "0000000000000000"}}),
        json!({"components": {"screen": "1920"}}),
    ] {
        let answer = tell(&cleared, &body);
        assert!(answer.status == 403 && answer.body.contains("refused"), "{body}: {answer:?}");
    }
    let foreign = cleared.request("POST", "payroll", DEVICE, &[("origin", "https://evil.example")], Some(&look(100)));
    assert_eq!(foreign.status, 403, "{foreign:?}");
    assert_eq!(step_up_hostile::Visitor::new(&stage, PARIS, "a.b.c").visit("payroll", DEVICE).status, 405);
    assert_eq!(of_device(&stage, &cleared).0, alike);
    let taken = (0..40).filter(|_| tell(&cleared, &look(100)).status == 204).count();
    assert!(taken < 20, "{taken} of a minute");
    for outcome in ["accepted", "refused", "limited"] {
        assert!(metrics(&stage).contains(&format!("device_looks_total{{outcome=\"{outcome}\"}}")), "{outcome}: {}", metrics(&stage));
    }
}

/// The page of the demonstration that shows whose hand it is.
struct Page<'a>(Browser<'a>);

impl Page<'_> {
    fn number(&self, script: &str) -> i64 {
        self.0.script(&format!("return Number({script})")).as_i64().unwrap_or(-1)
    }

    fn score(&self) -> i64 {
        self.number("document.getElementById('score')?.textContent")
    }

    fn movements(&self) -> i64 {
        self.number("document.getElementById('count')?.textContent.split(' ')[0]")
    }

    fn says(&self) -> String {
        self.0.script("return document.getElementById('says').textContent").as_str().unwrap_or_default().to_owned()
    }

    /// Many movements at once, each with a click at its end, within the field; and what they say is there.
    #[track_caller]
    fn does(&self, movements: &[Gesture]) {
        let before = self.movements();
        self.0.gestures(movements);
        let all = before.max(0) + i64::try_from(movements.len()).unwrap();
        self.0.script("window.countersign.flush(); return null");
        self.0.wait_until(&format!("{all} movements are told"), |_| self.movements() >= all - 1);
    }
}

/// A hand that swings, brakes, lingers on the button, and is never quite the same.
fn swinging(seed: i32, count: i32, (left, top): (i32, i32)) -> Vec<Gesture> {
    let movement = |nth: i32| {
        let steps = 10 + (nth * 5 + seed * 3) % 5;
        let reach = 180 + (nth * 37 + seed * 11) % 160;
        let there = nth % 2 == 0;
        let point = |step: i32| {
            let share = f64::from(step) / f64::from(steps);
            let eased = share * share * (3.0 - 2.0 * share);
            let way = if there { eased } else { 1.0 - eased };
            let (x, y) = (f64::from(reach) * way, 60.0 + (way * 3.1).sin() * f64::from(30 + (nth * 7 + seed) % 25));
            (left + 20 + x as i32, top + y as i32, 34)
        };
        Gesture { points: (1..=steps).map(point).collect(), held: u32::try_from(70 + (nth * 11 + seed * 5) % 40).unwrap() }
    };
    (0..count).map(movement).collect()
}

/// A machine: straight up and down, slowly, at one pace, and a button that is hardly touched.
fn mechanical(count: i32, (left, top): (i32, i32)) -> Vec<Gesture> {
    let movement = |nth: i32| {
        let column = left + 40 + (nth * 13) % 300;
        let point = |step: i32| (column, if nth % 2 == 0 { top + 10 + step * 4 } else { top + 210 - step * 4 }, 16);
        Gesture { points: (0..50).map(point).collect(), held: 1 }
    };
    (0..count).map(movement).collect()
}

#[test]
fn the_score_falls_and_rises_with_the_hand_at_the_pointer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("temporary")).unwrap();
    let mut command = Command::new(countersign());
    command.args(["demo", "--port", "0"]).env("TMPDIR", folder.path().join("temporary"));
    let mut demo = Process::start(&mut command, &folder.path().join("demo.log"));
    demo.wait_until("saying where it is", |process| process.output().contains("Ctrl-C"));
    let output = demo.output();
    let home = output.lines().next().and_then(|line| line.split("is at ").nth(1)).unwrap_or_else(|| panic!("{output}")).to_owned();

    let driver = Driver::start(folder.path());
    let page = Page(driver.browser());
    page.0.devtools("Emulation.setDeviceMetricsOverride", &json!({"width": 1000, "height": 1040, "deviceScaleFactor": 1, "mobile": false}));
    page.0.open(&format!("{home}hand"));
    page.0.wait_until("told to sign in", |browser| browser.text().contains("not signed in"));
    page.0.open(&home);
    page.0.click("#sign-in .primary");
    page.0.wait_until("signed in", |browser| browser.script("return document.querySelector('#sign-in.done') !== null") == true);
    page.0.open(&format!("{home}hand"));
    page.0.wait_until("drawn", |_| page.score() >= 0);
    page.0.click("form[action='/go/night'] button");
    page.0.wait_until("night", |browser| browser.text().contains("03:40 in Paris") && page.score() >= 0);
    page.0.script("document.getElementById('field').scrollIntoView({block: 'center'}); return null");
    let corner = |side: &str| {
        i32::try_from(page.number(&format!("Math.ceil(document.getElementById('field').getBoundingClientRect().{side})"))).unwrap()
    };
    let field = (corner("left"), corner("top"));

    // Her hand is learned.
    for part in 0..4 {
        page.does(&swinging(part, 27, field));
    }
    let quiet = page.score();
    page.0.click("#learn");
    page.0.wait_until("learned", |_| page.movements() < 100 && page.0.text().contains("is known"));

    // A machine takes over: it rises. She is back: it falls.
    page.does(&mechanical(24, field));
    page.0.wait_until("risen", |_| page.score() > quiet + 10);
    let risen = page.score();
    assert!(page.says().contains("unlike the subject") || page.says().contains("repeat"), "{}", page.says());
    for part in 5..8 {
        page.does(&swinging(part, 24, field));
    }
    page.0.wait_until("fallen", |_| page.score() < risen - 10);
    assert!(page.score() >= quiet, "never below what it was");
    assert!(page.number("document.querySelectorAll('#chart polyline').length") == 1);
    if let Some(kept) = std::env::var_os("COUNTERSIGN_KEEP_PICTURE") {
        std::fs::write(kept, page.0.screenshot()).unwrap();
    }
}
