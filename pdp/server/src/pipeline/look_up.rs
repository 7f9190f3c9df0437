//! The facts of a decision: what the store, the files and the mapped claims say of a subject. What cannot be read is no fact: the request is denied.

use std::collections::BTreeSet;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::sight;
use countersign_pdp_engine::facts::{DeviceFacts, DirectoryUser, Facts, Inventory, LiveGrant};
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::request::Credentials;
use countersign_pdp_store::{GrantRecord, KeyringError, RevocationQuery, Store, StoredCredential, TokenName, ViewError};
use countersign_risk::{Organisation, Salts, SubjectSalt};
use countersign_sdk_types::{Acr, Digest, Ladder, SubjectId, Tenant, Timestamp};

use super::{Pdp, unavailable};
use crate::behavior::Whose;

impl Pdp {
    /// Everything that is known of the subject. A subject that is met for the first time gets its salt.
    pub(super) fn look_up(
        &self,
        identified: &Identified,
        credentials: &Credentials,
        ladder: &Ladder,
        now: Timestamp,
    ) -> Result<Facts, Denial> {
        let salts = self.salts(identified.subject())?;
        self.look_up_by(salts, identified, credentials, ladder, now)
    }

    /// The same for a search, which writes nothing: of a subject without a salt nothing is known, so that any salt finds as much.
    pub(super) fn look_up_for_search(
        &self,
        identified: &Identified,
        credentials: &Credentials,
        ladder: &Ladder,
        now: Timestamp,
    ) -> Result<Facts, Denial> {
        let known = |subject: &SubjectId| self.store.known_salt(subject).map(|salt| SubjectSalt::new(salt.map_or([0; 32], |salt| salt.0)));
        let subject = identified.subject();
        let salts = known(subject)
            .and_then(|subject_salt| Ok(Salts { subject: subject_salt, organisation: known(&organisation(&subject.tenant))? }));
        self.look_up_by(salts.map_err(unavailable)?, identified, credentials, ladder, now)
    }

    fn look_up_by(
        &self,
        salts: Salts,
        identified: &Identified,
        credentials: &Credentials,
        ladder: &Ladder,
        now: Timestamp,
    ) -> Result<Facts, Denial> {
        let (view, subject) = (self.store.view(), identified.subject());
        let address = identified.request().client_address();
        let place = self.places.place(address, now);
        let mut baseline = view.baseline(subject).map_err(unavailable)?;
        // What waited for its day is known from now on; the store says so with the next event.
        baseline.settle(now);
        let enrolled = view.credentials(subject).map_err(unavailable)?;
        let grants = self.grants(subject, credentials, ladder, now)?;
        // Hashed only where there is a grant: most requests bring none.
        let is_answered = |grant: &LiveGrant| self.attempts.is_answered(&grant.id, identified.request().digest(), grant.auth_time, now);
        let mut facts = Facts {
            revoked: self.revoked(identified)?,
            locked_until: view.locked_until(subject, Some(identified.session()), now).map_err(unavailable)?,
            user: self.user(identified)?,
            device: DeviceFacts { inventory: self.inventory(identified)? },
            repeated_demand: grants.iter().any(is_answered),
            grants,
            reachable: reachable(&enrolled, ladder),
            failures: self.attempts.failures(subject, address, identified.device(), now),
            counter_regressed: self.attempts.is_regressed(subject, &enrolled),
            break_glass: view.break_glass(subject, now).map_err(unavailable)?.is_some(),
            demanded_at: self.attempts.demanded_at(&subject.tenant, identified.session()),
            baseline,
            trail: self.trails.of(identified),
            behavior: self.behaviors.judge(&Whose::from(identified), view).map_err(unavailable)?,
            ..Facts::unknown(salts, place)
        };
        let sighting = sight(identified, &facts, now);
        facts.organisation = Organisation::of(&sighting, |thing| view.sharing(&subject.tenant, thing)).map_err(unavailable)?;
        Ok(facts)
    }

    fn revoked(&self, identified: &Identified) -> Result<Option<String>, Denial> {
        let tokens = token_names(identified);
        let (subject, session) = (identified.subject(), Some(identified.session()));
        let query = RevocationQuery { subject, session, tokens: &tokens, device: identified.device() };
        Ok(self.store.view().is_revoked(&query).map_err(unavailable)?.map(|revocation| revocation.reason))
    }

    /// The operator's word in the store wins over the file, and the file over the token's mapped claims.
    fn user(&self, identified: &Identified) -> Result<Option<DirectoryUser>, Denial> {
        let subject = identified.subject();
        let stored = self.store.view().user(&subject.tenant, &subject.sub).map_err(unavailable)?;
        let stored = stored.map(|record| DirectoryUser::new(record.role, record.roles));
        Ok(stored.or_else(|| self.directory.user(&subject.sub).cloned()).or_else(|| self.claimed_user(identified)))
    }

    fn claimed_user(&self, identified: &Identified) -> Option<DirectoryUser> {
        self.claim_maps.get(&identified.token().iss)?.user(identified)
    }

    fn inventory(&self, identified: &Identified) -> Result<Option<Inventory>, Denial> {
        let Some(device) = identified.device() else { return Ok(self.claimed_inventory(identified)) };
        let stored = self.store.view().device(&identified.subject().tenant, device).map_err(unavailable)?;
        let stored = stored.map(|record| Inventory { compliant: record.compliant, managed: record.managed });
        Ok(stored.or_else(|| self.directory.device(device.as_str())).or_else(|| self.claimed_inventory(identified)))
    }

    fn claimed_inventory(&self, identified: &Identified) -> Option<Inventory> {
        self.claim_maps.get(&identified.token().iss)?.inventory(identified)
    }

    /// The live grant of this secret, if it is this subject's and the passkey that made it is still enrolled: whoever lost a passkey lost its grants.
    pub(crate) fn grant_of(&self, subject: &SubjectId, secret: &str, now: Timestamp) -> Result<Option<GrantRecord>, ViewError> {
        let view = self.store.view();
        let grant = view.grant_by_secret(&subject.tenant, &grant_digest(secret), now)?.filter(|grant| grant.subject == *subject);
        let Some(grant) = grant else { return Ok(None) };
        let owner = view.credential_owner(&subject.tenant, &grant.credential)?;
        Ok((owner.as_ref() == Some(subject)).then_some(grant))
    }

    /// The grant whose secret this browser presents.
    fn grants(&self, subject: &SubjectId, credentials: &Credentials, ladder: &Ladder, now: Timestamp) -> Result<Vec<LiveGrant>, Denial> {
        let Some(secret) = &credentials.grant else { return Ok(Vec::new()) };
        let live = self.grant_of(subject, secret, now).map_err(unavailable)?.map(|grant| LiveGrant {
            satisfied: ladder.satisfied_by(&grant.acr).iter().cloned().collect(),
            id: grant.id,
            acr: grant.acr,
            answers: grant.answers,
            auth_time: grant.created,
            expires: grant.expires,
        });
        Ok(live.into_iter().collect())
    }

    pub(crate) fn salt(&self, subject: &SubjectId) -> Result<SubjectSalt, Denial> {
        salt(&self.store, subject).map_err(unavailable)
    }

    /// The salts of a subject.
    pub(crate) fn salts(&self, subject: &SubjectId) -> Result<Salts, Denial> {
        salts(&self.store, subject).map_err(unavailable)
    }
}

fn salt(store: &Store, subject: &SubjectId) -> Result<SubjectSalt, KeyringError> {
    store.salt(subject, fresh).map(|salt| SubjectSalt::new(salt.0))
}

/// The subject's salt, and the one under which what subjects share is compared. That one is kept under a name that no issuer can give.
pub(crate) fn salts(store: &Store, subject: &SubjectId) -> Result<Salts, KeyringError> {
    Ok(Salts { subject: salt(store, subject)?, organisation: salt(store, &organisation(&subject.tenant))? })
}

fn organisation(tenant: &Tenant) -> SubjectId {
    SubjectId { tenant: tenant.clone(), iss: String::new(), sub: String::new() }
}

/// The secret of a grant at rest.
pub(crate) fn grant_digest(secret: &str) -> Digest {
    Digest(*blake3::hash(secret.as_bytes()).as_bytes())
}

/// What nobody can guess.
pub(crate) fn fresh() -> Option<[u8; 32]> {
    let mut fresh = [0; 32];
    aws_lc_rs::rand::fill(&mut fresh).ok().map(|()| fresh)
}

/// Every name by which the token may be revoked.
fn token_names(identified: &Identified) -> Vec<TokenName> {
    let token = identified.token();
    let jti = token.jti.clone().map(|jti| TokenName::Jti { iss: token.iss.clone(), jti });
    token.digest.map(TokenName::Digest).into_iter().chain(jti).collect()
}

/// The levels that the enrolled passkeys reach, in the order of the ladder. One that cannot be backed up reaches `phrh`.
fn reachable(enrolled: &[StoredCredential], ladder: &Ladder) -> Vec<Acr> {
    let reached = enrolled.iter().flat_map(|one| if one.backup_eligible { vec![Acr::phr()] } else { vec![Acr::phr(), Acr::phrh()] });
    let reached: BTreeSet<Acr> = reached.collect();
    ladder.levels().iter().filter(|level| reached.contains(*level)).cloned().collect()
}
