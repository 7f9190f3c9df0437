//! What the engine says of people and thieves.

use countersign_sdk_types::{PlaceGap, RiskScore};

use super::*;

const THIRTY: u8 = 30;

fn value(scene: &Scene<'_>, known: &Known<'_>) -> u8 {
    assess(scene, known).inherent().value()
}

#[test]
fn the_owner_at_work_is_nothing_unusual() {
    let baseline = weekdays(4);
    assert_eq!(value(&at_home(NEXT), &known(&baseline)), 0);
}

#[test]
fn a_stolen_token_at_night_from_singapore_is_high() {
    let mut baseline = weekdays(4);
    // 02:40Z is 03:40 in Paris; the owner was there the evening before, and ten hours are too few.
    let night = MONDAY + 28 * DAY + 2 * HOUR + 40 * 60_000;
    baseline.learn(&at_home(night - 9 * HOUR).learned(Strength::StepUp));
    let assessment = assess(&Scene { cookie: None, ..abroad(night) }, &known(&baseline));
    assert!(assessment.inherent().value() >= 90, "{assessment:?}");
    let named: Vec<_> = assessment.reasons().iter().filter(|reason| reason.points > 0).map(|reason| reason.signal).collect();
    assert!([Signal::Travel, Signal::Hour, Signal::Network, Signal::Device].iter().all(|signal| named.contains(signal)), "{named:?}");
}

#[test]
fn a_copied_token_and_cookie_are_stopped_by_where_the_session_was() {
    let baseline = weekdays(4);
    let began = at_home(NEXT);
    let trail = Trail::begin(&began.sighting());
    let known = Known { trail: Some(&trail), ..known(&baseline) };
    let thief = Scene { session: began.session.clone(), address: "198.51.100.7", place: lyon(), ..at_home(NEXT + HOUR) };
    let assessment = assess(&thief, &known);
    assert!(assessment.inherent().value() >= THIRTY, "{assessment:?}");
    assert!(nats(&assessment, Signal::Session) >= 3.0, "{assessment:?}");
    let own = Scene { session: began.session.clone(), ..at_home(NEXT + HOUR) };
    assert_eq!(value(&own, &known), 0, "the session goes on where it was");
}

#[test]
fn a_session_that_wanders_to_a_known_network_costs_nothing() {
    let mut baseline = weekdays(4);
    baseline.learn(&Scene { address: "198.51.100.7", place: lyon(), ..at_home(NEXT - 3 * DAY) }.learned(Strength::StepUp));
    let trail = Trail::begin(&at_home(NEXT).sighting());
    let known = Known { trail: Some(&trail), ..known(&baseline) };
    let at_the_other_home = assess(&Scene { address: "198.51.100.7", place: lyon(), ..at_home(NEXT + HOUR) }, &known);
    assert_eq!(nats(&at_the_other_home, Signal::Session), 0.0);
    let other_browser = assess(&Scene { agent: CHROME, ..at_home(NEXT + HOUR) }, &known);
    assert!(nats(&other_browser, Signal::Session) > 1.0, "a browser does not change under a session");
}

#[test]
fn travel_counts_from_verified_points_and_from_where_the_session_passed() {
    let baseline = weekdays(4);
    let last = baseline.last().unwrap().at.0;
    let leaps = |hours: i64, known: &Known<'_>| nats(&assess(&abroad(last + hours * HOUR), known), Signal::Travel) > 0.0;
    assert!(leaps(9, &known(&baseline)), "10,700 km in nine hours");
    assert!(!leaps(20, &known(&baseline)), "10,700 km in twenty hours is a flight");
    assert!(!leaps(200, &known(&baseline)));
    let mut trail = Trail::begin(&at_home(last + 198 * HOUR).sighting());
    assert!(!leaps(200, &Known { trail: Some(&trail), ..known(&baseline) }), "a trail begins unproved");
    trail.pass(&at_home(last + 198 * HOUR).sighting());
    assert!(leaps(200, &Known { trail: Some(&trail), ..known(&baseline) }), "let through in Paris two hours before");
    trail.pass(&abroad(last + 199 * HOUR).sighting());
    assert!(leaps(9, &Known { trail: Some(&trail), ..known(&baseline) }), "what is not verified takes nothing back");
}

#[test]
fn travel_says_nothing_of_private_missing_satellite_and_known_networks() {
    let baseline = weekdays(4);
    let soon = baseline.last().unwrap().at.0 + HOUR;
    let travels = |scene: Scene<'_>| nats(&assess(&scene, &known(&baseline)), Signal::Travel) > 0.0;
    assert!(travels(abroad(soon)));
    assert!(!travels(Scene { address: "10.0.0.7", ..abroad(soon) }), "private");
    assert!(!travels(Scene { address: "100.64.0.7", ..abroad(soon) }), "shared by a carrier");
    assert!(!travels(Scene { place: Place::Unknown(PlaceGap::NotFound), ..abroad(soon) }), "missing");
    assert!(!travels(Scene { place: place("SG", 1.35, 103.8, "Asia/Singapore", 64_496), ..abroad(soon) }), "a known system");
    assert!(!travels(Scene { place: place("SG", 1.35, 103.8, "Asia/Singapore", 14_593), ..abroad(soon) }), "a satellite");
    // 600 km apart, and one of the points is a guess of 500 km: nothing is known.
    let vague = |radius: f64| {
        let Place::Known(record) = place("CH", 47.37, 8.54, "Europe/Zurich", 64_499) else { unreachable!() };
        Place::Known(PlaceRecord { radius: Some(Kilometers(radius)), ..record })
    };
    assert!(travels(Scene { place: vague(20.0), at: soon - HOUR + 60_000, ..abroad(soon) }), "490 km in a minute");
    assert!(!travels(Scene { place: vague(500.0), at: soon - HOUR + 60_000, ..abroad(soon) }));
}

#[test]
fn a_genuine_traveller_is_asked_once() {
    let mut baseline = weekdays(4);
    let assessment = assess(&abroad(NEXT), &known(&baseline));
    assert!(assessment.inherent().value() >= THIRTY, "{assessment:?}");
    assert!(assessment.remaining(&assessment.answerable()).value() < THIRTY, "a passkey answers it");
    baseline.learn(&abroad(NEXT).learned(Strength::StepUp));
    assert!(value(&abroad(NEXT + 2 * HOUR), &known(&baseline)) < THIRTY, "and it is learned");
}

#[test]
fn other_evidence_is_not_answered() {
    let baseline = weekdays(4);
    let answered = assess(&abroad(NEXT), &known(&baseline)).answerable();
    let elsewhere = Scene { address: "198.51.100.200", place: place("US", 40.7, -74.0, "America/New_York", 64_499), ..abroad(NEXT) };
    let assessment = assess(&elsewhere, &known(&baseline));
    assert!(assessment.remaining(&answered).value() >= THIRTY, "{assessment:?}");
}

#[test]
fn a_subject_of_whom_nothing_is_known_is_asked_where_they_can_answer() {
    let baseline = Baseline::empty();
    let asked = assess(&at_home(NEXT), &known(&baseline));
    assert_eq!(asked.inherent().value(), THIRTY, "{asked:?}");
    assert_eq!(points(&asked), 30);
    assert!(asked.reasons().iter().any(|reason| reason.signal == Signal::History && reason.points == 30));
    assert_eq!(asked.remaining(&asked.answerable()), RiskScore::MIN);
    let cannot = Known { is_asked_when_unknown: false, ..known(&baseline) };
    assert_eq!(value(&at_home(NEXT), &cannot), 0, "nobody is locked out for being new");
    let once = Baseline::fold(&[at_home(NEXT).learned(Strength::StepUp)]);
    assert_eq!(value(&at_home(NEXT + DAY), &known(&once)), 0, "one step-up is enough at home");
    assert!(value(&Scene { cookie: None, ..abroad(NEXT + DAY) }, &known(&once)) >= THIRTY, "and enough to tell a thief");
}

#[test]
fn after_a_year_and_a_half_away_nothing_is_known_any_more() {
    let once = Baseline::fold(&[at_home(NEXT).learned(Strength::StepUp)]);
    assert_eq!(value(&at_home(NEXT + DAY), &known(&once)), 0);
    assert!(value(&at_home(NEXT + 550 * DAY), &known(&once)) >= THIRTY, "the floor is back");
    assert!(once.weight_at(Timestamp(NEXT + 120 * DAY)) < 0.51);
    assert_eq!(once.weight_at(Timestamp(NEXT - DAY)), once.weight(), "nobody fades backwards");
}

#[test]
fn a_grant_answers_what_was_seen_and_nothing_like_it() {
    let usual = |at: i64| Scene { hints: Hints { ja4: Some("t13d1715h2_aa_bb"), ..Hints::default() }, ..at_home(at) };
    let events: Vec<_> = (0..20).map(|day| usual(MONDAY + day * DAY + 9 * HOUR).learned(Strength::StepUp)).collect();
    let baseline = Baseline::fold(&events);
    let noon = assess(&usual(NEXT), &known(&baseline)).answerable();
    let remains = |scene: &Scene<'_>| {
        let assessment = assess(scene, &known(&baseline));
        let left = assessment.evidence().items().iter().filter(|item| item.nats > 0.0 && !noon.contains(&item.digest));
        left.map(|item| item.signal).collect::<Vec<_>>()
    };
    let other = Hints { ja4: Some("t13d0912h1_cc_dd"), ..Hints::default() };
    assert!(remains(&Scene { hints: other, ..usual(NEXT) }).contains(&Signal::Client), "a forged handshake");
    assert!(remains(&Scene { agent: &FIREFOX.replace("130.0", "115.0"), ..usual(NEXT) }).contains(&Signal::Client), "a downgrade");
    assert!(remains(&usual(NEXT + 16 * HOUR)).contains(&Signal::Hour), "the night");
}

#[test]
fn nobody_makes_an_office_of_an_anonymizer_or_an_alibi_of_a_kiosk() {
    let baseline = weekdays(4);
    let organisation = Organisation { prefix: 3, network: 3, churn: Churn::default(), device: 3 };
    let known = Known { organisation, ..known(&baseline) };
    let away = Scene { address: "198.51.100.7", place: lyon(), ..at_home(NEXT) };
    assert_eq!(nats(&assess(&away, &known), Signal::Network), 0.0, "an office");
    let listed = Sighting { anonymizer: true, ..away.sighting() };
    assert!(nats(&judge(&listed, &known), Signal::Network) > 1.0, "a rented exit");
    let nowhere = Known { organisation: Organisation { prefix: 0, ..organisation }, ..known };
    let kiosk = |at: Scene<'static>| Scene { cookie: Some("kiosk"), ..at };
    assert!(nats(&assess(&kiosk(abroad(NEXT)), &nowhere), Signal::Device) > 2.0, "its cookie, from far away");
    assert_eq!(nats(&assess(&kiosk(at_home(NEXT)), &nowhere), Signal::Device), 0.0);
}

#[test]
fn who_stops_saying_what_they_are_is_somebody_else() {
    let baseline = weekdays(4);
    let trail = Trail::begin(&at_home(NEXT).sighting());
    let known = Known { trail: Some(&trail), ..known(&baseline) };
    let silent = Sighting { client: None, ..at_home(NEXT + HOUR).sighting() };
    assert!(nats(&judge(&silent, &known), Signal::Session) > 1.0);
    let unreadable = FIREFOX.replace("130.0", "99999.0");
    let client = |agent: &str| nats(&assess(&Scene { agent, ..at_home(NEXT) }, &known), Signal::Client);
    assert!(client(&unreadable) > client(FIREFOX) + 0.9, "a version that cannot be read is no newer one");
}

#[test]
fn a_subject_with_keys_is_expected_to_prove_one() {
    let keyed = |at: i64| Scene { key: Some("jkt:laptop"), ..at_home(at) };
    let events: Vec<_> = (0..20).map(|day| keyed(MONDAY + day * DAY + 9 * HOUR).learned(Strength::StepUp)).collect();
    let baseline = Baseline::fold(&events);
    let device = |scene: &Scene<'_>| nats(&assess(scene, &known(&baseline)), Signal::Device);
    assert!(device(&keyed(NEXT)) < -3.0);
    assert!(device(&at_home(NEXT)) > 2.0, "its cookie was copied and its key was not");
    assert!(device(&Scene { cookie: Some("new"), ..at_home(NEXT) }) > 4.0);
    assert!(device(&Scene { cookie: Some("new"), key: Some("jkt:new"), ..at_home(NEXT) }) > 2.0, "a key of one's own proves nothing");
}

#[test]
fn with_a_key_of_the_past_it_does_not_matter_from_where() {
    let own = |scene: Scene<'static>| Scene { cookie: None, key: Some("jkt:laptop"), ..scene };
    let events: Vec<_> = (0..20).map(|day| own(at_home(MONDAY + day * DAY + 9 * HOUR)).learned(Strength::StepUp)).collect();
    let baseline = Baseline::fold(&events);
    let trail = Trail::begin(&own(at_home(NEXT)).sighting());
    let known = Known { trail: Some(&trail), ..known(&baseline) };
    let placed = |scene: Scene<'static>, known: &Known<'_>| {
        let assessment = assess(&scene, known);
        [Signal::Network, Signal::Travel, Signal::Session].map(|signal| nats(&assessment, signal))
    };
    let keyed = own(abroad(NEXT));
    assert!(placed(keyed.clone(), &known).into_iter().all(|nats| nats <= 0.0), "{:?}", placed(keyed.clone(), &known));
    // A new key, and a key that is a client's and not a person's, are as good as a new device.
    let stranger = Scene { key: Some("jkt:thief"), ..keyed.clone() };
    let shared = Known { organisation: Organisation { device: 3, ..Organisation::default() }, ..known };
    for (scene, known) in [(stranger, &known), (keyed.clone(), &shared)] {
        assert!(placed(scene.clone(), known).into_iter().sum::<f64>() > 4.0, "{:?}", placed(scene, known));
    }
    assert_eq!(nats(&assess(&keyed, &shared), Signal::Device), 0.0, "the key of many is nobody's");
    // Another client under the same key is still another client.
    let swapped = Scene { agent: "curl/8.0", ..keyed };
    assert!(nats(&assess(&swapped, &known), Signal::Session) > 0.0);
}

#[test]
fn a_kiosk_is_neither_credit_nor_blame() {
    let baseline = weekdays(4);
    let shared = Known { organisation: Organisation { device: 4, ..Organisation::default() }, ..known(&baseline) };
    assert_eq!(nats(&assess(&at_home(NEXT), &shared), Signal::Device), 0.0);
    assert_eq!(nats(&assess(&Scene { cookie: Some("kiosk"), ..at_home(NEXT) }, &shared), Signal::Device), 0.0);
}

#[test]
fn an_updated_browser_with_a_cleared_cookie_resembles_its_device() {
    let hints = Hints {
        platform: Some("\"Linux\""),
        platform_version: Some("\"6.8\""),
        language: Some("fr-FR"),
        mobile: Some("?0"),
        ..Hints::default()
    };
    let usual = |at: i64| Scene { hints, ..at_home(at) };
    let events: Vec<_> = (0..10).map(|day| usual(MONDAY + day * DAY + 9 * HOUR).learned(Strength::StepUp)).collect();
    let baseline = Baseline::fold(&events);
    let newer = FIREFOX.replace("130.0", "142.0");
    let cleared = Scene { cookie: None, agent: &newer, ..usual(NEXT) };
    let stranger = Scene { hints: Hints { platform_version: Some("\"5.4\""), language: Some("de"), ..hints }, ..cleared.clone() };
    let device = |scene: &Scene<'_>| nats(&assess(scene, &known(&baseline)), Signal::Device);
    assert!(device(&cleared) < device(&stranger) * 0.6, "{} {}", device(&cleared), device(&stranger));
    let few = Scene { hints: Hints::default(), ..cleared.clone() };
    assert_eq!(device(&few), device(&stranger), "an agent string alone resembles nothing");
}

#[test]
fn an_office_and_a_mobile_carrier_are_what_the_organisation_makes_them() {
    let baseline = weekdays(4);
    let organisation = |prefix, network, churn| Organisation { prefix, network, churn, device: 0 };
    let network = |organisation| {
        let known = Known { organisation, ..known(&baseline) };
        nats(&assess(&Scene { address: "198.51.100.7", place: lyon(), ..at_home(NEXT) }, &known), Signal::Network)
    };
    let unknown = network(organisation(0, 0, Churn::default()));
    let common = network(organisation(0, 8, Churn::default()));
    let carrier = network(organisation(0, 8, Churn { events: 40, moved: 36 }));
    let office = network(organisation(3, 3, Churn::default()));
    assert!(unknown > common && common > carrier && carrier > office, "{unknown} {common} {carrier} {office}");
    assert_eq!(office, 0.0);
    // Within a carrier that the subject uses, a new prefix is nothing; within a line at home it is something.
    let moved = |churn| {
        let known = Known { organisation: organisation(0, 8, churn), ..known(&baseline) };
        nats(&assess(&Scene { address: "198.51.100.7", ..at_home(NEXT) }, &known), Signal::Network)
    };
    assert!(moved(Churn { events: 40, moved: 36 }) < 0.0 && moved(Churn { events: 40, moved: 1 }) > 0.2);
}

#[test]
fn old_habits_fade_into_new_ones() {
    let mut baseline = weekdays(4);
    let moved = |at: i64| Scene { address: "198.51.100.7", place: lyon(), ..at_home(at) };
    let first = nats(&assess(&moved(NEXT), &known(&baseline)), Signal::Network);
    (0..300).for_each(|day| {
        baseline.learn(&moved(NEXT + day * DAY).learned(Strength::StepUp));
    });
    let later = NEXT + 300 * DAY;
    assert!(first > 1.0);
    assert!(nats(&assess(&moved(later), &known(&baseline)), Signal::Network) < -2.0);
}

#[test]
fn unknown_places_never_score_below_familiar_ones() {
    let baseline = weekdays(4);
    let familiar = value(&at_home(NEXT), &known(&baseline));
    for gap in [PlaceGap::NoDatabase, PlaceGap::Stale, PlaceGap::NotFound, PlaceGap::NoAddress] {
        assert!(value(&Scene { place: Place::Unknown(gap), ..at_home(NEXT) }, &known(&baseline)) >= familiar);
    }
    let private = Scene { address: "10.0.0.7", ..at_home(NEXT) };
    let sighting = private.sighting();
    assert!(sighting.private && sighting.country.is_none() && sighting.prefix.is_none());
    assert_eq!(nats(&assess(&private, &known(&baseline)), Signal::Network), 0.0, "no location is no evidence");
}

#[test]
fn coming_from_where_no_database_looks_gains_nothing() {
    let baseline = weekdays(4);
    let network =
        |place: Place| nats(&assess(&Scene { address: "198.18.1.7", place, ..at_home(NEXT) }, &known(&baseline)), Signal::Network);
    let unlisted = network(Place::Unknown(PlaceGap::NotFound));
    let abroad = network(Place::Known(PlaceRecord { country: Country::new("BR"), ..PlaceRecord::default() }));
    assert_eq!(unlisted, abroad, "as new as any other country");
    assert!(unlisted > network(Place::Unknown(PlaceGap::NoDatabase)), "our own gap says less");
}

#[test]
fn a_browser_update_is_not_a_new_client_and_a_downgrade_is_something() {
    let baseline = weekdays(4);
    let client = |agent: &str| nats(&assess(&Scene { agent, ..at_home(NEXT) }, &known(&baseline)), Signal::Client);
    let usual = client(FIREFOX);
    assert_eq!(client(&FIREFOX.replace("130.0", "139.0")), usual);
    assert_eq!(client(&FIREFOX.replace("130.0", "129.0")), usual, "one version is a rollout");
    assert!(client(&FIREFOX.replace("130.0", "115.0")) > usual + 0.9);
    assert!(client(CHROME) > 1.0, "another browser on a known device");
}

#[test]
fn events_that_name_no_client_say_nothing_against_one() {
    let unnamed = |at: i64| LearnedEvent { client: None, ..at_home(at).learned(Strength::StepUp) };
    let mut baseline = Baseline::fold(&(0..20).map(|day| unnamed(MONDAY + day * DAY)).collect::<Vec<_>>());
    let client = |baseline: &Baseline| nats(&assess(&at_home(MONDAY + 21 * DAY), &known(baseline)), Signal::Client);
    assert!(client(&baseline).abs() < 1e-6, "{}", client(&baseline));
    baseline.learn(&at_home(MONDAY + 20 * DAY).learned(Strength::StepUp));
    assert!(client(&baseline) < -0.5, "one that named it makes it known: {}", client(&baseline));
}

#[test]
fn a_handshake_contradicts_its_client() {
    let usual = |at: i64| Scene { hints: Hints { ja4: Some("t13d1715h2_aa_bb"), ..Hints::default() }, ..at_home(at) };
    let events: Vec<_> = (0..10).map(|day| usual(MONDAY + day * DAY + 9 * HOUR).learned(Strength::StepUp)).collect();
    let baseline = Baseline::fold(&events);
    let client = |scene: &Scene<'_>| nats(&assess(scene, &known(&baseline)), Signal::Client);
    let other = Hints { ja4: Some("t13d0912h1_cc_dd"), ..Hints::default() };
    assert!(client(&Scene { hints: other, ..usual(NEXT) }) > 1.9);
    let newer = FIREFOX.replace("130.0", "131.0");
    assert!(client(&Scene { hints: other, agent: &newer, ..usual(NEXT) }) < 0.0, "an update brings its own handshake");
    assert!(client(&Scene { hints: Hints::default(), ..usual(NEXT) }) < 0.0, "a proxy that stops telling is no contradiction");
}

#[test]
fn hints_win_over_the_agent() {
    let read = |hints: Hints<'_>| Client::read(Some(CHROME), &hints).map(|client| (String::from(client.family), client.version));
    assert_eq!(read(Hints::default()), Some(("Chrome/Windows/desktop".to_owned(), 131)));
    let edge = Hints {
        brands: Some("\"Chromium\";v=\"133\", \"Not(A:Brand\";v=\"99\", \"Microsoft Edge\";v=\"134\""),
        platform: Some("\"macOS\""),
        mobile: Some("?0"),
        ..Hints::default()
    };
    assert_eq!(read(edge), Some(("Edge/MacOs/desktop".to_owned(), 134)));
    assert_eq!(Client::read(None, &Hints::default()), None);
    let samsung = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36";
    let read = |agent: &str| Client::read(Some(agent), &Hints::default()).map(|client| (String::from(client.family), client.version));
    assert_eq!(read(samsung), Some(("Samsung/Android/mobile".to_owned(), 26)));
    assert_eq!(read("curl/8.5.0"), Some(("Tool/Other/desktop".to_owned(), 8)));
    assert_eq!(read(&"é".repeat(10_000)), Some(("Other/Other/desktop".to_owned(), 0)));
}

#[test]
fn spraying_is_worse_than_a_slip() {
    let baseline = weekdays(4);
    let failing =
        |failures: Failures| nats(&judge(&Sighting { failures, ..at_home(NEXT).sighting() }, &known(&baseline)), Signal::Failures);
    assert_eq!(failing(Failures { sprayed: 1, ..Failures::default() }), 0.0, "one subject is no spray");
    assert!(failing(Failures { subject: 1, ..Failures::default() }) < failing(Failures { sprayed: 4, ..Failures::default() }));
    assert!(failing(Failures { denials: 1_000, ..Failures::default() }) <= 0.2, "an application that polls is no attacker");
    let all = Failures { subject: 9, address: 9, device: 9, denials: 9, sprayed: 9 };
    let abroad = Scene { cookie: None, ..abroad(NEXT) };
    let assessment = judge(&Sighting { failures: all, ..abroad.sighting() }, &known(&baseline));
    assert!(assessment.remaining(&assessment.answerable()).value() < THIRTY, "failures alone shut nobody out");
}

#[test]
fn hard_rules_are_answered_by_no_passkey() {
    let baseline = weekdays(4);
    let home = at_home(NEXT).sighting();
    let hard = [
        Sighting { binding: BindingState::Missing, ..home.clone() },
        Sighting { binding: BindingState::Mismatch, ..home.clone() },
        Sighting { counter_regressed: true, ..home.clone() },
    ];
    for sighting in hard {
        let assessment = judge(&sighting, &known(&baseline));
        assert_eq!(assessment.inherent(), RiskScore::MAX);
        assert_eq!(assessment.remaining(&assessment.answerable()), RiskScore::MAX);
        assert_eq!(points(&assessment), 100);
    }
    let proved = Sighting { binding: BindingState::Proved, ..home };
    assert_eq!(judge(&proved, &known(&baseline)).inherent(), RiskScore::MIN, "no false alarm");
}

#[test]
fn distances_are_great_circles() {
    let check = |a: (f64, f64), b: (f64, f64), expected: f64| {
        let Kilometers(found) = distance(Coordinates { lat: a.0, lon: a.1 }, Coordinates { lat: b.0, lon: b.1 });
        assert!((found - expected).abs() < expected * 0.005 + 0.1, "{a:?} {b:?}: {found}");
    };
    check((48.8566, 2.3522), (1.3521, 103.8198), 10_727.0);
    check((0.0, 179.9), (0.0, -179.9), 22.2);
    check((90.0, 0.0), (90.0, 123.0), 0.0);
    check((0.0, 0.0), (0.0, 180.0), 20_015.0);
}

#[test]
fn what_the_lists_know_is_told_apart_from_what_is_not_shown() {
    let baseline = weekdays(4);
    let home = baseline.familiarity(&at_home(NEXT).sighting());
    let known = [home.address, home.prefix, home.network, home.country, home.device, home.client];
    assert!(known.iter().all(|weight| weight.is_some_and(|weight| weight > 10.0 && weight <= home.learned)), "{home:?}");
    let thief = baseline.familiarity(&Scene { cookie: None, ..abroad(NEXT) }.sighting());
    assert_eq!((thief.address, thief.network, thief.country, thief.device), (Some(0.0), Some(0.0), Some(0.0), None));
}

#[test]
fn a_pointer_raises_a_score_and_a_passkey_answers_what_it_saw() {
    let baseline = weekdays(4);
    let told = |nats, is_replay| Behavior { nats, is_replay, text: "the pointer".to_owned() };
    let home = at_home(NEXT);
    let judge = |behavior: &Behavior| assess(&home, &Known { behavior: Some(behavior), ..known(&baseline) });
    let (own, other, replay) = (judge(&told(0.0, false)), judge(&told(3.0, false)), judge(&told(3.0, true)));
    assert_eq!(own.inherent(), assess(&home, &known(&baseline)).inherent(), "the owner's own is quiet");
    assert!(other.inherent() > own.inherent() && replay.inherent() == other.inherent(), "{other:?}");
    assert_eq!(other.remaining(&other.answerable()), own.inherent());
    for answered in [&own, &replay] {
        assert_eq!(other.remaining(&answered.answerable()), other.inherent(), "another finding is not answered");
    }
}
