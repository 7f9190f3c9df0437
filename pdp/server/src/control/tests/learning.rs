//! The past of subjects over the router: what it teaches, once, what it never teaches over, and what of it is kept.

use countersign_pdp_store::RevocationTarget;
use countersign_risk::{SessionTag, Strength};
use countersign_sdk_types::{Asn, Country, PlaceRecord};

use super::*;

const DAY: i64 = 86_400_000;
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

/// A desk that knows where the documentation ranges are, and one issuer.
fn desk() -> Desk {
    let mut service = service();
    service.place = Arc::new(|address| {
        let paris = PlaceRecord { country: Country::new("FR"), asn: Some(Asn(64_496)), ..PlaceRecord::default() };
        if address.to_string().starts_with("192.0.2.") { Place::Known(paris) } else { Place::Unknown(PlaceGap::NotFound) }
    });
    service.is_issuer = Arc::new(|iss| iss == "https://issuer.example");
    Desk { store: service.store.clone(), router: router(Arc::new(service)) }
}

fn login(at: i64) -> Value {
    json!({ "at": at, "strength": "phishing_resistant", "address": "192.0.2.10", "user_agent": AGENT, "session": format!("sid-of-{at}"), "time_zone": "Europe/Paris" })
}

fn import(dry_run: bool, logins: &[Value]) -> Value {
    json!({ "dry_run": dry_run, "without_places": false, "subjects": [{ "subject": who(), "logins": logins }] })
}

async fn learn(desk: &Desk, dry_run: bool, logins: &[Value]) -> Value {
    desk.check(Method::POST, "/learn", import(dry_run, logins), StatusCode::OK).await
}

fn weight(desk: &Desk) -> f64 {
    desk.store.view().baseline(&alice()).unwrap().weight()
}

#[tokio::test]
async fn a_past_is_learned_once_and_a_dry_run_learns_nothing() {
    let desk = desk();
    let mut second = login(NOW.0 - DAY);
    second["strength"] = json!("second_factor");
    // In no order, and one of them twice.
    let logins = [second, login(NOW.0 - 3 * DAY), login(NOW.0 - 2 * DAY), login(NOW.0 - 3 * DAY)];
    let told = learn(&desk, true, &logins).await;
    assert_eq!((&told["phishing_resistant"], &told["second_factor"], &told["already_known"]), (&json!(2), &json!(1), &json!(1)), "{told}");
    assert_eq!((&told["countries"], &told["subjects"]), (&json!({ "FR": 3 }), &json!(1)));
    assert_eq!((&told["oldest"], &told["newest"]), (&json!(NOW.0 - 3 * DAY), &json!(NOW.0 - DAY)));
    assert_eq!(desk.store.view().baseline(&alice()).unwrap().known_until(), None);

    let mut learned = learn(&desk, false, &logins).await;
    assert!(learned.as_object_mut().unwrap().remove("consistency").is_some(), "a change says how fresh a decision must be to have seen it");
    assert_eq!(learned, told, "a dry run says what is learned");
    let learned = weight(&desk);
    assert!((2.4..2.5).contains(&learned), "one, one and a half, decayed: {learned}");
    let again = learn(&desk, false, &logins).await;
    assert_eq!((&again["phishing_resistant"], &again["second_factor"], &again["already_known"]), (&json!(0), &json!(0), &json!(4)));
    assert!((weight(&desk) - learned).abs() < 1e-12);
    let newer = learn(&desk, false, &[login(NOW.0 - 3 * DAY), login(NOW.0)]).await;
    assert_eq!((&newer["phishing_resistant"], &newer["already_known"]), (&json!(1), &json!(1)), "what came since is learned");
}

#[tokio::test]
async fn a_past_never_teaches_over_a_step_up() {
    let desk = desk();
    learn(&desk, false, &[login(NOW.0 - 9 * DAY)]).await;
    let salts = crate::pipeline::salts(&desk.store, &alice()).unwrap();
    let session = SessionId::new("sid:x").unwrap();
    let raw = countersign_risk::RawSighting::new(Timestamp(NOW.0 - 2 * DAY), &Place::Unknown(PlaceGap::NoAddress), &session);
    let event = countersign_risk::Sighting::new(&raw, &salts).learned(Strength::StepUp);
    desk.put(StateEvent::Learned { subject: alice(), event });
    let before = desk.store.view().baseline(&alice()).unwrap();
    let told = learn(&desk, false, &[login(NOW.0 - 8 * DAY), login(NOW.0 - 2 * DAY)]).await;
    assert_eq!((&told["already_known"], &told["phishing_resistant"]), (&json!(2), &json!(0)));
    assert_eq!(desk.store.view().baseline(&alice()).unwrap(), before);
}

#[tokio::test]
async fn a_network_teaches_four_a_day_and_some_addresses_nothing() {
    let desk = desk();
    let mut logins: Vec<_> = (0..6).map(|n| login(NOW.0 - 2 * DAY + n)).collect();
    for address in [json!("10.0.0.1"), json!("127.0.0.1"), json!("fd00::1"), Value::Null] {
        let mut nowhere = login(NOW.0 - 2 * DAY + 10);
        nowhere["address"] = address;
        logins.push(nowhere);
    }
    let mut old = login(NOW.0 - 181 * DAY);
    old["address"] = json!("203.0.113.7");
    let mut unlisted = login(NOW.0 - 2 * DAY + 20);
    unlisted["address"] = json!("203.0.113.7");
    logins.extend([old, unlisted]);
    let told = learn(&desk, false, &logins).await;
    assert_eq!(
        (&told["phishing_resistant"], &told["beyond_bounds"], &told["no_location"], &told["too_old"]),
        (&json!(5), &json!(2), &json!(4), &json!(1))
    );
    assert_eq!(told["countries"], json!({ "FR": 4, "unknown": 1 }));
    let again = learn(&desk, false, &logins).await;
    assert_eq!(
        (&again["phishing_resistant"], &again["second_factor"]),
        (&json!(0), &json!(0)),
        "what was beyond a bound stays there: {again}"
    );
}

#[tokio::test]
async fn only_the_last_day_waits_and_can_be_taken_back() {
    let desk = desk();
    let hour = DAY / 24;
    let logins: Vec<_> = [50, 49, 48, 25, 3, 2, 1].map(|hours| login(NOW.0 - hours * hour)).to_vec();
    let told = learn(&desk, false, &logins).await;
    assert_eq!((&told["phishing_resistant"], &told["beyond_bounds"]), (&json!(6), &json!(1)), "two may wait: {told}");
    let learned = weight(&desk);
    assert!((3.9..4.0).contains(&learned), "what is a day old does not wait: {learned}");
    let baseline = || desk.store.view().baseline(&alice()).unwrap();
    assert_eq!((baseline().waiting().count(), baseline().known_until()), (2, Some(Timestamp(NOW.0 - 2 * hour))));
    let target = RevocationTarget::Subject(alice());
    desk.put(StateEvent::Revoked { target, at: NOW, by: "uid:0".to_owned(), reason: "stolen".to_owned() });
    assert_eq!(baseline().waiting().count(), 0);
    let again = learn(&desk, false, &logins[..6]).await;
    assert_eq!((&again["phishing_resistant"], &again["revoked"]), (&json!(0), &json!(6)), "whoever is revoked teaches nothing");
    desk.put(StateEvent::Unrevoked { target: RevocationTarget::Subject(alice()), at: NOW, by: "uid:0".to_owned() });
    let again = learn(&desk, false, &logins[..6]).await;
    assert_eq!((&again["phishing_resistant"], &again["already_known"]), (&json!(0), &json!(6)), "what is taken back is not taught again");
}

#[tokio::test]
async fn log_ins_without_a_session_are_of_many() {
    let desk = desk();
    let mut logins: Vec<_> = (0..6).map(|n| login(NOW.0 - 2 * DAY + n)).collect();
    logins.iter_mut().take(3).for_each(|login| login["session"] = json!("one"));
    logins.iter_mut().skip(3).for_each(|login| drop(login.as_object_mut().unwrap().remove("session")));
    let told = learn(&desk, false, &logins).await;
    assert_eq!(
        (&told["phishing_resistant"], &told["beyond_bounds"]),
        (&json!(4), &json!(2)),
        "two of a session, four of a network: {told}"
    );
}

#[tokio::test]
async fn what_cannot_be_learned_is_refused_whole() {
    let desk = desk();
    let with = |name: &str, value: Value| {
        let mut login = login(NOW.0 - DAY);
        login[name] = value;
        import(false, &[login])
    };
    let mut stranger = import(false, &[login(NOW.0)]);
    stranger["subjects"][0]["subject"]["iss"] = json!("https://issuer.example/");
    let crowd = vec![login(NOW.0 - DAY); 201];
    for body in [
        with("at", json!(NOW.0 + 1)),
        with("strength", json!("bound_low_risk")),
        with("strength", json!("step_up")),
        with("strength", json!("none")),
        with("address", json!("home")),
        with("device", json!("")),
        with("session", json!("a\nb")),
        with("more", json!(1)),
        stranger,
        import(false, &crowd),
        json!({ "dry_run": false, "subjects": [] }),
    ] {
        desk.check(Method::POST, "/learn", body, StatusCode::BAD_REQUEST).await;
    }
    let large = "x".repeat(1024 * 1024);
    desk.check(Method::POST, "/learn", with("user_agent", json!(large)), StatusCode::BAD_REQUEST).await;
    assert_eq!(desk.store.view().baseline(&alice()).unwrap().known_until(), None);
    assert!(desk.store.salt(&alice(), || None).is_err(), "nobody was given a salt");
}

#[tokio::test]
async fn without_a_place_database_nothing_is_learned_unasked() {
    let desk = Desk::new();
    let body = import(false, &[login(NOW.0 - DAY)]);
    let refused = desk.check(Method::POST, "/learn", body.clone(), StatusCode::CONFLICT).await;
    assert!(refused["detail"].as_str().unwrap().contains("place database"), "{refused}");
    assert_eq!(learn(&desk, true, &[login(NOW.0 - DAY)]).await["countries"], json!({ "unknown": 1 }));
    let mut asked = body;
    asked["without_places"] = json!(true);
    desk.check(Method::POST, "/learn", asked, StatusCode::OK).await;
    assert!(weight(&desk) > 0.9);
}

#[tokio::test]
async fn the_journal_names_the_operator_and_no_address_and_no_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = service();
    service.store = Store::open(folder.path(), countersign_pdp_store::Options::default(), NOW).unwrap();
    let desk = Desk { store: service.store.clone(), router: router(Arc::new(service)) };
    let mut body = import(false, &[login(NOW.0 - DAY), login(NOW.0)]);
    body["without_places"] = json!(true);
    desk.check(Method::POST, "/learn", body, StatusCode::OK).await;
    let mut written = String::new();
    for file in std::fs::read_dir(folder.path().join("state")).unwrap() {
        written.push_str(&String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(
        written.contains("\"past_imported\"") && written.contains("\"by\":\"uid:0\"") && written.matches("\"strength\"").count() == 2,
        "{written}"
    );
    assert!(written.contains("\"time_zone\":\"Europe/Paris\""), "the log's zone stands in for the place's");
    // The session is the one that requests with tokens of that `sid` belong to.
    let session = countersign_pdp_engine::identify::issuer_session("https://issuer.example", &format!("sid-of-{}", NOW.0)).unwrap();
    assert!(written.contains(&format!("\"session\":{}", SessionTag::of(&session).0)));
    for secret in ["192.0.2", "Mozilla", "Firefox/130", "sid-of-"] {
        assert!(!written.contains(secret), "{secret}");
    }
}
