//! What a journaled fact ends: one place for all of them, so that no path to the journal can forget to tell.

use countersign_pdp_engine::lease::tag;
use countersign_pdp_store::{LockTarget, Observer, RevocationTarget, StateEvent, TokenName};
use countersign_sdk_types::{Ending, SubjectId, Tag};

use super::Hub;

/// What a journaled fact means for leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Leases on these end.
    Ends(Ending, Vec<Tag>),
    /// The risk of these may have risen.
    Stirs(Vec<Tag>),
    /// No lease rests on it.
    Nothing,
}

/// What one fact means.
#[must_use]
pub fn meaning(event: &StateEvent) -> Meaning {
    use StateEvent as E;
    match event {
        E::Revoked { target, .. } => Meaning::Ends(Ending::Revoked, vec![revoked(target)]),
        E::Locked { target, .. } => Meaning::Ends(Ending::Locked, vec![locked(target)]),
        // Which levels a subject can reach is a fact that policies are asked with.
        E::CredentialAdded { subject, .. } | E::CredentialRemoved { subject, .. } | E::BreakGlass { subject, .. } => {
            Meaning::Ends(Ending::Subject, vec![tag::subject(subject)])
        }
        E::DeviceUpserted { tenant, device, .. } => Meaning::Ends(Ending::Device, vec![tag::device(tenant, device)]),
        E::UserUpserted { tenant, name, .. } => Meaning::Ends(Ending::Subject, vec![tag::user(tenant, name)]),
        E::SessionLinked { tenant, host, cookie, subject, .. } => {
            Meaning::Ends(Ending::Subject, vec![tag::link(tenant, host, cookie), tag::subject(subject)])
        }
        // Who was verified elsewhere has come from there: where they were before is now far away.
        E::Learned { subject, .. } | E::PointerLearned { subject, .. } | E::PastImported { subject, .. } => {
            Meaning::Stirs(vec![tag::subject(subject)])
        }
        // A grant and a revocation taken back only add; how long a grant counts bounds the lease. An activation is told when decisions are made by it.
        E::GrantCreated { .. } | E::Unrevoked { .. } | E::Activated { .. } => Meaning::Nothing,
        // So is every change of what somebody's decisions are made by.
        E::TrialBegun { .. } | E::TrialMoved { .. } | E::TrialEnded { .. } => Meaning::Nothing,
        // A counter and a label are no facts of decisions; codes and ceremonies allow nothing by themselves.
        E::CredentialUpdated { .. } | E::EnrollCodeIssued { .. } | E::EnrollCodeSpent { .. } | E::CeremonySpent { .. } => Meaning::Nothing,
        E::ClockMark { .. } | E::Incarnation { .. } => Meaning::Nothing,
    }
}

fn revoked(target: &RevocationTarget) -> Tag {
    match target {
        RevocationTarget::Subject(subject) => tag::subject(subject),
        RevocationTarget::Session { tenant, session } => tag::session(tenant, session),
        RevocationTarget::Token { tenant, token: TokenName::Jti { iss, jti }, .. } => tag::token_id(tenant, iss, jti),
        RevocationTarget::Token { tenant, token: TokenName::Digest(digest), .. } => tag::token(tenant, digest),
        RevocationTarget::Device { tenant, device } => tag::device(tenant, device),
    }
}

fn locked(target: &LockTarget) -> Tag {
    match target {
        LockTarget::Subject(subject) => tag::subject(subject),
        LockTarget::Session { tenant, session } => tag::session(tenant, session),
    }
}

impl Observer for Hub {
    fn applied(&self, events: &[StateEvent]) {
        for event in events {
            match meaning(event) {
                Meaning::Ends(reason, tags) => self.end(reason, tags),
                Meaning::Stirs(tags) => self.stir(&tags),
                Meaning::Nothing => {}
            }
        }
    }

    /// Everything that was known under the salt is gone, and with it what made the subject's requests usual.
    fn erased(&self, subject: &SubjectId) {
        tracing::debug!(tenant = %subject.tenant, "a salt was destroyed; every lease ends");
        self.reset();
    }
}

#[cfg(test)]
mod tests;
