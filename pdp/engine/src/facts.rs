//! What the server looked up for a decision, as plain values. `decide` asks nobody else.

use std::collections::BTreeSet;

use countersign_risk::{Baseline, Behavior, Components, Failures, Organisation, Salts, SubjectSalt, Trail};
use countersign_sdk_types::{Acr, Digest, GrantId, Place, Timestamp};
use serde::{Deserialize, Serialize};

/// Everything that is known about the subject and the circumstances, apart from the request itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// What is normal for the subject.
    pub baseline: Baseline,
    /// What the organisation says of the network and the device.
    #[serde(default)]
    pub organisation: Organisation,
    /// Where the session was seen before.
    #[serde(default)]
    pub trail: Option<Trail>,
    /// How the pointer of the session moved, where its browser told.
    #[serde(default)]
    pub behavior: Option<Behavior>,
    /// What a script of the session told of the device, keyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Components>,
    /// The secrets that key identifiers. Never in a record: a record keeps the keyed sighting instead.
    #[serde(skip, default = "no_salts")]
    pub salts: Salts,
    /// Where the client's address is.
    pub place: Place,
    /// What the directory says; `None` when it does not know the subject.
    pub user: Option<DirectoryUser>,
    /// What is known of the device.
    pub device: DeviceFacts,
    /// Grants whose secret or key this request presented, and that belong to this subject.
    pub grants: Vec<LiveGrant>,
    /// The levels that the subject's enrolled credentials reach.
    pub reachable: Vec<Acr>,
    /// Subject, session, token or device is revoked, and this is which.
    pub revoked: Option<String>,
    /// The session is locked until then.
    pub locked_until: Option<Timestamp>,
    /// Recent failures.
    pub failures: Failures,
    /// An authenticator's counter went backwards since the last verified event.
    pub counter_regressed: bool,
    /// An operator broke the glass for this subject. The policy decides what that is worth.
    pub break_glass: bool,
    /// A demand for this very request was answered by a presented grant a moment ago.
    pub repeated_demand: bool,
    /// When the session was last asked for a proof; a token whose `auth_time` is later proves a login that answered it.
    pub demanded_at: Option<Timestamp>,
}

const fn no_salts() -> Salts {
    Salts { subject: SubjectSalt::new([0; 32]), organisation: SubjectSalt::new([0; 32]) }
}

impl Facts {
    /// Nothing is known: every flag takes its pessimistic value.
    #[must_use]
    pub fn unknown(salts: Salts, place: Place) -> Self {
        Self {
            baseline: Baseline::empty(),
            organisation: Organisation::default(),
            trail: None,
            behavior: None,
            components: None,
            salts,
            place,
            user: None,
            device: DeviceFacts::default(),
            grants: Vec::new(),
            reachable: Vec::new(),
            revoked: None,
            locked_until: None,
            failures: Failures::default(),
            counter_regressed: false,
            break_glass: false,
            repeated_demand: false,
            demanded_at: None,
        }
    }

    /// Nothing is known, and nothing will be kept: for a decision whose sighting is compared with nothing.
    #[must_use]
    pub fn nothing(place: Place) -> Self {
        Self::unknown(no_salts(), place)
    }

    /// These facts, as if one more ceremony had been finished.
    #[must_use]
    pub(crate) fn with_grant(&self, grant: LiveGrant) -> Self {
        let mut facts = self.clone();
        facts.grants.push(grant);
        facts
    }

    /// Revoked or locked: no policy is asked, and no proof helps.
    #[must_use]
    pub fn is_barred(&self, now: Timestamp) -> bool {
        self.revoked.is_some() || self.locked_until.is_some_and(|until| until > now)
    }

    /// The grants that have not expired.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = &LiveGrant> {
        self.grants.iter().filter(move |grant| grant.expires > now && grant.auth_time <= now)
    }
}

/// A subject in the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryUser {
    /// The one role.
    pub role: String,
    /// All roles.
    pub roles: BTreeSet<String>,
}

impl DirectoryUser {
    /// A user as a directory has them: the one role is one of all.
    pub fn new(role: Option<String>, roles: impl IntoIterator<Item = String>) -> Self {
        Self { roles: roles.into_iter().chain(role.clone()).collect(), role: role.unwrap_or_default() }
    }
}

/// What is known of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// What the inventory says; `None` when it does not list the device.
    pub inventory: Option<Inventory>,
}

/// An entry of the device inventory. Each flag may be unknown by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// It meets the rules.
    pub compliant: Option<bool>,
    /// The organisation manages it.
    pub managed: Option<bool>,
}

/// What a finished ceremony left with the browser or key that performed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveGrant {
    /// Its name.
    pub id: GrantId,
    /// The level that was reached.
    pub acr: Acr,
    /// Every level that is satisfied.
    pub satisfied: BTreeSet<Acr>,
    /// The evidence that was seen at the ceremony, by digest. Nothing else is answered.
    pub answers: BTreeSet<Digest>,
    /// When the subject proved themselves.
    pub auth_time: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}
