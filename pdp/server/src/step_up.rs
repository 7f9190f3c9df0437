//! Binds the ceremonies to this decision point: what a demand becomes, what a proof leaves in the journal, and whom a grant belongs to.

use countersign_pdp_engine::decide::Demand;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::record::Record;
use countersign_pdp_stepup::secret::Secret;
use countersign_pdp_stepup::{
    Authorization, Ceremonies, Demanded, Enrolled, Enrolment, Failure, Holder, NewCredential, Proved, Redeemed, StepUpError,
};
use countersign_pdp_store::{AppendError, Expect, GrantRecord, RevocationQuery, StateEvent, StoredCredential, ViewError};
use countersign_risk::pointer::CountedAction;
use countersign_risk::{Keyed, SessionTag, Strength};
use countersign_sdk_types::{CredentialId, GrantId, Host, Seconds, SessionId, SubjectId, Timestamp};

use crate::behavior::Whose;
use crate::config::Site;
use crate::pages::Trouble;
use crate::pipeline::{Asked, Pdp, Witnessed, grant_digest};

/// The longest label of a passkey.
const LONGEST_LABEL: usize = 64;

/// The ceremonies of a decision point.
pub struct StepUp {
    /// Ceremonies that are open.
    pub ceremonies: Ceremonies,
    /// How long a grant counts.
    pub grant_life: Seconds,
}

impl std::fmt::Debug for StepUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepUp").field("grant_life", &self.grant_life).finish_non_exhaustive()
    }
}

impl StepUp {
    /// Remembers what was demanded, and gives the address at which this browser begins the ceremony. Without one, the demand is a challenge only.
    pub(crate) fn demand(&self, demand: &Demand, identified: &Identified, asked: &Asked, site: &Site, record: &Record) -> Option<String> {
        let demanded = Demanded {
            subject: identified.subject().clone(),
            session: identified.session().clone(),
            host: asked.host.clone(),
            return_to: format!("{}{}", site.origin, asked.back()),
            request: identified.request().digest(),
            acr: demand.acr.clone(),
            max_age: demand.max_age,
            decision: record.id.clone(),
            revision: record.revision.clone()?,
        };
        let id = self.ceremonies.demand(demanded, record.at).ok()?;
        Some(format!("{}/.countersign/step-up?d={}", site.origin, id.reveal()))
    }
}

/// What a finished ceremony left: the secret for the browser that performed it, and where that browser goes.
pub struct Granted {
    /// Known to that browser alone.
    pub secret: Secret,
    /// How long it counts.
    pub life: Seconds,
    /// Back to the request that was refused.
    pub return_to: String,
}

impl Pdp {
    /// The challenge of a ceremony: the passkeys of its subject.
    ///
    /// # Errors
    /// What the person is told.
    pub fn challenge(&self, step_up: &StepUp, ceremony: &str) -> Result<serde_json::Value, Trouble> {
        let now = self.clock.now();
        let subject = step_up.ceremonies.subject(ceremony, now)?;
        self.check_standing(&subject, None, now)?;
        let user_handle = self.user_handle(&subject)?;
        let enrolled: Vec<Enrolled> = self.store.view().credentials(&subject)?.into_iter().map(enrolled).collect();
        Ok(step_up.ceremonies.challenge(ceremony, Holder { user_handle, enrolled: &enrolled }, now)?)
    }

    /// Journals a verified assertion, and only then lets a code exist.
    ///
    /// # Errors
    /// When the record cannot be written, or the ceremony was spent before.
    pub async fn proved(&self, step_up: &StepUp, proved: Proved) -> Result<Secret, Trouble> {
        let now = self.clock.now();
        let subject = proved.demanded().subject.clone();
        self.check_standing(&subject, Some(&proved.demanded().session), now)?;
        let known = self.store.view().credentials(&subject)?.into_iter().find(|known| known.id == *proved.credential());
        // A passkey that was removed while its owner touched it proves nothing any more.
        let known = known.ok_or(Trouble::Refused)?;
        let credential = StoredCredential { passkey: proved.passkey().clone(), counter: proved.counter(), ..known };
        let spent = StateEvent::CeremonySpent {
            ceremony: proved.ceremony().clone(),
            subject: subject.clone(),
            credential: Some(credential.id.clone()),
            at: now,
        };
        let updated = StateEvent::CredentialUpdated { subject, credential };
        self.store.append_all(vec![spent, updated], Expect::Any).await?;
        Ok(step_up.ceremonies.release(proved, now)?)
    }

    /// Gives the grant to the browser that redeems the code: it must identify as the subject that proved itself. What it shows is learned at once.
    ///
    /// # Errors
    /// When it is another subject's browser, something is revoked or locked, or the record cannot be written.
    pub async fn grant(&self, step_up: &StepUp, redeemed: Redeemed, witnessed: Witnessed) -> Result<Granted, Trouble> {
        let now = self.clock.now();
        let Witnessed { identified, facts, witness } = witnessed;
        let demanded = &redeemed.demanded;
        if *identified.subject() != demanded.subject {
            return Err(Trouble::WrongBrowser);
        }
        if facts.is_barred(now) {
            return Err(Trouble::NotAllowed);
        }
        self.check_enrolled(&demanded.subject, &redeemed.credential)?;
        let secret = Secret::fresh().map_err(|_| Trouble::Unavailable)?;
        // As long as a ceremony's id may be: nothing can be put before it.
        let id = GrantId::new(redeemed.ceremony.as_str()).map_err(|_| Trouble::Unavailable)?;
        let grant = GrantRecord {
            id: id.clone(),
            subject: demanded.subject.clone(),
            secret: grant_digest(secret.reveal()),
            session: identified.session().clone(),
            credential: redeemed.credential,
            acr: redeemed.acr,
            answers: witness.assessment.answerable(),
            created: redeemed.at,
            expires: redeemed.at.after(step_up.grant_life),
        };
        let learned = StateEvent::Learned { subject: demanded.subject.clone(), event: witness.sighting.learned(Strength::StepUp) };
        // Taken out before they are learned: a window that is still there would repeat what was just learned.
        let whose = Whose::from(&identified);
        let moved = self.behaviors.end(&whose);
        let lesson = self.pointer_lesson(&identified, &moved, now);
        let events = [StateEvent::GrantCreated { grant }, learned].into_iter().chain(lesson);
        if let Err(error) = self.store.append_all(events.collect(), Expect::Any).await {
            self.behaviors.restore(whose, &moved);
            return Err(error.into());
        }
        self.attempts.answered(id, demanded.request);
        tracing::info!(decision = %demanded.decision, subject = identified.subject().sub, "step-up granted");
        Ok(Granted { secret, life: step_up.grant_life, return_to: demanded.return_to.clone() })
    }

    /// What the step-up teaches of the pointer. A profile that cannot be read is taught nothing now; the step-up counts all the same.
    fn pointer_lesson(&self, identified: &Identified, moved: &[CountedAction], at: Timestamp) -> Option<StateEvent> {
        let (subject, session) = (identified.subject(), SessionTag::of(identified.session()));
        let profile = self.store.view().pointer(subject).ok()?;
        let lesson = Box::new(profile.lesson(Keyed(session.0), moved));
        (lesson.actions() > 0).then(|| StateEvent::PointerLearned { subject: subject.clone(), session, lesson, at })
    }

    /// Begins an enrolment for whom a code or a ticket names.
    ///
    /// # Errors
    /// When nobody may enrol by it.
    pub fn begin_enrolment(
        &self,
        step_up: &StepUp,
        subject: SubjectId,
        authorization: Authorization,
    ) -> Result<(String, serde_json::Value), Trouble> {
        self.check_authorized(&subject, &authorization)?;
        let existing: Vec<CredentialId> = self.store.view().credentials(&subject)?.into_iter().map(|credential| credential.id).collect();
        let (user_handle, name) = (self.user_handle(&subject)?, subject.sub.clone());
        let enrolment = Enrolment { subject, user_handle, name, existing, authorization };
        Ok(step_up.ceremonies.begin_enrolment(enrolment, self.clock.now())?)
    }

    /// Journals a new passkey, together with the code that it spends.
    ///
    /// # Errors
    /// When what allowed it ended meanwhile, or the record cannot be written.
    pub async fn enrolled(&self, new: NewCredential, label: &str) -> Result<(), Trouble> {
        let now = self.clock.now();
        self.check_authorized(&new.subject, &new.authorization)?;
        let label: String = label.chars().filter(|letter| !letter.is_control()).take(LONGEST_LABEL).collect();
        let credential = StoredCredential {
            id: new.id,
            passkey: new.passkey,
            label: if label.trim().is_empty() { "passkey".to_owned() } else { label.trim().to_owned() },
            created: now,
            backup_eligible: new.backup_eligible,
            counter: new.counter,
        };
        let subject = new.subject;
        let spent = match new.authorization {
            Authorization::Code(code) => Some(StateEvent::EnrollCodeSpent { code, subject: subject.clone(), at: now }),
            Authorization::Grant(_) => None,
        };
        tracing::info!(subject = subject.sub, "a passkey is enrolled");
        let added = StateEvent::CredentialAdded { subject, credential };
        self.store.append_all(spent.into_iter().chain([added]).collect(), Expect::Any).await?;
        Ok(())
    }

    /// Of a subject that is revoked or locked nothing is begun, and nothing that was begun goes on.
    fn check_standing(&self, subject: &SubjectId, session: Option<&SessionId>, now: Timestamp) -> Result<(), Trouble> {
        let view = self.store.view();
        if view.is_revoked(&RevocationQuery { subject, session, tokens: &[], device: None })?.is_some() {
            return Err(Trouble::NotAllowed);
        }
        view.locked_until(subject, session, now)?.map_or(Ok(()), |_| Err(Trouble::Locked))
    }

    /// A passkey that was removed proves nothing any more, whatever it signed before.
    fn check_enrolled(&self, subject: &SubjectId, credential: &CredentialId) -> Result<(), Trouble> {
        let owner = self.store.view().credential_owner(&subject.tenant, credential)?;
        if owner.as_ref() == Some(subject) { Ok(()) } else { Err(Trouble::Refused) }
    }

    /// A code is spent by the journal; a grant ends with the passkey that made it.
    fn check_authorized(&self, subject: &SubjectId, authorization: &Authorization) -> Result<(), Trouble> {
        self.check_standing(subject, None, self.clock.now())?;
        match authorization {
            Authorization::Code(_) => Ok(()),
            Authorization::Grant(passkey) => self.check_enrolled(subject, passkey).map_err(|_| Trouble::NotAllowed),
        }
    }

    /// 16 bytes that name a subject to authenticators and say nothing to anybody else: keyed under the subject's own salt.
    fn user_handle(&self, subject: &SubjectId) -> Result<[u8; 16], Trouble> {
        let salt = self.salt(subject).map_err(|_| Trouble::Unavailable)?;
        Ok(salt.handle("user handle"))
    }

    /// The site of a host, for an address that begins with its origin.
    #[must_use]
    pub fn origin_of(&self, host: &Host) -> Option<&str> {
        self.sites.get(host).map(|site| site.origin.as_str())
    }
}

fn enrolled(stored: StoredCredential) -> Enrolled {
    Enrolled { id: stored.id, passkey: stored.passkey, created: stored.created, backup_eligible: stored.backup_eligible }
}

/// Whether a response was wrong, rather than late or malformed: only that counts as a failure of its sender.
#[must_use]
pub const fn is_proof_failure(failure: &Failure) -> bool {
    !matches!(failure, Failure::Unknown | Failure::NoChallenge | Failure::Unstorable | Failure::Refused(_))
}

impl From<StepUpError> for Trouble {
    fn from(error: StepUpError) -> Self {
        use StepUpError as E;
        match error {
            E::Unknown => Self::Expired,
            E::OtherHost | E::OtherBrowser => Self::WrongBrowser,
            E::NotEnrolled | E::Level(_) => Self::NotEnrolled,
            E::TooManyPasskeys | E::Full => Self::TooMany,
            E::ReturnTo | E::AccountName | E::Node | E::Unreadable | E::NoChallenge | E::NoEntropy => Self::Unavailable,
        }
    }
}

impl From<ViewError> for Trouble {
    fn from(_: ViewError) -> Self {
        Self::Unavailable
    }
}

impl From<AppendError> for Trouble {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused(_) => Self::Used,
            _ => Self::Unavailable,
        }
    }
}
