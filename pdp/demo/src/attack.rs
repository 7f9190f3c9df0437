//! The attack: somebody who holds alice's valid token uses it from another place, with another device, and has not got her passkey.

use serde_json::json;

use crate::authenticator::SoftAuthenticator;
use crate::backstage::Place;
use crate::visitor::{Page, Stage, VisitError, Visitor};

/// What the attacker's browser says of itself.
pub const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// The cookie that carries the token.
pub const TOKEN_COOKIE: &str = "access_token";

/// One thing that the attacker tried, and what came of it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What was tried.
    pub tried: String,
    /// What came back, in one line.
    pub seen: String,
    /// It was stopped, by a demand for the passkey or by a refusal. A breakdown is neither.
    pub stopped: bool,
}

/// Everything that was tried.
#[derive(Debug, Clone)]
pub struct Attack {
    /// When, in Paris, as people read it.
    pub at: String,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// The decision that stopped the first one.
    pub decision: Option<String>,
}

/// Where the ceremony of a demand begins, on every protected host.
const STEP_UP: &str = "/.countersign/step-up";

impl Attack {
    /// Nothing of it got through.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        !self.attempts.is_empty() && self.attempts.iter().all(|attempt| attempt.stopped)
    }
}

/// What the payroll says to those who reach it.
pub const REACHED: &str = "Payroll of the demonstration";

/// Attacks with a stolen token, from Singapore.
///
/// # Errors
/// When the demonstration does not answer.
pub async fn attack(stage: &Stage, stolen: &str, at: String) -> Result<Attack, VisitError> {
    let mut thief = Visitor::new(stage.clone(), AGENT, Place::Singapore.address());
    thief.hold("payroll", TOKEN_COOKIE, stolen);
    let first = thief.get(&stage.url("payroll", "/payroll")).await?;
    let decision = first.decision.clone();
    let mut attempts = vec![judged("opens the payroll with the stolen token", &first)];
    if let Some(link) = &first.location {
        attempts.push(pretend(&mut thief, stage, link).await?);
    }
    let again = thief.get(&stage.url("payroll", "/payroll")).await?;
    attempts.push(judged("tries the payroll once more", &again));
    Ok(Attack { at, attempts, decision })
}

/// Follows the link to the ceremony and answers it with a key of the attacker's own.
async fn pretend(thief: &mut Visitor, stage: &Stage, link: &str) -> Result<Attempt, VisitError> {
    let page = thief.follow(link).await?;
    let ceremony = page.url.clone();
    let challenge = thief.post(&format!("{ceremony}/challenge"), &json!({})).await?;
    let options = serde_json::from_str(&challenge.body).unwrap_or_default();
    let origin = stage.url("auth", "");
    let forged = SoftAuthenticator::new().forge(&options, &origin);
    let answer = thief.post(&format!("{ceremony}/proof"), &forged.unwrap_or_default()).await?;
    Ok(judged("answers the demand with a key of his own", &answer))
}

/// What a visit came to. Only an answer that refuses counts as one.
pub(crate) fn judged(tried: &str, page: &Page) -> Attempt {
    let asked = page.location.as_deref().is_some_and(|location| location.contains(STEP_UP));
    let seen = match page.status {
        200 if page.body.contains(REACHED) => "let in",
        302 if asked => "asked for a passkey",
        401 => "asked to sign in",
        403 => "refused",
        410 => "refused: it is spent",
        200..300 => "accepted",
        _ => "something else",
    };
    let refused = matches!(page.status, 401 | 403 | 410) || page.status == 302 && asked;
    Attempt { tried: tried.to_owned(), seen: format!("{seen} ({})", page.status), stopped: refused && !page.body.contains(REACHED) }
}

#[cfg(test)]
mod tests;
