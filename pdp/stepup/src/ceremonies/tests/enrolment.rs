//! New passkeys: what is asked for, what is accepted, and what allows it.

use serde_json::json;

use super::*;

fn outcome(world: &World, id: &str, response: &Value) -> Result<NewCredential, String> {
    world.ceremonies.finish_enrolment(id, response.to_string().as_bytes(), at(1)).map_err(|failure| failure.to_string())
}

fn begin(world: &World) -> (String, Value) {
    let fresh = Enrolment { authorization: Authorization::Code(Digest([9; 32])), ..world.enrolment("alice") };
    world.ceremonies.begin_enrolment(fresh, at(1)).unwrap()
}

/// A second authenticator, that misbehaves.
#[track_caller]
fn check(quirks: Quirks, expected: &str) {
    let world = World::new();
    let mut device = SoftAuthenticator::with(quirks);
    let (id, options) = begin(&world);
    let response = device.register(&options, ORIGIN).unwrap();
    assert_eq!(outcome(&world, &id, &response).unwrap_err(), expected);
}

#[test]
fn the_options_say_what_is_wanted() {
    let world = World::new();
    let (id, options) = begin(&world);
    let options = &options["publicKey"];
    assert!(id.starts_with("main.7."), "{id}");
    assert_eq!(options["rp"], json!({"id": "auth.localhost", "name": "Countersign"}));
    assert_eq!((&options["user"]["name"], &options["user"]["id"]), (&json!("alice@example.com"), &json!("aGFuZGxlLW9mLWFsaWNlIQ")));
    assert_eq!((&options["attestation"], &options["timeout"]), (&json!("none"), &json!(120_000)));
    let selection = json!({"residentKey": "preferred", "requireResidentKey": false, "userVerification": "required"});
    assert_eq!(options["authenticatorSelection"], selection);
    assert_eq!(options["excludeCredentials"], json!([{"type": "public-key", "id": world.enrolled[0].id.as_str()}]));
    let extensions =
        json!({"credProps": true, "credentialProtectionPolicy": "userVerificationRequired", "enforceCredentialProtectionPolicy": false});
    assert_eq!(options["extensions"], extensions);
}

#[test]
fn a_new_passkey_tells_what_allowed_it() {
    let world = World::new();
    let (id, options) = begin(&world);
    let quirks = Quirks { backup_eligible: true, backed_up: true, counter: Some(5), ..Quirks::default() };
    let response = SoftAuthenticator::with(quirks).register(&options, ORIGIN).unwrap();
    let new = outcome(&world, &id, &response).unwrap();
    assert_eq!((new.subject, new.authorization), (subject("alice"), Authorization::Code(Digest([9; 32]))));
    assert_eq!((new.id.as_str(), new.backup_eligible, new.counter), (response["id"].as_str().unwrap(), true, 5));
    assert_eq!((&new.passkey["cred"]["backup_eligible"], &new.passkey["cred"]["counter"]), (&json!(true), &json!(5)));
    assert_eq!(outcome(&world, &id, &response).unwrap_err(), "ceremony is unknown, spent or expired");
}

#[test]
fn what_misbehaves_is_not_enrolled() {
    check(Quirks { unverified: true, ..Quirks::default() }, "the user was not verified");
    check(Quirks { absent: true, ..Quirks::default() }, "no user was present");
    check(Quirks { rp_id: Some("localhost".to_owned()), ..Quirks::default() }, "the response was made for another relying party");
    check(Quirks { origin: Some("http://localhost:8080".to_owned()), ..Quirks::default() }, "the response was made on another origin");
    check(Quirks { cross_origin: true, ..Quirks::default() }, "the response was made inside another page");
    check(Quirks { top_origin: Some(ORIGIN.to_owned()), ..Quirks::default() }, "the response was made inside another page");
    check(Quirks { backed_up: true, ..Quirks::default() }, "the backup state of the passkey has changed");
    check(Quirks { leftover: vec![0], ..Quirks::default() }, "member `attestationObject` is missing or malformed");
    let results = Some(json!({"credProps": {"rk": true}, "prf": {"enabled": true}}));
    let unsolicited = "the response has results of extensions that were not asked for";
    check(Quirks { extension_results: results, ..Quirks::default() }, unsolicited);
    let challenge = [("challenge".to_owned(), json!("AAAAAAAAAAAAAAAAAAAAAA"))].into_iter().collect();
    check(Quirks { client_data: challenge, ..Quirks::default() }, "the response answers another challenge");
}

#[test]
fn an_assertion_is_no_registration() {
    let mut world = World::new();
    let ceremony = world.open();
    let response = world.answer(&ceremony);
    let (id, _) = begin(&world);
    assert_eq!(outcome(&world, &id, &response).unwrap_err(), "the response is of another kind");
}

#[test]
fn a_passkey_that_is_there_is_not_enrolled_again() {
    let world = World::new();
    let (id, mut options) = begin(&world);
    let mut device = SoftAuthenticator::new();
    let response = device.register(&options, ORIGIN).unwrap();
    let new = outcome(&world, &id, &response).unwrap();
    let existing = Enrolment { existing: vec![new.id], ..world.enrolment("alice") };
    let (id, again) = world.ceremonies.begin_enrolment(existing, at(1)).unwrap();
    assert!(device.register(&again, ORIGIN).is_err(), "an honest authenticator refuses");
    options["publicKey"]["challenge"] = again["publicKey"]["challenge"].clone();
    assert_eq!(outcome(&world, &id, &response).unwrap_err(), "the passkey is already enrolled");
}

#[test]
fn a_subject_has_one_enrolment_and_it_expires() {
    let world = World::new();
    let ((old, _), (new, _)) = (begin(&world), begin(&world));
    let finish = |id: &str, now| world.ceremonies.finish_enrolment(id, b"{}", now).unwrap_err().to_string();
    assert_eq!(finish(&old, at(1)), "ceremony is unknown, spent or expired");
    assert_eq!(finish(&new, at(121)), "ceremony is unknown, spent or expired");
    let (new, _) = begin(&world);
    assert_eq!(finish(&new, at(120)), "member `id` is missing or malformed");
}

#[test]
fn a_ticket_is_spent_once_within_two_minutes() {
    let world = World::new();
    let ticket = || world.ceremonies.ticket(subject("alice"), passkey(), at(1)).unwrap();
    let spend = |ticket: &Secret, now| world.ceremonies.spend_ticket(ticket.reveal(), now);
    let good = ticket();
    assert_eq!(spend(&good, at(120)), Ok((subject("alice"), passkey())));
    assert_eq!(spend(&good, at(120)), Err(StepUpError::Unknown));
    assert_eq!(spend(&ticket(), at(121)), Err(StepUpError::Unknown));
}

#[test]
fn an_account_has_a_name_and_readable_passkeys() {
    let world = World::new();
    let begin = |enrolment| world.ceremonies.begin_enrolment(enrolment, at(1)).map(drop);
    for name in ["", "  ", &"n".repeat(257)] {
        let unnamed = Enrolment { name: name.to_owned(), ..world.enrolment("alice") };
        assert_eq!(begin(unnamed), Err(StepUpError::AccountName), "{name}");
    }
    let odd = Enrolment { existing: vec![CredentialId::new("+/+=").unwrap()], ..world.enrolment("alice") };
    assert_eq!(begin(odd), Err(StepUpError::Unreadable));
}
