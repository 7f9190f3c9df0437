//! Ceremonies, played with a software authenticator.

use countersign_pdp_demo::authenticator::{Quirks, SoftAuthenticator};
use countersign_sdk_types::{Acr, CredentialId, DecisionId, Digest, Fault, Host, Revision, SessionId, Tenant, Timestamp};
use serde_json::Value;

use super::*;
use crate::failure::Failure;

mod binding;
mod bounds;
mod enrolment;
mod fido;

const ORIGIN: &str = "http://auth.localhost:8080";
const HANDLE: [u8; 16] = *b"handle-of-alice!";
/// The value of the cookie of the performing browser.
const PRE: &str = "the cookie of the browser";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn subject(sub: &str) -> SubjectId {
    SubjectId { tenant: Tenant::new("main").unwrap(), iss: "http://issuer.localhost".to_owned(), sub: sub.to_owned() }
}

fn host(name: &str) -> Host {
    Host::new(name).unwrap()
}

fn demanded(acr: &str) -> Demanded {
    Demanded {
        subject: subject("alice"),
        session: SessionId::new("sid:1").unwrap(),
        host: host("payroll.localhost:8080"),
        return_to: "http://payroll.localhost:8080/salaries".to_owned(),
        request: Digest([7; 32]),
        acr: Acr::new(acr).unwrap(),
        max_age: Seconds(300),
        decision: DecisionId::new("main.7.1").unwrap(),
        revision: Revision::new("r1").unwrap(),
    }
}

/// Alice has a passkey since second 0. Demands are made at second 100, everything else happens at 101 unless told.
/// The passkey behind a grant.
fn passkey() -> CredentialId {
    CredentialId::new("behind-the-grant").unwrap()
}

struct World {
    ceremonies: Ceremonies,
    device: SoftAuthenticator,
    enrolled: Vec<Enrolled>,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default(), Quirks::default())
    }

    fn with(limits: Limits, quirks: Quirks) -> Self {
        let party = RelyingParty::new(ORIGIN, "Countersign").unwrap();
        let ceremonies = Ceremonies::new(party, "main.7", limits).unwrap();
        let mut world = Self { ceremonies, device: SoftAuthenticator::with(quirks), enrolled: Vec::new() };
        world.enroll(at(0));
        world.device.quirks = Quirks::default();
        world
    }

    fn enrolment(&self, sub: &str) -> Enrolment {
        let existing = self.enrolled.iter().map(|one| one.id.clone()).collect();
        let name = format!("{sub}@example.com");
        Enrolment { subject: subject(sub), user_handle: HANDLE, name, existing, authorization: Authorization::Grant(passkey()) }
    }

    fn enroll(&mut self, now: Timestamp) {
        let (id, options) = self.ceremonies.begin_enrolment(Enrolment { existing: Vec::new(), ..self.enrolment("alice") }, now).unwrap();
        let response = self.device.register(&options, ORIGIN).unwrap();
        let new = self.ceremonies.finish_enrolment(&id, response.to_string().as_bytes(), now).unwrap();
        let NewCredential { id, passkey, backup_eligible, .. } = new;
        self.enrolled.push(Enrolled { id, passkey, created: now, backup_eligible });
    }

    fn open(&self) -> CeremonyId {
        let link = self.ceremonies.demand(demanded(Acr::PHR), at(100)).unwrap();
        self.follow(&link, PRE)
    }

    fn follow(&self, link: &Secret, pre: &str) -> CeremonyId {
        self.ceremonies.open(link.reveal(), &host("payroll.localhost:8080"), SecretDigest::of(pre), at(101)).unwrap()
    }

    fn challenge(&self, ceremony: &CeremonyId) -> Result<Value, StepUpError> {
        self.ceremonies.challenge(ceremony.as_str(), Holder { user_handle: HANDLE, enrolled: &self.enrolled }, at(101))
    }

    /// Challenges, and answers with the device as it is.
    fn answer(&mut self, ceremony: &CeremonyId) -> Value {
        let options = self.challenge(ceremony).unwrap();
        self.device.assert(&options, ORIGIN).unwrap()
    }

    fn prove(&self, ceremony: &CeremonyId, response: &Value) -> Result<Proved, Failure> {
        self.ceremonies.prove(ceremony.as_str(), response.to_string().as_bytes(), at(101))
    }

    fn answer_and_prove(&mut self, ceremony: &CeremonyId) -> Result<Proved, Failure> {
        let response = self.answer(ceremony);
        self.prove(ceremony, &response)
    }

    /// A code that was released at second 101.
    fn code(&mut self) -> Secret {
        let ceremony = self.open();
        let proved = self.answer_and_prove(&ceremony).unwrap();
        self.ceremonies.release(proved, at(101)).unwrap()
    }

    fn redeem(&self, code: &Secret) -> Result<Redeemed, StepUpError> {
        self.ceremonies.redeem(code.reveal(), &host("payroll.localhost:8080"), PRE, at(102))
    }
}

#[test]
fn from_a_denied_request_to_a_proof_in_the_same_browser() {
    let mut world = World::new();
    let ceremony = world.open();
    assert!(ceremony.as_str().starts_with("main.7.") && ceremony.as_str().len() == 50, "{ceremony}");
    let page = world.ceremonies.page(ceremony.as_str(), at(101)).unwrap();
    assert_eq!(page, Page { host: host("payroll.localhost:8080"), acr: Acr::phr(), expires: at(221) });
    assert_eq!(world.ceremonies.subject(ceremony.as_str(), at(101)).unwrap(), subject("alice"));
    let proved = world.answer_and_prove(&ceremony).unwrap();
    assert_eq!((proved.demanded(), proved.ceremony(), proved.at()), (&demanded(Acr::PHR), &ceremony, at(101)));
    assert_eq!((proved.credential(), proved.counter(), proved.backup_eligible()), (&world.enrolled[0].id, 2, false));
    let code = world.ceremonies.release(proved, at(101)).unwrap();
    let redeemed = world.redeem(&code).unwrap();
    assert_eq!((redeemed.ceremony, &*redeemed.demanded), (ceremony, &demanded(Acr::PHR)));
    assert_eq!((redeemed.credential, redeemed.acr, redeemed.at), (world.enrolled[0].id.clone(), Acr::phrh(), at(101)));
}

#[test]
fn the_options_ask_for_verification_of_the_listed_passkeys() {
    let world = World::new();
    let options = world.challenge(&world.open()).unwrap();
    let options = &options["publicKey"];
    assert_eq!((&options["rpId"], &options["userVerification"]), (&"auth.localhost".into(), &"required".into()));
    assert_eq!(options["allowCredentials"][0]["id"], world.enrolled[0].id.as_str());
    assert_eq!(options["timeout"], 120_000);
    assert_eq!(options.get("extensions"), None);
    assert_eq!(options["challenge"].as_str().unwrap().len(), 43);
}

#[test]
fn the_updated_passkey_is_the_one_to_store() {
    let mut world = World::new();
    for counter in 2..5 {
        let ceremony = world.open();
        let proved = world.answer_and_prove(&ceremony).unwrap();
        assert_eq!(proved.counter(), counter);
        world.enrolled[0].passkey = proved.passkey().clone();
    }
}

#[test]
fn the_level_that_is_reached_depends_on_the_passkey() {
    let mut world = World::with(Limits::default(), Quirks { backup_eligible: true, ..Quirks::default() });
    assert!(world.enrolled[0].backup_eligible);
    world.device.quirks.backup_eligible = true;
    let ceremony = world.open();
    assert_eq!(world.answer_and_prove(&ceremony).unwrap().acr(), &Acr::phr());
}

#[test]
fn a_node_is_named_by_plain_characters() {
    let party = RelyingParty::new(ORIGIN, "Countersign").unwrap();
    let outcome = |node: &str| Ceremonies::new(party.clone(), node, Limits::default()).err();
    assert_eq!(outcome(&"n".repeat(52)), None);
    for node in ["", &"n".repeat(53), "main/7", "main 7", "mäin"] {
        assert_eq!(outcome(node), Some(StepUpError::Node), "{node}");
    }
}

#[test]
fn an_error_says_who_is_at_fault() {
    assert_eq!(StepUpError::Unknown.fault(), Fault::Unauthenticated);
    assert_eq!(StepUpError::Level(Acr::phr()).fault(), Fault::Policy);
    assert_eq!(StepUpError::AccountName.fault(), Fault::Malformed);
    assert_eq!(StepUpError::Full.fault(), Fault::Unavailable);
    assert_eq!(Failure::Refused(crate::Refusal::Kind).fault(), Fault::Malformed);
    assert_eq!(Failure::NotVerified.fault(), Fault::Unauthenticated);
    assert_eq!(Failure::Unstorable.fault(), Fault::Unavailable);
}
