//! What a proof is bound to: one challenge, one ceremony, one subject, one browser, one host, a short time.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;

fn text(outcome: Result<Proved, Failure>) -> String {
    outcome.map_or_else(|failure| failure.to_string(), |_| "proved".to_owned())
}

#[test]
fn an_answer_counts_for_its_ceremony_only() {
    let mut world = World::new();
    let (link, other) =
        (world.open(), world.ceremonies.demand(Demanded { request: Digest([8; 32]), ..demanded(Acr::PHR) }, at(100)).unwrap());
    let other = world.follow(&other, PRE);
    world.challenge(&other).unwrap();
    let response = world.answer(&link);
    assert_eq!(text(world.prove(&other, &response)), "the response answers another challenge");
    assert_eq!(text(world.prove(&link, &response)), "proved");
}

#[test]
fn an_answer_counts_once() {
    let mut world = World::new();
    let ceremony = world.open();
    let response = world.answer(&ceremony);
    assert_eq!(text(world.prove(&ceremony, &response)), "proved");
    assert_eq!(text(world.prove(&ceremony, &response)), "ceremony is unknown, spent or expired");
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unknown));
}

#[test]
fn a_new_challenge_replaces_the_last_and_each_takes_one_answer() {
    let mut world = World::new();
    let ceremony = world.open();
    assert_eq!(text(world.prove(&ceremony, &json!({}))), "no challenge is waiting for an answer");
    let old = world.answer(&ceremony);
    let new = world.answer(&ceremony);
    assert_eq!(text(world.prove(&ceremony, &old)), "the response answers another challenge");
    assert_eq!(text(world.prove(&ceremony, &new)), "no challenge is waiting for an answer");
    assert_eq!(text(world.answer_and_prove(&ceremony)), "proved");
}

#[test]
fn one_of_a_thousand_parallel_posts_succeeds() {
    let mut world = World::new();
    let ceremony = world.open();
    let response = world.answer(&ceremony);
    let (proved, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    match world.prove(&ceremony, &response) {
                        Ok(_) => proved.fetch_add(1, Ordering::Relaxed),
                        Err(Failure::NoChallenge | Failure::Unknown) => failed.fetch_add(1, Ordering::Relaxed),
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
    });
    assert_eq!((proved.into_inner(), failed.into_inner()), (1, 999));
}

#[test]
fn everything_expires() {
    let mut world = World::new();
    let protected = host("payroll.localhost:8080");
    let link = world.ceremonies.demand(demanded(Acr::PHR), at(100)).unwrap();
    let open = |now| world.ceremonies.open(link.reveal(), &protected, SecretDigest::of(PRE), now);
    assert_eq!(open(at(700)), Err(StepUpError::Unknown));
    let ceremony = open(at(699)).unwrap();
    let holder = Holder { user_handle: HANDLE, enrolled: &world.enrolled };
    assert_eq!(world.ceremonies.page(ceremony.as_str(), at(819)), Err(StepUpError::Unknown));
    assert_eq!(world.ceremonies.subject(ceremony.as_str(), at(819)), Err(StepUpError::Unknown));
    assert_eq!(world.ceremonies.challenge(ceremony.as_str(), holder, at(819)), Err(StepUpError::Unknown));
    let options = world.ceremonies.challenge(ceremony.as_str(), holder, at(818)).unwrap();
    assert_eq!(options["publicKey"]["timeout"], 1_000);
    let response = world.device.assert(&options, ORIGIN).unwrap().to_string();
    let late = world.ceremonies.prove(ceremony.as_str(), response.as_bytes(), at(819));
    assert_eq!(text(late), "ceremony is unknown, spent or expired");
    let proved = world.ceremonies.prove(ceremony.as_str(), response.as_bytes(), at(818)).unwrap();
    assert_eq!(world.ceremonies.release(proved, at(938)).unwrap_err(), StepUpError::Unknown);
}

#[test]
fn another_users_passkey_proves_nothing() {
    let (alice, mut mallory) = (World::new(), World::new());
    let ceremony = alice.open();
    let mut options = alice.challenge(&ceremony).unwrap();
    options["publicKey"]["allowCredentials"][0]["id"] = json!(mallory.enrolled[0].id.as_str());
    let response = mallory.device.assert(&options, ORIGIN).unwrap();
    assert_eq!(text(alice.prove(&ceremony, &response)), "the passkey was not asked for");
    let theirs = alice.enrolled[0].id.as_str();
    let mut options = alice.challenge(&ceremony).unwrap();
    options["publicKey"]["allowCredentials"][0]["id"] = json!(mallory.enrolled[0].id.as_str());
    let mut response = mallory.device.assert(&options, ORIGIN).unwrap();
    (response["id"], response["rawId"]) = (json!(theirs), json!(theirs));
    assert_eq!(text(alice.prove(&ceremony, &response)), "the response does not verify");
}

#[test]
fn a_response_of_a_registration_is_no_assertion() {
    let mut world = World::new();
    let ceremony = world.open();
    world.challenge(&ceremony).unwrap();
    let (_, options) = world.ceremonies.begin_enrolment(world.enrolment("alice"), at(101)).unwrap();
    let options = json!({"publicKey": {"rp": options["publicKey"]["rp"], "user": options["publicKey"]["user"], "challenge": "AAAA"}});
    world.device.quirks.extension_results = Some(json!({}));
    let response = world.device.register(&options, ORIGIN).unwrap();
    assert_eq!(text(world.prove(&ceremony, &response)), "the response is of another kind");
}

#[test]
fn a_passkey_that_is_younger_than_the_demand_does_not_count() {
    let mut world = World::new();
    let ceremony = world.open();
    world.enrolled.clear();
    world.enroll(at(100));
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::NotEnrolled));
    world.enroll(at(99));
    let options = world.challenge(&ceremony).unwrap();
    assert_eq!(options["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1);
}

#[test]
fn a_passkey_that_can_be_copied_does_not_reach_phrh() {
    let mut world = World::with(Limits::default(), Quirks { backup_eligible: true, ..Quirks::default() });
    let link = world.ceremonies.demand(demanded(Acr::PHRH), at(100)).unwrap();
    let ceremony = world.follow(&link, PRE);
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::NotEnrolled));
    world.enrolled[0].backup_eligible = false;
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unreadable), "the passkey itself knows better");
    world.enrolled[0].backup_eligible = true;
    world.enroll(at(50));
    assert_eq!(world.answer_and_prove(&ceremony).unwrap().credential(), &world.enrolled[1].id);
}

#[test]
fn a_counter_that_goes_back_ends_the_ceremony() {
    let mut world = World::new();
    let ceremony = world.open();
    world.device.quirks.counter = Some(0);
    let failure = world.answer_and_prove(&ceremony).unwrap_err();
    assert!(matches!(failure, Failure::CounterRegressed { credential } if credential == world.enrolled[0].id));
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unknown));
}

#[test]
fn the_third_failure_ends_the_ceremony() {
    let mut world = World::new();
    let ceremony = world.open();
    world.device.quirks.unverified = true;
    for _ in 0..3 {
        assert_eq!(text(world.answer_and_prove(&ceremony)), "the user was not verified");
    }
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unknown));
}

#[test]
fn posts_without_a_challenge_are_not_attempts() {
    let mut world = World::new();
    let ceremony = world.open();
    for _ in 0..9 {
        assert_eq!(text(world.prove(&ceremony, &json!({}))), "no challenge is waiting for an answer");
    }
    assert_eq!(text(world.answer_and_prove(&ceremony)), "proved");
}

#[test]
fn a_code_counts_once_in_its_browser_on_its_host_for_30_seconds() {
    let protected = host("payroll.localhost:8080");
    let attempts = [
        (host("other.localhost:8080"), PRE, at(102), StepUpError::OtherHost),
        (host("payroll.localhost"), PRE, at(102), StepUpError::OtherHost),
        (protected.clone(), "the cookie of another browser", at(102), StepUpError::OtherBrowser),
        (protected.clone(), "", at(102), StepUpError::OtherBrowser),
        (protected.clone(), PRE, at(131), StepUpError::Unknown),
    ];
    for (host, pre, now, expected) in attempts {
        let mut world = World::new();
        let code = world.code();
        assert_eq!(world.ceremonies.redeem(code.reveal(), &host, pre, now).unwrap_err(), expected);
        assert_eq!(world.redeem(&code).unwrap_err(), StepUpError::Unknown, "burned by {expected}");
    }
    let mut world = World::new();
    let code = world.code();
    assert!(world.ceremonies.redeem(code.reveal(), &protected, PRE, at(130)).is_ok());
    assert_eq!(world.redeem(&code).unwrap_err(), StepUpError::Unknown);
}

#[test]
fn a_link_opens_on_its_own_host() {
    let world = World::new();
    let link = world.ceremonies.demand(demanded(Acr::PHR), at(100)).unwrap();
    let open = |link: &str, name: &str| world.ceremonies.open(link, &host(name), SecretDigest::of(PRE), at(101));
    assert_eq!(open(link.reveal(), "other.localhost:8080"), Err(StepUpError::OtherHost));
    assert_eq!(open("guessed", "payroll.localhost:8080"), Err(StepUpError::Unknown));
}

#[test]
fn a_demand_is_for_a_level_and_a_way_back() {
    let world = World::new();
    let demand = |demanded| world.ceremonies.demand(demanded, at(100)).map(drop);
    assert_eq!(demand(demanded("gold")), Err(StepUpError::Level(Acr::new("gold").unwrap())));
    for address in ["/salaries", "javascript:alert(1)", "", &format!("http://payroll.localhost/{}", "x".repeat(4_096))] {
        assert_eq!(demand(Demanded { return_to: address.to_owned(), ..demanded(Acr::PHR) }), Err(StepUpError::ReturnTo), "{address}");
    }
}

#[test]
fn a_stored_passkey_that_cannot_be_read_is_an_error() {
    let mut world = World::new();
    let ceremony = world.open();
    let good = world.enrolled[0].clone();
    world.enrolled[0].passkey = json!({});
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unreadable));
    world.enrolled[0] = Enrolled { id: CredentialId::new("AAAA").unwrap(), ..good };
    assert_eq!(world.challenge(&ceremony), Err(StepUpError::Unreadable));
}
