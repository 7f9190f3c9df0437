//! From a proof on the auth origin back to the browser on the protected host, by a code that is good once.

use std::sync::Arc;

use countersign_sdk_types::{Acr, CeremonyId, CredentialId, Host, Timestamp};

use super::{Ceremonies, Demanded, Proved};
use crate::failure::StepUpError;
use crate::secret::{Secret, SecretDigest};

/// What a code stood for: a proof, made in the browser that redeemed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The ceremony.
    pub ceremony: CeremonyId,
    /// What was demanded.
    pub demanded: Arc<Demanded>,
    /// The passkey that was used.
    pub credential: CredentialId,
    /// The level that was reached.
    pub acr: Acr,
    /// When it was proved.
    pub at: Timestamp,
}

pub(super) struct Released {
    pre: SecretDigest,
    redeemed: Redeemed,
}

impl Ceremonies {
    /// Gives the code for a proof. The server calls it after it has journaled that the ceremony is spent: before that no code exists.
    ///
    /// # Errors
    /// When the proof is as old as a ceremony may be, there is no place, or no entropy.
    pub fn release(&self, proved: Proved, now: Timestamp) -> Result<Secret, StepUpError> {
        let Proved { ceremony, demanded, pre, at, acr, credential, .. } = proved;
        if now >= at.after(self.limits.ceremony_life) {
            return Err(StepUpError::Unknown);
        }
        let code = Secret::fresh()?;
        let subject = demanded.subject.clone();
        let released = Released { pre, redeemed: Redeemed { ceremony, demanded, credential, acr, at } };
        let codes = &mut self.state().codes;
        codes.leave(&subject, self.limits.per_subject.saturating_sub(1), |_| true);
        codes.insert(code.digest(), subject, released, now)?;
        Ok(code)
    }

    /// Redeems a code on `host`, in the browser that presents the cookie `pre`. The code is spent, whatever comes out.
    ///
    /// # Errors
    /// When the code is not there, or belongs to another host or browser.
    pub fn redeem(&self, code: &str, host: &Host, pre: &str, now: Timestamp) -> Result<Redeemed, StepUpError> {
        let taken = self.state().codes.take(SecretDigest::of(code), now);
        let Released { pre: expected, redeemed } = taken.ok_or(StepUpError::Unknown)?;
        if redeemed.demanded.host != *host {
            return Err(StepUpError::OtherHost);
        }
        if SecretDigest::of(pre) != expected {
            return Err(StepUpError::OtherBrowser);
        }
        Ok(redeemed)
    }
}
