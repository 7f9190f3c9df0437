//! From a denied request to a ceremony in a browser.

use std::sync::Arc;

use countersign_sdk_types::{Acr, CeremonyId, DecisionId, Digest, Host, Revision, Seconds, SessionId, SubjectId, Timestamp};
use url::Url;

use super::Ceremonies;
use super::proving::Ceremony;
use crate::failure::StepUpError;
use crate::secret::{Secret, SecretDigest};

/// What was demanded, of whom, for which denied request. The server builds it from what it has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demanded {
    /// Who must prove themselves.
    pub subject: SubjectId,
    /// The session whose request was denied.
    pub session: SessionId,
    /// The protected host.
    pub host: Host,
    /// Where to go afterwards: an absolute URL, built from configuration.
    pub return_to: String,
    /// The digest of the denied request.
    pub request: Digest,
    /// The level that was demanded: `phr` or `phrh`.
    pub acr: Acr,
    /// How old the proof may be.
    pub max_age: Seconds,
    /// The decision that demanded it.
    pub decision: DecisionId,
    /// The policy revision that demanded it.
    pub revision: Revision,
}

/// What the page on the auth origin may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The protected host.
    pub host: Host,
    /// The level that was demanded.
    pub acr: Acr,
    /// When the ceremony is gone.
    pub expires: Timestamp,
}

pub(super) struct Demand {
    demanded: Arc<Demanded>,
    at: Timestamp,
}

const LONGEST_RETURN: usize = 4_096;

impl Ceremonies {
    /// Notes a demand. The secret goes into the step-up link.
    ///
    /// The same demand in the same session again gets a fresh secret, and the old link is dead; ceremonies that it opened go on.
    ///
    /// # Errors
    /// When no passkey can prove the level, the address to return to is none, there is no place, or no entropy.
    pub fn demand(&self, demanded: Demanded, now: Timestamp) -> Result<Secret, StepUpError> {
        check_level(&demanded.acr)?;
        check_return(&demanded.return_to)?;
        let secret = Secret::fresh()?;
        let subject = demanded.subject.clone();
        let (per_session, per_subject) = (self.limits.per_session, self.limits.per_subject);
        let demands = &mut self.state().demands;
        demands.leave(&subject, 0, |other| other.is_again(&demanded));
        demands.leave(&subject, per_session.saturating_sub(1), |other| other.demanded.session == demanded.session);
        demands.leave(&subject, per_subject.saturating_sub(1), |_| true);
        demands.insert(secret.digest(), subject, Demand { demanded: Arc::new(demanded), at: now }, now)?;
        Ok(secret)
    }

    /// Opens a ceremony: the link was followed on the protected `host`, by a browser that was just given the cookie of digest `pre`.
    ///
    /// A browser has one ceremony of a demand; opening again replaces it.
    ///
    /// # Errors
    /// When the demand is not there, it belongs to another host, there is no place, or no entropy.
    pub fn open(&self, demand: &str, host: &Host, pre: SecretDigest, now: Timestamp) -> Result<CeremonyId, StepUpError> {
        let text = self.fresh_id()?;
        let id = CeremonyId::new(text.clone()).map_err(|_| StepUpError::Node)?;
        let link = SecretDigest::of(demand);
        let mut state = self.state();
        let (row, _) = state.demands.find(link, now).ok_or(StepUpError::Unknown)?;
        if row.demanded.host != *host {
            return Err(StepUpError::OtherHost);
        }
        let ceremony = Ceremony::new(id.clone(), Arc::clone(&row.demanded), row.at, pre);
        state.ceremonies.leave(&link, 0, |other| other.pre == pre);
        state.ceremonies.leave(&link, self.limits.per_demand.saturating_sub(1), |_| true);
        state.ceremonies.insert(SecretDigest::of(&text), link, ceremony, now)?;
        Ok(id)
    }

    /// What the page of a ceremony may show.
    ///
    /// # Errors
    /// When the ceremony is not there.
    pub fn page(&self, ceremony: &str, now: Timestamp) -> Result<Page, StepUpError> {
        let mut state = self.state();
        let (row, expires) = state.ceremonies.find(SecretDigest::of(ceremony), now).ok_or(StepUpError::Unknown)?;
        Ok(Page { host: row.demanded.host.clone(), acr: row.demanded.acr.clone(), expires })
    }

    /// Whose ceremony it is: whose passkeys [`challenge`](Self::challenge) wants.
    ///
    /// # Errors
    /// When the ceremony is not there.
    pub fn subject(&self, ceremony: &str, now: Timestamp) -> Result<SubjectId, StepUpError> {
        let mut state = self.state();
        let (row, _) = state.ceremonies.find(SecretDigest::of(ceremony), now).ok_or(StepUpError::Unknown)?;
        Ok(row.demanded.subject.clone())
    }
}

impl Demand {
    fn is_again(&self, other: &Demanded) -> bool {
        self.demanded.session == other.session && self.demanded.request == other.request && self.demanded.acr == other.acr
    }
}

fn check_level(acr: &Acr) -> Result<(), StepUpError> {
    match acr.as_str() {
        Acr::PHR | Acr::PHRH => Ok(()),
        _ => Err(StepUpError::Level(acr.clone())),
    }
}

fn check_return(address: &str) -> Result<(), StepUpError> {
    let web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let fits = address.len() <= LONGEST_RETURN && Url::parse(address).is_ok_and(web);
    fits.then_some(()).ok_or(StepUpError::ReturnTo)
}
