//! A capsule answers as the facts would, for its own presentation, and for no other.

use countersign_risk::Trail;
use countersign_sdk_types::DeviceId;
use proptest::prelude::*;

use super::*;
use crate::decide::tests::{From, at, facts, identified, seed};
use crate::decide::{decide, sight};
use crate::request::Scheme;

const CHROME: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

fn credentials() -> Credentials {
    Credentials { token: Some((Scheme::Bearer, "t".to_owned())), device: DeviceId::new("laptop").ok(), ..Credentials::default() }
}

fn at_home() -> (Identified, Facts) {
    let identified = identified("GET", From::Paris, CHROME, Some("laptop"));
    let mut facts = facts("admin", From::Paris);
    facts.trail = Some(Trail::begin(&sight(&identified, &facts, at(9, 0))));
    (identified, facts)
}

/// As an edge gets it.
fn sent(capsule: &Capsule) -> Capsule {
    serde_json::from_str(&serde_json::to_string(capsule).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn it_answers_as_the_facts_do(action in "GET|DELETE|read", hour in 0..72_i64, minute in 0..60_i64) {
        let (snapshot, (home, facts)) = (seed(), at_home());
        let capsule = sent(&Capsule::of(&home, &credentials(), &facts, &sight(&home, &facts, at(0, 0))).unwrap());
        let asked = identified(&action, From::Paris, CHROME, Some("laptop"));
        let now = at(hour, minute);
        let alike = capsule.decide(&asked, &credentials(), &snapshot, now).unwrap();
        prop_assert_eq!(alike, decide(&asked, &facts, &snapshot, now));
    }
}

#[test]
fn it_holds_no_salt_and_answers_for_no_other_presentation() {
    let (snapshot, (home, facts)) = (seed(), at_home());
    let capsule = Capsule::of(&home, &credentials(), &facts, &sight(&home, &facts, at(9, 0))).unwrap();
    assert!(!serde_json::to_string(&capsule).unwrap().contains("salts"));
    let refused = |identified: &Identified, credentials: &Credentials| {
        assert!(capsule.decide(identified, credentials, &snapshot, at(9, 5)).is_none());
    };
    for from in [From::ParisElsewhere, From::Singapore, From::Nowhere] {
        refused(&identified("GET", from, CHROME, Some("laptop")), &credentials());
    }
    refused(&identified("GET", From::Paris, "curl/8", Some("laptop")), &credentials());
    refused(&identified("GET", From::Paris, CHROME, None), &credentials());
    let mut other = home.clone();
    other.subject.sub = "mallory".to_owned();
    refused(&other, &credentials());
    let mut other = home.clone();
    other.token.jti = Some("another".to_owned());
    refused(&other, &credentials());
    refused(&home, &Credentials { grant: Some("secret".to_owned()), ..credentials() });
    refused(&home, &Credentials { token: Some((Scheme::Bearer, "u".to_owned())), ..credentials() });
    refused(&home, &Credentials { session_cookie: Some("c".to_owned()), ..credentials() });
    assert!(capsule.decide(&home, &credentials(), &snapshot, at(8, 59)).is_none(), "before it was known");
}

#[test]
fn what_is_not_for_keeping_is_not_kept() {
    let (home, facts) = at_home();
    let sighting = sight(&home, &facts, at(9, 0));
    let kept = |identified: &Identified, credentials: &Credentials, facts: &Facts| Capsule::of(identified, credentials, facts, &sighting);
    assert!(kept(&home, &credentials(), &facts).is_some());
    assert!(kept(&home, &credentials(), &Facts { break_glass: true, ..facts.clone() }).is_none());
    assert!(kept(&home, &credentials(), &Facts { revoked: Some("subject".to_owned()), ..facts.clone() }).is_none());
    assert!(kept(&home, &credentials(), &Facts { locked_until: Some(at(10, 0)), ..facts.clone() }).is_none());
    assert!(kept(&home, &credentials(), &Facts { trail: None, ..facts.clone() }).is_none());
    assert!(kept(&home, &Credentials { proof: Some("p".to_owned()), ..credentials() }, &facts).is_none());
    assert!(kept(&Identified { binding: BindingState::Proved, ..home.clone() }, &credentials(), &facts).is_none());
    assert!(kept(&Identified { by: IdentifiedBy::Session, ..home.clone() }, &credentials(), &facts).is_none());
}
