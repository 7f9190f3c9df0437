//! Who sends a request: the engine's identification with what it needs from outside, which is keys, the issuer's word, session links and the book of proofs.

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::identify::{Given, Identified, IdentifyError, LinkedSession, identify};
use countersign_pdp_engine::lease::tag;
use countersign_pdp_engine::request::{AccessRequest, Credentials, RawCheck, normalize};
use countersign_pdp_store::{Expect, StateEvent};
use countersign_sdk_types::{DenialCode, Digest, Ending, Host, SubjectId, Timestamp};

use super::{Patient, Pdp, unavailable};
use crate::clock::Stopwatch;

/// What an identification lacks. It holds a token, so it is never shown.
pub(super) enum Need {
    /// The keys of an issuer, once more.
    Keys(String),
    /// What an issuer says of a token.
    Answer { iss: String, token: String },
}

impl Pdp {
    /// Who sends a request outside of a decision; its issuer is asked where it must be. A token without its key is nobody's.
    pub(super) async fn identify_asking(&self, raw: RawCheck, now: Timestamp) -> Result<(Identified, Credentials), Denial> {
        let patience = Patient { watch: Stopwatch::start(), deadline: self.deadline };
        let (request, credentials) = normalize(raw, &self.rules)?;
        let identified = match self.identify(request.clone(), &credentials, now) {
            Err(IdentifyError::Unasked(iss)) => {
                let token = credentials.token.as_ref().map(|(_, token)| token.clone()).unwrap_or_default();
                self.fetch(Need::Answer { iss, token }, patience).await?;
                self.identify(request, &credentials, now)
            }
            identified => identified,
        };
        let identified = identified.map_err(denied)?;
        identified.unproved().map_or(Ok((identified, credentials)), Err)
    }

    pub(super) fn identify(&self, request: AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Identified, IdentifyError> {
        let linked = self.linked(&request, credentials, now)?;
        let answer = credentials.token.as_ref().and_then(|(_, token)| self.introspection.known(token, now));
        let (issuers, proofs) = (self.key_sets.current(), self.proofs.rules(now));
        let given = Given { issuers: &issuers, proofs: &proofs, linked, introspected: answer.as_deref(), now };
        Ok(identify(request, credentials, given)?.confirm(|proof| self.proofs.spend(proof, now))?)
    }

    /// Whose session cookie this is, as an application that saw a token linked it.
    fn linked(&self, request: &AccessRequest, credentials: &Credentials, now: Timestamp) -> Result<Option<LinkedSession>, Denial> {
        let (Some(cookie), Some(http)) = (&credentials.session_cookie, request.http()) else { return Ok(None) };
        let link = self.store.view().session_link(request.tenant(), &http.host, &session_digest(cookie), now).map_err(unavailable)?;
        let Some(link) = link else { return Ok(None) };
        let token = serde_json::from_value(link.claims).map_err(unavailable)?;
        Ok(Some(LinkedSession { subject: link.subject, token }))
    }

    /// Links an application's session cookie to the subject of a token, until the token ends. Resolves when it is on the disk.
    ///
    /// # Errors
    /// When the token identifies nobody, or the link cannot be written.
    pub async fn link(&self, raw: RawCheck, host: Host, cookie: &str) -> Result<SubjectId, Denial> {
        let now = self.clock.now();
        let (identified, _) = self.identify_asking(raw, now).await?;
        let (subject, token) = (identified.subject().clone(), identified.token().clone());
        let expires = token.expires.ok_or_else(|| Denial::new(DenialCode::InvalidToken, "a session is linked by a token"))?;
        let claims = serde_json::to_value(token).map_err(unavailable)?;
        let (tenant, cookie) = (subject.tenant.clone(), session_digest(cookie));
        let before = self.store.view().session_link(&tenant, &host, &cookie, now).map_err(unavailable)?;
        let event = StateEvent::SessionLinked { tenant, host, cookie, subject: subject.clone(), claims, expires };
        self.store.append(event, Expect::Any).await.map_err(unavailable)?;
        // Whose cookie it was until now.
        if let Some(before) = before.filter(|before| before.subject != subject) {
            self.hub.end(Ending::Subject, vec![tag::subject(&before.subject)]);
        }
        Ok(subject)
    }

    /// Brings what an identification needs, as far as there is time. False when there is nothing to try again with.
    pub(super) async fn fetch(&self, need: Need, patience: Patient) -> Result<bool, Denial> {
        match need {
            // The issuer may have rotated, so its keys are looked at once and the token once more.
            Need::Keys(iss) => Ok(self.key_sets.unknown_key(&iss).await),
            Need::Answer { iss, token } => self.introspection.ask(&iss, &token, patience.left()).await.map(|()| true),
        }
    }
}

/// A session cookie at rest.
pub(super) fn session_digest(cookie: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign session cookie 1").update(cookie.as_bytes()).finalize().as_bytes())
}

pub(super) fn unknown_key(iss: &str) -> Denial {
    Denial::new(DenialCode::UnknownKey, format!("no such key of `{iss}`"))
}

pub(super) fn unasked(iss: &str) -> Denial {
    Denial::new(DenialCode::FactsUnavailable, format!("`{iss}` did not answer about the token"))
}

pub(super) fn denied(error: IdentifyError) -> Denial {
    match error {
        IdentifyError::Denied(denial) => denial,
        IdentifyError::UnknownKey(iss) => unknown_key(&iss),
        IdentifyError::Unasked(iss) => unasked(&iss),
    }
}
