//! Step-ups that are under way on this node: in memory, bounded, thread-safe, and gone with the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_sdk_types::{CeremonyId, CredentialId, Seconds, SubjectId};

use crate::failure::StepUpError;
use crate::relying_party::RelyingParty;
use crate::secret::{NoEntropy, Secret, SecretDigest};
use crate::table::Table;

mod demanding;
mod enrolling;
mod proved;
mod proving;
mod redeeming;

pub use demanding::{Demanded, Page};
pub use enrolling::{Authorization, Enrolment, NewCredential};
pub use proved::Proved;
pub use proving::{Enrolled, Holder, MOST_PASSKEYS};
pub use redeeming::Redeemed;

/// How long things live, and how many of them there are at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a demand: the time to follow the link.
    pub demand_life: Seconds,
    /// Of a ceremony, an enrolment and a ticket: the time to touch the authenticator.
    pub ceremony_life: Seconds,
    /// Of a code: the time to be redirected.
    pub code_life: Seconds,
    /// Failures after which a ceremony is gone.
    pub attempts: u8,
    /// Rows of each kind. A full table takes nothing new, and loses nothing old.
    pub most: usize,
    /// Demands of a session; the oldest goes.
    pub per_session: usize,
    /// Demands, codes and tickets of a subject; the oldest goes. So one stolen token cannot fill a table.
    pub per_subject: usize,
    /// Ceremonies of a demand, each in a browser of its own; the oldest goes.
    pub per_demand: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            demand_life: Seconds(600),
            ceremony_life: Seconds(120),
            code_life: Seconds(30),
            attempts: 3,
            most: 10_000,
            per_session: 8,
            per_subject: 32,
            per_demand: 4,
        }
    }
}

/// The step-ups of a node.
///
/// Its mutex is held to look up and to change rows, never while a signature is verified.
pub struct Ceremonies {
    party: RelyingParty,
    node: String,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    demands: Table<SubjectId, demanding::Demand>,
    /// By the demand that they answer.
    ceremonies: Table<SecretDigest, proving::Ceremony>,
    codes: Table<SubjectId, redeeming::Released>,
    enrolments: Table<SubjectId, enrolling::Pending>,
    tickets: Table<SubjectId, (SubjectId, CredentialId)>,
}

impl State {
    fn new(limits: Limits) -> Self {
        let Limits { demand_life, ceremony_life, code_life, most, .. } = limits;
        Self {
            demands: Table::new(demand_life, most),
            ceremonies: Table::new(ceremony_life, most),
            codes: Table::new(code_life, most),
            enrolments: Table::new(ceremony_life, most),
            tickets: Table::new(ceremony_life, most),
        }
    }
}

impl Ceremonies {
    /// No step-up yet. `node` names tenant or node and incarnation, as `main.7`; each ceremony's id begins with it.
    ///
    /// # Errors
    /// When the name of the node is empty, too long, or has other characters than letters, digits, `.`, `-` and `_`.
    pub fn new(party: RelyingParty, node: &str, limits: Limits) -> Result<Self, StepUpError> {
        let plain = node.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        // A dot and a secret of 43 characters follow.
        if !plain || node.is_empty() || node.len() > CeremonyId::MAX_LEN - 44 {
            return Err(StepUpError::Node);
        }
        Ok(Self { party, node: node.to_owned(), limits, state: Mutex::new(State::new(limits)) })
    }

    /// The relying party that asks for passkeys.
    #[must_use]
    pub const fn party(&self) -> &RelyingParty {
        &self.party
    }

    /// A row is changed in one assignment, so that a thread that panicked left none half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh_id(&self) -> Result<String, NoEntropy> {
        Ok(format!("{}.{}", self.node, Secret::fresh()?.reveal()))
    }
}

#[cfg(test)]
mod tests;
