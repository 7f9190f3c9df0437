//! The only crate that persists: the journal, and the view that is rebuilt from it.
//!
//! It reads no clock and no entropy: `now` and fresh salts are parameters. `docs/store.md` has the formats and the guarantees.

mod decisions;
mod event;
mod journal;
mod keyring;
mod learning;
mod store;
mod view;

pub use decisions::{AuditMode, Decisions, log, logged};
pub use event::{
    Activation, DeviceRecord, GrantRecord, LockTarget, Origin, RevocationTarget, RoleRecord, Stage, StateEvent, StoredCredential,
    TokenName, Trial,
};
pub use journal::{AppendError, Committed, Head, JournalError, Options, Receipt, Refusal, Verified};
pub use keyring::{KeyringError, Salt};
pub use learning::{Baseline, LearnedEvent};
pub use store::{Expect, Observer, Store, StoreError};
pub use view::{
    BreakGlassRecord, EnrollCode, HeldPolicy, PolicyChange, PolicyStep, PolicyTimes, Revocation, RevocationQuery, SessionLink,
    SpentCeremony, View, ViewError,
};
