//! Challenges and their answers. Each challenge takes one answer, right or wrong.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk_types::{Acr, CeremonyId, CredentialId, Timestamp};
use serde_json::{Value, json};
use webauthn_rs::prelude::{Passkey, PasskeyAuthentication, PublicKeyCredential};

use super::{Ceremonies, Demanded, Proved};
use crate::assertion::{self, Expected};
use crate::failure::{Failure, StepUpError};
use crate::response::Refusal;
use crate::secret::SecretDigest;

/// The most passkeys of a subject.
pub const MOST_PASSKEYS: usize = 20;

/// A stored passkey.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrolled {
    /// The WebAuthn credential id.
    pub id: CredentialId,
    /// As [`NewCredential`](super::NewCredential) or the last [`Proved`] gave it.
    pub passkey: Value,
    /// When it was enrolled.
    pub created: Timestamp,
    /// Whether it may be copied to other devices.
    pub backup_eligible: bool,
}

/// The subject of a ceremony, as the store knows them.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// What their passkeys call them.
    pub user_handle: [u8; 16],
    /// Their passkeys.
    pub enrolled: &'a [Enrolled],
}

pub(super) struct Ceremony {
    id: CeremonyId,
    pub(super) demanded: Arc<Demanded>,
    demanded_at: Timestamp,
    pub(super) pre: SecretDigest,
    failures: u8,
    challenge: Option<Challenge>,
}

impl Ceremony {
    pub(super) const fn new(id: CeremonyId, demanded: Arc<Demanded>, demanded_at: Timestamp, pre: SecretDigest) -> Self {
        Self { id, demanded, demanded_at, pre, failures: 0, challenge: None }
    }
}

struct Challenge {
    state: PasskeyAuthentication,
    user_handle: [u8; 16],
    asked: Vec<Asked>,
}

/// A passkey that may answer.
struct Asked {
    id: CredentialId,
    passkey: Passkey,
    backup_eligible: bool,
}

struct Verified {
    credential: CredentialId,
    passkey: Value,
    counter: u32,
    backup_eligible: bool,
}

impl Ceremonies {
    /// The options `{"publicKey": …}` of a request for one of the holder's passkeys, user verification required.
    ///
    /// Only passkeys that were enrolled before the demand and reach its level count. A new challenge replaces the last one.
    ///
    /// # Errors
    /// When the ceremony is not there, no passkey counts, or a stored one cannot be read.
    pub fn challenge(&self, ceremony: &str, holder: Holder<'_>, now: Timestamp) -> Result<Value, StepUpError> {
        let key = SecretDigest::of(ceremony);
        let (acr, demanded_at) = {
            let mut state = self.state();
            let (row, _) = state.ceremonies.find(key, now).ok_or(StepUpError::Unknown)?;
            (row.demanded.acr.clone(), row.demanded_at)
        };
        let asked = asked(holder.enrolled, &acr, demanded_at)?;
        let passkeys: Vec<_> = asked.iter().map(|one| one.passkey.clone()).collect();
        let started = self.party.webauthn.start_passkey_authentication(&passkeys);
        let (options, state) = started.map_err(|_| StepUpError::NoChallenge)?;
        let mut options = serde_json::to_value(options).map_err(|_| StepUpError::NoChallenge)?;
        let challenge = Challenge { state, user_handle: holder.user_handle, asked };
        let mut state = self.state();
        let (row, expires) = state.ceremonies.find(key, now).ok_or(StepUpError::Unknown)?;
        row.challenge = Some(challenge);
        set_timeout(&mut options, expires, now);
        Ok(options)
    }

    /// Verifies the answer to the challenge of a ceremony. Whatever comes out, that challenge is spent; on success the ceremony is too.
    ///
    /// # Errors
    /// With the first reason for which the answer proves nothing. The ceremony is gone after [`Limits::attempts`](super::Limits) wrong
    /// answers, and at once when a counter went backwards.
    pub fn prove(&self, ceremony: &str, response: &[u8], now: Timestamp) -> Result<Proved, Failure> {
        let key = SecretDigest::of(ceremony);
        let challenge = self.take_challenge(key, now)?;
        match challenge.verify(self, response) {
            Ok(verified) => self.spend(key, verified, now),
            Err(failure) => {
                self.count(key, &failure, now);
                Err(failure)
            }
        }
    }

    fn take_challenge(&self, key: SecretDigest, now: Timestamp) -> Result<Challenge, Failure> {
        let mut state = self.state();
        let (row, _) = state.ceremonies.find(key, now).ok_or(Failure::Unknown)?;
        row.challenge.take().ok_or(Failure::NoChallenge)
    }

    /// INVARIANT: only who takes the ceremony out of the table has proved it, whatever was challenged meanwhile.
    fn spend(&self, key: SecretDigest, verified: Verified, now: Timestamp) -> Result<Proved, Failure> {
        let Ceremony { id: ceremony, demanded, pre, .. } = self.state().ceremonies.take(key, now).ok_or(Failure::Unknown)?;
        let Verified { credential, passkey, counter, backup_eligible } = verified;
        let acr = reached(backup_eligible);
        Ok(Proved { ceremony, demanded, pre, at: now, acr, credential, passkey, counter, backup_eligible })
    }

    fn count(&self, key: SecretDigest, failure: &Failure, now: Timestamp) {
        let mut state = self.state();
        let Some((row, _)) = state.ceremonies.find(key, now) else { return };
        row.failures = row.failures.saturating_add(1);
        if row.failures >= self.limits.attempts || matches!(failure, Failure::CounterRegressed { .. }) {
            state.ceremonies.take(key, now);
        }
    }
}

impl Challenge {
    fn verify(self, ceremonies: &Ceremonies, response: &[u8]) -> Result<Verified, Failure> {
        let expected = Expected { origin: ceremonies.party.origin(), user_handle: &self.user_handle };
        let document = assertion::screen(response, expected)?;
        let response: PublicKeyCredential = serde_json::from_value(document).map_err(|_| Refusal::Member("credential"))?;
        let used = self.asked.into_iter().find(|one| *one.passkey.cred_id() == response.raw_id).ok_or(Failure::NotAllowed)?;
        let finished = ceremonies.party.webauthn.finish_passkey_authentication(&response, &self.state);
        let result = finished.map_err(|error| Failure::of(&error, used.id.clone()))?;
        // webauthn-rs lets a passkey become eligible for backup; then `phrh` would be proved by what can be copied.
        if result.backup_eligible() != used.backup_eligible {
            return Err(Failure::BackupChanged);
        }
        let mut passkey = used.passkey;
        passkey.update_credential(&result).filter(|_| result.user_verified()).ok_or(Failure::Unverified)?;
        let passkey = serde_json::to_value(passkey).map_err(|_| Failure::Unstorable)?;
        Ok(Verified { credential: used.id, passkey, counter: result.counter(), backup_eligible: used.backup_eligible })
    }
}

/// Tells the browser how long it may take.
pub(super) fn set_timeout(options: &mut Value, expires: Timestamp, now: Timestamp) {
    if let Some(timeout) = options.pointer_mut("/publicKey/timeout") {
        *timeout = json!(expires.since(now).0);
    }
}

fn asked(enrolled: &[Enrolled], acr: &Acr, demanded_at: Timestamp) -> Result<Vec<Asked>, StepUpError> {
    if enrolled.len() > MOST_PASSKEYS {
        return Err(StepUpError::TooManyPasskeys);
    }
    let counts = |one: &&Enrolled| one.created < demanded_at && (acr.as_str() == Acr::PHR || !one.backup_eligible);
    let asked = enrolled.iter().filter(counts).map(Asked::read).collect::<Result<Vec<_>, _>>()?;
    if asked.is_empty() {
        return Err(StepUpError::NotEnrolled);
    }
    Ok(asked)
}

impl Asked {
    /// Reads a stored passkey, and checks that what is stored beside it agrees with it.
    fn read(enrolled: &Enrolled) -> Result<Self, StepUpError> {
        let Enrolled { id, passkey, backup_eligible, .. } = enrolled.clone();
        let inside = passkey.pointer("/cred/backup_eligible").and_then(Value::as_bool);
        let passkey: Passkey = serde_json::from_value(passkey).map_err(|_| StepUpError::Unreadable)?;
        let agree = inside == Some(backup_eligible) && URL_SAFE_NO_PAD.encode(passkey.cred_id()) == id.as_str();
        agree.then_some(Self { id, passkey, backup_eligible }).ok_or(StepUpError::Unreadable)
    }
}

fn reached(backup_eligible: bool) -> Acr {
    if backup_eligible { Acr::phr() } else { Acr::phrh() }
}
