//! Bounds on every table, and who displaces whom.

use super::*;

fn open(world: &World, link: &Secret, pre: &str) -> Result<CeremonyId, StepUpError> {
    world.ceremonies.open(link.reveal(), &host("payroll.localhost:8080"), SecretDigest::of(pre), at(101))
}

fn demand(world: &World, request: u8, session: &str) -> Secret {
    let session = SessionId::new(session).unwrap();
    world.ceremonies.demand(Demanded { request: Digest([request; 32]), session, ..demanded(Acr::PHR) }, at(100)).unwrap()
}

fn dead(world: &World, links: &[Secret]) -> Vec<usize> {
    let dead = |link: &Secret| open(world, link, PRE) == Err(StepUpError::Unknown);
    links.iter().enumerate().filter(|(_, link)| dead(link)).map(|(at, _)| at).collect()
}

#[test]
fn the_same_demand_again_kills_the_old_link_but_not_what_it_opened() {
    let mut world = World::new();
    let ceremony = world.open();
    let links = [demand(&world, 7, "sid:1"), demand(&world, 7, "sid:1"), demand(&world, 7, "sid:2")];
    assert_eq!(dead(&world, &links), [0]);
    assert!(world.answer_and_prove(&ceremony).is_ok());
}

#[test]
fn a_session_has_8_demands() {
    let world = World::new();
    let other = [demand(&world, 0, "sid:2")];
    let links: Vec<_> = (0..10).map(|request| demand(&world, request, "sid:1")).collect();
    assert_eq!(dead(&world, &links), [0, 1]);
    assert_eq!(dead(&world, &other), [0_usize; 0]);
}

#[test]
fn a_subject_has_32_demands() {
    let world = World::new();
    let links: Vec<_> = (0..35).map(|request| demand(&world, request, &format!("sid:{request}"))).collect();
    assert_eq!(dead(&world, &links), [0, 1, 2]);
}

#[test]
fn a_browser_has_one_ceremony_of_a_demand_and_a_demand_has_4() {
    let world = World::new();
    let link = demand(&world, 7, "sid:1");
    let first = open(&world, &link, PRE).unwrap();
    let again = open(&world, &link, PRE).unwrap();
    let is_open = |ceremony: &CeremonyId| world.ceremonies.page(ceremony.as_str(), at(101)).is_ok();
    assert!(!is_open(&first) && is_open(&again));
    let others: Vec<_> = (0..4).map(|browser| open(&world, &link, &browser.to_string()).unwrap()).collect();
    assert!(!is_open(&again) && others.iter().all(is_open));
}

#[test]
fn ceremonies_of_two_browsers_are_two() {
    let mut world = World::new();
    let link = demand(&world, 7, "sid:1");
    let (mine, other) = (open(&world, &link, PRE).unwrap(), open(&world, &link, "another").unwrap());
    let proved = world.answer_and_prove(&other).unwrap();
    let code = world.ceremonies.release(proved, at(101)).unwrap();
    assert_eq!(world.redeem(&code).unwrap_err(), StepUpError::OtherBrowser);
    assert!(world.challenge(&mine).is_ok());
}

#[test]
fn a_full_table_refuses() {
    let mut world = World::with(Limits { most: 2, ..Limits::default() }, Quirks::default());
    let demand = |sub: &str, now| world.ceremonies.demand(Demanded { subject: subject(sub), ..demanded(Acr::PHR) }, now);
    let links = [demand("alice", at(100)).unwrap(), demand("bob", at(100)).unwrap()];
    assert_eq!(demand("carol", at(699)).unwrap_err(), StepUpError::Full);
    assert!(demand("alice", at(699)).is_ok(), "who has a place keeps it");
    assert!(demand("carol", at(700)).is_ok(), "what has expired makes place");
    assert_eq!(open(&world, &links[0], PRE), Err(StepUpError::Unknown));
    let link = world.ceremonies.demand(demanded(Acr::PHR), at(100)).unwrap();
    let opened = [open(&world, &link, "1").unwrap(), open(&world, &link, "2").unwrap()];
    assert_eq!(open(&world, &link, "3"), Err(StepUpError::Full));
    let proved: Vec<_> = opened.iter().map(|ceremony| world.answer_and_prove(ceremony).unwrap()).collect();
    let ceremony = open(&world, &link, "3").unwrap();
    world.enrolled[0].passkey = proved[1].passkey().clone();
    for proof in proved {
        world.ceremonies.release(proof, at(101)).unwrap();
    }
    let third = world.answer_and_prove(&ceremony).unwrap();
    assert_eq!(world.ceremonies.release(third, at(101)).unwrap_err(), StepUpError::Full);
}

#[test]
fn enrolments_and_tickets_are_bounded_too() {
    let world = World::with(Limits { most: 2, per_subject: 2, ..Limits::default() }, Quirks::default());
    let ticket = |sub: &str| world.ceremonies.ticket(subject(sub), passkey(), at(100));
    let tickets = [ticket("alice").unwrap(), ticket("alice").unwrap(), ticket("alice").unwrap()];
    let spend = |ticket: &Secret| world.ceremonies.spend_ticket(ticket.reveal(), at(100));
    assert_eq!(ticket("bob").unwrap_err(), StepUpError::Full);
    assert_eq!(tickets.map(|ticket| spend(&ticket).is_ok()), [false, true, true]);
    let begin = |sub: &str| world.ceremonies.begin_enrolment(world.enrolment(sub), at(100)).map(drop);
    assert_eq!([begin("alice"), begin("bob"), begin("alice"), begin("carol")], [Ok(()), Ok(()), Ok(()), Err(StepUpError::Full)]);
}

#[test]
fn a_subject_has_32_passkeys() {
    let mut world = World::new();
    let one = world.enrolled[0].clone();
    world.enrolled = vec![one; MOST_PASSKEYS];
    assert!(world.challenge(&world.open()).is_ok());
    assert_eq!(world.ceremonies.begin_enrolment(world.enrolment("alice"), at(1)).unwrap_err(), StepUpError::TooManyPasskeys);
    world.enrolled.push(world.enrolled[0].clone());
    assert_eq!(world.challenge(&world.open()), Err(StepUpError::TooManyPasskeys));
}
