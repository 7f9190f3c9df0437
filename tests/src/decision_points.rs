//! One suite for everything that decides: the same questions, answers and codes, whether a decision point is asked over a network or lives in the process.
//!
//! A world says what every tested decision point must know; a case is one question in it. Who tests a decision point makes one for the world and calls
//! [`check`].

mod cases;
pub mod remote;

use std::path::Path;
use std::time::Duration;

use countersign_sdk_client::{Allow, Answer, Error, ErrorKind, Question};
use countersign_sdk_pep::DecisionPoint;
use countersign_sdk_types::{Action, Consistency, DenialCode, Entity, EvaluationRequest};
use serde_json::{Map, Value, json};

pub use self::cases::cases;
use crate::issuer::{AUDIENCE, ISS, Issuer};
use crate::process::PATIENCE;

/// The one host that is protected in the world.
pub const ORIGIN: &str = "https://payroll.example";
/// Its name.
pub const HOST: &str = "payroll.example";
/// Has a passkey that reaches `phr`, and no more than that. Nobody else has one.
pub const WITH_PASSKEY: &str = "carol";
/// The type of obligations that the world knows beside those of the profile (`authzen.obligations`).
pub const OBLIGATION: &str = "watermark";

/// What a decision point under test must know: one issuer, one host, one policy, and who has a passkey. It knows nothing else of anybody. It is asked by
/// an enforcement point that may state nothing: no subject, no address, no names.
#[derive(Debug, Default)]
pub struct World {
    /// The issuer that is trusted: [`ISS`], ES256, audience [`AUDIENCE`], its key set in [`Issuer::jwks`].
    pub issuer: Issuer,
    /// Another key under the same name, that nobody knows.
    pub forger: Issuer,
}

impl World {
    /// The policy, as a file of Rego: package `authz`.
    pub const POLICY: &str = include_str!("decision_points/policy/paths.rego");

    /// A token of the trusted issuer for a subject, valid now; `more` adds or replaces claims.
    #[must_use]
    pub fn token(&self, sub: &str, more: &Value) -> String {
        self.issuer.token(sub, more)
    }

    /// Writes the policy into a folder of its own.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_policy(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("paths.rego"), Self::POLICY).unwrap();
    }

    /// The configuration of the issuer and of what the world's policy may say, for a decision point that reads files; the key set is `jwks.json`.
    #[must_use]
    pub fn configuration() -> String {
        format!(
            "[[issuer]]\niss = \"{ISS}\"\njwks_file = \"jwks.json\"\nalgorithms = [\"ES256\"]\naudiences = [\"{AUDIENCE}\"]\n\
             [authzen]\nobligations = [\"{OBLIGATION}\"]\n"
        )
    }
}

/// A decision point that was made for a [`World`].
pub trait Tested {
    /// What it is.
    type Point: DecisionPoint;

    /// It.
    fn point(&self) -> &Self::Point;

    /// Revokes everything of a subject of the trusted issuer. What is asked after it returns is refused.
    fn revoke(&self, sub: &str);
}

/// What must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// An allow with these obligations, by id.
    Allow(&'static [&'static str]),
    /// A step-up to this level.
    StepUp(&'static str),
    /// A deny with this code; `None` where the client itself denies.
    Deny(Option<DenialCode>),
    /// No answer.
    Error(ErrorKind),
}

/// One question, and what must be answered.
pub struct Case {
    /// What it shows.
    pub name: &'static str,
    /// The question, made anew each time it is asked.
    pub question: Box<dyn Fn(&World) -> Question>,
    /// The answer.
    pub expected: Expected,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// A question about a request: `GET https://payroll.example{target}` with these headers, as the layer asks it.
#[must_use]
pub fn asks(target: &str, headers: &[(&str, &str)]) -> EvaluationRequest {
    let http = json!({"method": "GET", "scheme": "https", "host": HOST, "target": target, "headers": headers});
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    EvaluationRequest {
        subject: entity("token", "presented"),
        action: Action { name: "GET".to_owned(), properties: Map::new() },
        resource: entity("route", &format!("{HOST}{path}")),
        context: Map::from_iter([("http".to_owned(), http)]),
    }
}

/// The same with a bearer token.
#[must_use]
pub fn bears(target: &str, token: &str) -> EvaluationRequest {
    asks(target, &[("authorization", &format!("Bearer {token}"))])
}

fn entity(kind: &str, id: &str) -> Entity {
    Entity { kind: kind.to_owned(), id: id.to_owned(), properties: Map::new() }
}

/// What was answered, in the terms of [`Expected`].
fn answered(answer: &Result<Answer, Error>) -> String {
    match answer {
        Ok(Answer::Allow(allow)) => {
            let ids: Vec<&str> = allow.obligations().iter().map(|one| one.id.as_str()).collect();
            format!("Allow({ids:?})")
        }
        Ok(Answer::StepUp(step_up)) => format!("StepUp({:?})", step_up.acr().as_str()),
        Ok(Answer::Deny(deny)) => format!("Deny({:?})", deny.code()),
        Err(error) => format!("Error({:?})", error.kind()),
    }
}

/// Asks every case, and the laws that need more than one question.
///
/// # Panics
/// When an answer is not the expected one; all of them are told.
pub async fn check<T: Tested>(world: &World, tested: &T) {
    let mut wrong = Vec::new();
    for case in cases() {
        let said = answered(&tested.point().evaluate(&(case.question)(world)).await);
        let expected = format!("{:?}", case.expected);
        if said != expected {
            wrong.push(format!("{}: {said}, expected {expected}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases are answered differently:\n{}", wrong.len(), wrong.join("\n"));
    revocation_ends_what_was_allowed(world, tested).await;
    many_at_once_are_answered_alike(world, tested).await;
}

/// The laws of freshness: every allow says how fresh it is, that is a floor that its own decision point reaches, and what another log has seen is none.
///
/// # Panics
/// When one does not hold.
pub async fn check_freshness<T: Tested>(world: &World, tested: &T) {
    let token = world.token("alice", &json!({}));
    let question = || Question::new(bears("/open", &token));
    let allow = allowed(tested.point().evaluate(&question()).await);
    let fresh = allow.consistency().expect("an allow says how fresh it is");
    let again = allowed(tested.point().evaluate(&question().at_least(fresh)).await);
    assert!(again.consistency().is_some_and(|later| later.chain == fresh.chain && later.seq >= fresh.seq), "{again:?}");
    let elsewhere = Consistency { chain: !fresh.chain, seq: 1 };
    let ahead = Consistency { chain: fresh.chain, seq: u64::MAX };
    for floor in [elsewhere, ahead] {
        let said = answered(&tested.point().evaluate(&question().at_least(floor)).await);
        assert_eq!(said, format!("{:?}", Expected::Error(ErrorKind::Unavailable)), "{floor}");
    }
}

/// An allow that somebody relies on ends, and what is asked then is refused.
async fn revocation_ends_what_was_allowed<T: Tested>(world: &World, tested: &T) {
    let (mallory, alice) = (world.token("mallory", &json!({})), world.token("alice", &json!({})));
    let question = || Question::new(bears("/open", &mallory));
    let allow = allowed(tested.point().evaluate(&question()).await);
    assert!(allow.decision_id().is_some(), "an allow names its decision");
    tested.revoke("mallory");
    let ended = tokio::time::timeout(PATIENCE, tested.point().ended(&allow)).await;
    assert!(ended.is_ok(), "an allow of a revoked subject did not end within {PATIENCE:?}");
    let said = answered(&tested.point().evaluate(&question()).await);
    assert_eq!(said, format!("{:?}", Expected::Deny(Some(DenialCode::Revoked))));
    // Nobody else is refused for it.
    allowed(tested.point().evaluate(&Question::new(bears("/open", &alice))).await);
}

/// Answers do not get mixed up.
async fn many_at_once_are_answered_alike<T: Tested>(world: &World, tested: &T) {
    let token = world.token("alice", &json!({}));
    let asked = (0..64).map(|at| {
        let (point, target) = (tested.point().clone(), if at % 2 == 0 { "/open" } else { "/closed" });
        let question = Question::new(bears(target, &token));
        tokio::spawn(async move { (at % 2 == 0, point.evaluate(&question).await) })
    });
    for one in asked.collect::<Vec<_>>() {
        let (is_open, answer) = tokio::time::timeout(Duration::from_secs(60), one).await.unwrap().unwrap();
        assert_eq!(matches!(answer, Ok(Answer::Allow(_))), is_open, "{}", answered(&answer));
    }
}

#[track_caller]
fn allowed(answer: Result<Answer, Error>) -> Allow {
    match answer {
        Ok(Answer::Allow(allow)) => allow,
        other => panic!("not allowed: {}", answered(&other)),
    }
}
