//! The story, played without a browser: every step says what it expects, and the story holds only if every step came out as told.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::attack::{self, Attack, TOKEN_COOKIE, judged};
use crate::authenticator::SoftAuthenticator;
use crate::backstage::{Backstage, MORNING, NIGHT, Place};
use crate::visitor::{Page, Stage, VisitError, Visitor};
use crate::why::Why;

/// What alice's browser says of itself.
pub const AGENT: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// One step as it came out.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// When, in Paris, as people read it.
    pub at: String,
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
    pub why: Option<Why>,
}

impl Played {
    /// Every step came out as told.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.held)
    }
}

const LET_IN: &str = "let in";
const ASKED: &str = "asked for a passkey";

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
        self.played.steps.push(Step { at: self.backstage.clock(), told: told.to_owned(), held, seen: seen.into() });
    }

    /// Tells a visit that is let in, or one that is asked for a passkey, or one that is refused.
    fn told_of(&mut self, told: &str, page: &Page, wanted: &str) {
        let seen = judged(told, page).seen;
        self.tell(told, seen.starts_with(wanted), seen);
    }

    async fn a_working_day(&mut self) -> Result<(), VisitError> {
        self.backstage.wait_until(MORNING);
        let signed_in = self.alice.post(&self.stage.url("payroll", "/sign-in"), &json!({})).await?;
        self.tell("alice signs in from Paris", self.token().is_some(), format!("a token for a day ({})", signed_in.status));
        let before = self.backstage.passkeys();
        let enrolled = self.enroll().await?;
        let held = self.backstage.passkeys() == before + 1;
        self.tell("alice enrols a passkey with the operator's one-time code", held, format!("enrolled ({})", enrolled.status));
        let page = self.payroll().await?;
        self.told_of("alice opens the payroll", &page, LET_IN);
        Ok(())
    }

    async fn a_stolen_token(&mut self) -> Result<(), VisitError> {
        self.backstage.wait_until(NIGHT);
        let attack = self.attack().await?;
        for attempt in &attack.attempts {
            self.tell(&format!("the attacker {}", attempt.tried), attempt.stopped, attempt.seen.clone());
        }
        let why = attack.decision.as_deref().and_then(|decision| self.backstage.why(decision));
        let seen = why.as_ref().and_then(|why| why.risk).map_or_else(|| "nothing".to_owned(), |risk| format!("risk {risk} of 100"));
        self.tell("the operator sees why", why.as_ref().is_some_and(|why| why.weighing().next().is_some()), seen);
        self.played.why = why;
        Ok(())
    }

    async fn the_owner_travels(&mut self) -> Result<(), VisitError> {
        self.alice.travel(Place::Singapore.address());
        let asked = self.payroll().await?;
        self.told_of("alice herself opens the payroll, in Singapore", &asked, ASKED);
        if let Some(link) = &asked.location {
            let (page, proof, ceremony) = self.step_up(link).await?;
            self.told_of("alice touches her passkey", &page, LET_IN);
            let replayed = self.alice.post(&format!("{ceremony}/proof"), &proof).await?;
            self.told_of("the same proof is sent once more", &replayed, "refused");
        }
        let again = self.payroll().await?;
        self.told_of("alice goes on", &again, LET_IN);
        let attack = self.attack().await?;
        let seen = attack.attempts.last().map(|attempt| attempt.seen.clone()).unwrap_or_default();
        self.tell("the attacker goes on with the same token", attack.is_stopped(), seen);
        Ok(())
    }

    async fn payroll(&mut self) -> Result<Page, VisitError> {
        self.alice.get(&self.stage.url("payroll", "/payroll")).await
    }

    fn token(&self) -> Option<&str> {
        self.alice.cookie("payroll", TOKEN_COOKIE)
    }

    async fn attack(&self) -> Result<Attack, VisitError> {
        attack::attack(&self.stage, self.token().unwrap_or_default(), self.backstage.clock()).await
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
    async fn step_up(&mut self, link: &str) -> Result<(Page, Value, String), VisitError> {
        let page = self.alice.follow(link).await?;
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

#[cfg(test)]
mod tests;
