//! The story, played without a browser: every step says what it expects, and the story holds only if every step came out as told.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::attack::{self, Attack, REACHED, TOKEN_COOKIE};
use crate::authenticator::SoftAuthenticator;
use crate::backstage::{Backstage, MORNING, NIGHT, Place};
use crate::visitor::{Page, Stage, VisitError, Visitor};

/// What alice's browser says of itself.
pub const AGENT: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// One step as it came out.
#[derive(Debug, Clone)]
pub struct Step {
    /// What happens.
    pub told: String,
    /// It came out as told.
    pub held: bool,
    /// What was seen.
    pub seen: String,
}

/// The whole story as it came out.
#[derive(Debug, Clone, Default)]
pub struct Played {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Why the attacker was stopped, as the operator sees it.
    pub why: String,
}

impl Played {
    /// Every step came out as told.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.held)
    }
}

struct Story {
    stage: Stage,
    backstage: Arc<dyn Backstage>,
    alice: Visitor,
    passkey: SoftAuthenticator,
    played: Played,
}

/// Plays the story.
///
/// # Errors
/// When the demonstration does not answer at all.
pub async fn play(stage: Stage, backstage: Arc<dyn Backstage>, passkey: SoftAuthenticator) -> Result<Played, VisitError> {
    let alice = Visitor::new(stage.clone(), AGENT, Place::Paris.address());
    let mut story = Story { stage, backstage, alice, passkey, played: Played::default() };
    story.a_working_day().await?;
    story.a_stolen_token().await?;
    story.the_owner_travels().await?;
    Ok(story.played)
}

impl Story {
    fn tell(&mut self, told: &str, held: bool, seen: impl Into<String>) {
        let told = format!("{}  {told}", self.backstage.clock());
        self.played.steps.push(Step { told, held, seen: seen.into() });
    }

    async fn a_working_day(&mut self) -> Result<(), VisitError> {
        self.backstage.wait_until(MORNING);
        let signed_in = self.alice.post(&self.stage.url("payroll", "/sign-in"), &json!({})).await?;
        self.tell("alice signs in from Paris", self.token().is_some(), line(&signed_in));
        let enrolled = self.enroll().await?;
        self.tell("she enrols a passkey with a one-time code of the operator's", self.backstage.passkeys() == 1, line(&enrolled));
        let page = self.alice.get(&self.stage.url("payroll", "/payroll")).await?;
        self.tell("she opens the payroll", reached(&page), line(&page));
        Ok(())
    }

    async fn a_stolen_token(&mut self) -> Result<(), VisitError> {
        self.backstage.wait_until(NIGHT);
        let attack = self.attack().await?;
        for attempt in &attack.attempts {
            self.tell(&format!("the attacker {}", attempt.tried), attempt.stopped, attempt.seen.clone());
        }
        let why = attack.decision.as_deref().and_then(|decision| self.backstage.why(decision));
        self.tell("the operator sees why", why.as_ref().is_some_and(|why| why.contains("network")), attack.decision.unwrap_or_default());
        self.played.why = why.unwrap_or_default();
        Ok(())
    }

    async fn the_owner_travels(&mut self) -> Result<(), VisitError> {
        self.alice.travel(Place::Singapore.address());
        let asked = self.alice.get(&self.stage.url("payroll", "/payroll")).await?;
        self.tell("alice herself is in Singapore: she is asked for her passkey", asked.location.is_some(), line(&asked));
        let (page, proof, ceremony) = self.step_up(&asked).await?;
        self.tell("she touches it, and passes", reached(&page), line(&page));
        let replayed = self.alice.post(&format!("{ceremony}/proof"), &proof).await?;
        self.tell("the same proof a second time is refused", replayed.status != 200, line(&replayed));
        let again = self.alice.get(&self.stage.url("payroll", "/payroll")).await?;
        self.tell("she goes on without being asked again", reached(&again), line(&again));
        let attack = self.attack().await?;
        let seen = attack.attempts.last().map(|attempt| attempt.seen.clone()).unwrap_or_default();
        self.tell("the attacker, with the same token, is still stopped", attack.is_stopped(), seen);
        Ok(())
    }

    fn token(&self) -> Option<&str> {
        self.alice.cookie("payroll", TOKEN_COOKIE)
    }

    async fn attack(&self) -> Result<Attack, VisitError> {
        attack::attack(&self.stage, self.token().unwrap_or_default()).await
    }

    async fn enroll(&mut self) -> Result<Page, VisitError> {
        let code = self.backstage.enroll_code().await.unwrap_or_default();
        let begun = self.alice.post(&self.stage.url("auth", "/enroll/begin"), &json!({"code": code})).await?;
        let options: Value = serde_json::from_str(&begun.body).unwrap_or_default();
        let credential = self.passkey.register(&options, &self.stage.url("auth", "")).unwrap_or_default();
        let body = json!({"enrolment": options.get("enrolment"), "label": "software key", "credential": credential});
        self.alice.post(&self.stage.url("auth", "/enroll/finish"), &body).await
    }

    /// Through the ceremony, as the page's script does it. Also gives the proof and the ceremony's address, for those who would replay it.
    async fn step_up(&mut self, asked: &Page) -> Result<(Page, Value, String), VisitError> {
        let page = self.alice.follow(asked.location.as_deref().unwrap_or_default()).await?;
        let ceremony = page.url.clone();
        let challenge = self.alice.post(&format!("{ceremony}/challenge"), &json!({})).await?;
        let options = serde_json::from_str(&challenge.body).unwrap_or_default();
        let proof = self.passkey.assert(&options, &self.stage.url("auth", "")).unwrap_or_default();
        let proved = self.alice.post(&format!("{ceremony}/proof"), &proof).await?;
        let location: Value = serde_json::from_str(&proved.body).unwrap_or_default();
        let location = location.get("location").and_then(Value::as_str).unwrap_or_default();
        let page = if location.is_empty() { proved } else { self.alice.follow(location).await? };
        Ok((page, proof, ceremony))
    }
}

fn reached(page: &Page) -> bool {
    page.status == 200 && page.body.contains(REACHED)
}

fn line(page: &Page) -> String {
    let place = page.location.as_deref().map(|location| format!(" to {}", location.split('?').next().unwrap_or_default()));
    format!("{}{}", page.status, place.unwrap_or_default())
}
