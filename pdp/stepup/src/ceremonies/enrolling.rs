//! New passkeys, and the tickets that let a browser with a live grant ask for one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::{CredentialId, Digest, SubjectId, Timestamp};
use serde_json::{Value, json};
use webauthn_rs::prelude::{PasskeyRegistration, RegisterPublicKeyCredential, Uuid};

use super::Ceremonies;
use super::proving::{MOST_PASSKEYS, set_timeout};
use crate::failure::{Failure, StepUpError};
use crate::registration;
use crate::response::Refusal;
use crate::secret::{Secret, SecretDigest};

/// What allows an enrolment. The `acr` of a token never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// An operator's code for one enrolment of one subject, by its digest.
    Code(Digest),
    /// A live grant that this passkey made, shown by a [ticket](Ceremonies::ticket).
    Grant(CredentialId),
}

/// Who enrols a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Whose passkey it will be.
    pub subject: SubjectId,
    /// What their passkeys call them: the same for all, and nothing that names a person.
    pub user_handle: [u8; 16],
    /// The account's name, shown by authenticators.
    pub name: String,
    /// The passkeys that they have: an authenticator that holds one makes no second.
    pub existing: Vec<CredentialId>,
    /// What allows it.
    pub authorization: Authorization,
}

/// A passkey that was just made. It counts once the server has stored it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCredential {
    /// Whose it is.
    pub subject: SubjectId,
    /// What allowed it.
    pub authorization: Authorization,
    /// The WebAuthn credential id. The caller checks that nobody else has it.
    pub id: CredentialId,
    /// What a later challenge needs.
    pub passkey: Value,
    /// Whether it may be copied to other devices.
    pub backup_eligible: bool,
    /// Its signature counter.
    pub counter: u32,
}

pub(super) struct Pending {
    subject: SubjectId,
    authorization: Authorization,
    existing: Vec<CredentialId>,
    state: PasskeyRegistration,
}

const LONGEST_NAME: usize = 256;

impl Ceremonies {
    /// Begins an enrolment: its id, and the options `{"publicKey": …}` of a creation. A subject has one; the last begun counts.
    ///
    /// # Errors
    /// When the name is empty or too long, there are too many passkeys, one of their ids is none, there is no place, or no entropy.
    pub fn begin_enrolment(&self, enrolment: Enrolment, now: Timestamp) -> Result<(String, Value), StepUpError> {
        let Enrolment { subject, user_handle, name, existing, authorization } = enrolment;
        check_name(&name)?;
        let exclude = exclude(&existing)?;
        let started = self.party.webauthn.start_passkey_registration(Uuid::from_bytes(user_handle), &name, &name, Some(exclude));
        let (options, state) = started.map_err(|_| StepUpError::NoChallenge)?;
        let mut options = serde_json::to_value(options).map_err(|_| StepUpError::NoChallenge)?;
        adjust(&mut options).ok_or(StepUpError::NoChallenge)?;
        set_timeout(&mut options, now.after(self.limits.ceremony_life), now);
        let id = self.fresh_id()?;
        let pending = Pending { subject: subject.clone(), authorization, existing, state };
        let enrolments = &mut self.state().enrolments;
        enrolments.leave(&subject, 0, |_| true);
        enrolments.insert(SecretDigest::of(&id), subject, pending, now)?;
        Ok((id, options))
    }

    /// Verifies the answer to an enrolment. Whatever comes out, the enrolment is spent.
    ///
    /// # Errors
    /// With the first reason for which no passkey is accepted.
    pub fn finish_enrolment(&self, id: &str, response: &[u8], now: Timestamp) -> Result<NewCredential, Failure> {
        let taken = self.state().enrolments.take(SecretDigest::of(id), now);
        taken.ok_or(Failure::Unknown)?.verify(self, response)
    }

    /// A ticket for one enrolment. The server gives it on a protected host, to a browser with a live grant of this subject, made by this passkey.
    ///
    /// # Errors
    /// When there is no place, or no entropy.
    pub fn ticket(&self, subject: SubjectId, credential: CredentialId, now: Timestamp) -> Result<Secret, StepUpError> {
        let ticket = Secret::fresh()?;
        let tickets = &mut self.state().tickets;
        tickets.leave(&subject, self.limits.per_subject.saturating_sub(1), |_| true);
        tickets.insert(ticket.digest(), subject.clone(), (subject, credential), now)?;
        Ok(ticket)
    }

    /// Spends a ticket; gives whose it was, and the passkey behind it.
    ///
    /// # Errors
    /// When the ticket is not there.
    pub fn spend_ticket(&self, ticket: &str, now: Timestamp) -> Result<(SubjectId, CredentialId), StepUpError> {
        self.state().tickets.take(SecretDigest::of(ticket), now).ok_or(StepUpError::Unknown)
    }
}

impl Pending {
    fn verify(self, ceremonies: &Ceremonies, response: &[u8]) -> Result<NewCredential, Failure> {
        let Self { subject, authorization, existing, state } = self;
        let screened = registration::screen(response, ceremonies.party.origin())?;
        let response: RegisterPublicKeyCredential = serde_json::from_value(screened.document).map_err(|_| Refusal::Member("credential"))?;
        let id = CredentialId::new(URL_SAFE_NO_PAD.encode(&response.raw_id)).map_err(|_| Refusal::Member("id"))?;
        if existing.contains(&id) {
            return Err(Failure::AlreadyEnrolled);
        }
        let finished = ceremonies.party.webauthn.finish_passkey_registration(&response, &state);
        let passkey = finished.map_err(|error| Failure::of(&error, id.clone()))?;
        let passkey = serde_json::to_value(passkey).map_err(|_| Failure::Unstorable)?;
        let (backup_eligible, counter) = (screened.backup_eligible, screened.counter);
        Ok(NewCredential { subject, authorization, id, passkey, backup_eligible, counter })
    }
}

fn check_name(name: &str) -> Result<(), StepUpError> {
    let fits = !name.trim().is_empty() && name.len() <= LONGEST_NAME;
    fits.then_some(()).ok_or(StepUpError::AccountName)
}

fn exclude(existing: &[CredentialId]) -> Result<Vec<Vec<u8>>, StepUpError> {
    if existing.len() >= MOST_PASSKEYS {
        return Err(StepUpError::TooManyPasskeys);
    }
    existing.iter().map(|id| URL_SAFE_NO_PAD.decode(id.as_str()).map_err(|_| StepUpError::Unreadable)).collect()
}

/// webauthn-rs discourages resident keys, and asks for `uvm`, of which no use is made.
fn adjust(options: &mut Value) -> Option<()> {
    *options.pointer_mut("/publicKey/authenticatorSelection/residentKey")? = json!("preferred");
    options.pointer_mut("/publicKey/extensions")?.as_object_mut()?.remove("uvm");
    Some(())
}
