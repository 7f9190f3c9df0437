//! The vocabulary of Countersign: plain values and their wire forms.
//!
//! Depends on serde and on nothing of ours. No value in here reads a clock, a file or entropy,
//! and none of them decides anything.

mod assurance;
mod authzen;
pub mod contract;
mod decision;
mod geo;
mod id;
mod lease;
mod risk;
pub mod strict;
mod time;

pub use assurance::{Acr, Ladder, LadderError};
pub use authzen::{Action, Entity, EvaluationRequest, EvaluationResponse};
pub use decision::{DenialCode, Effect, Fault, Obligation};
pub use geo::{Asn, Coordinates, Country, Kilometers, Place, PlaceGap, PlaceRecord};
pub use id::{
    CeremonyId, CredentialId, DecisionId, DeviceId, Digest, GrantId, Host, IdError, PepId, Revision, SessionId, SubjectId, Tenant,
};
pub use lease::{Consistency, Ending, Epoch, Lease, Tag, Wanted, WantedLease, WatchEvent, WatchName};
pub use risk::{Reason, RiskLevel, RiskScore, RiskScoreError, Signal};
pub use time::{Millis, Seconds, Timestamp};
