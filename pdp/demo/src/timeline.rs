//! Who was at the payroll, from where, at which hour, and what came of it. It lives as long as the process.

use std::sync::Mutex;

use crate::attack::Attack;
use crate::backstage::Place;

/// The oldest are forgotten first.
const MOST: usize = 40;

/// Who was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The person at the browser.
    Alice,
    /// Whoever holds a copy of her token.
    Attacker,
}

/// What came of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Let in.
    Allowed,
    /// Sent to a ceremony.
    Asked,
    /// No token, or one that is not taken.
    Unknown,
    /// Denied.
    Refused,
    /// Nobody could decide.
    Failed,
}

/// One visit to the payroll.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// When, in Paris, as people read it.
    pub at: String,
    /// Who.
    pub who: Who,
    /// From where.
    pub place: Place,
    /// What came of it.
    pub outcome: Outcome,
    /// The decision, where one was made.
    pub decision: Option<String>,
    /// The risk that it saw, 0 to 100.
    pub risk: Option<u8>,
}

impl Visit {
    /// The name of who it was.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.who {
            Who::Alice => "alice",
            Who::Attacker => "the attacker",
        }
    }

    /// What came of it, in words.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match self.outcome {
            Outcome::Allowed => "let in",
            Outcome::Asked => "asked for a passkey",
            Outcome::Unknown => "asked to sign in",
            Outcome::Refused => "refused",
            Outcome::Failed => "could not be decided",
        }
    }

    /// Somebody was let in.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

/// Everything that happened in this run.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    visits: Vec<Visit>,
    attack: Option<Attack>,
    worked: bool,
    travelled: bool,
    proved: bool,
    attacked_after: bool,
}

/// What of the story has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// Alice was let in, at home.
    pub worked: bool,
    /// An attack was made, and stopped.
    pub attacked: bool,
    /// Alice was let in abroad.
    pub travelled: bool,
    /// Alice was asked for her passkey abroad, before that.
    pub proved: bool,
    /// An attack was made after that, and stopped.
    pub attacked_again: bool,
}

impl Timeline {
    /// Adds a visit.
    pub fn saw(&self, visit: Visit) {
        let Ok(mut past) = self.0.lock() else { return };
        if visit.who == Who::Alice && visit.is_allowed() {
            past.worked |= visit.place == Place::Paris;
            past.travelled |= visit.place == Place::Singapore;
        }
        past.proved |= visit.who == Who::Alice && visit.place == Place::Singapore && visit.outcome == Outcome::Asked && !past.travelled;
        past.visits.push(visit);
        let surplus = past.visits.len().saturating_sub(MOST);
        past.visits.drain(..surplus);
    }

    /// Keeps the last attack.
    pub fn attacked(&self, attack: Attack) {
        let Ok(mut past) = self.0.lock() else { return };
        past.attacked_after = past.travelled && attack.is_stopped();
        past.attack = Some(attack);
    }

    /// The visits, the latest first.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.0.lock().map(|past| past.visits.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// The last attack.
    #[must_use]
    pub fn attack(&self) -> Option<Attack> {
        self.0.lock().ok().and_then(|past| past.attack.clone())
    }

    /// What has happened so far.
    #[must_use]
    pub fn happened(&self) -> Happened {
        let happened = |past: &Past| Happened {
            worked: past.worked,
            attacked: past.attack.as_ref().is_some_and(Attack::is_stopped),
            travelled: past.travelled,
            proved: past.proved,
            attacked_again: past.attacked_after,
        };
        self.0.lock().map(|past| happened(&past)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
