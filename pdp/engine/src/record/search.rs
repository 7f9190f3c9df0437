//! What is kept of a search: who asked, for what, and what they were told. One record, and not one for each candidate.

use std::fmt;

use countersign_sdk_types::{DecisionId, Revision, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ENGINE, rfc3339};
use crate::request::AccessRequest;
use crate::snapshot::Snapshot;

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchKind {
    /// Who may do it.
    Subject,
    /// With what it may be done.
    Resource,
    /// What may be done.
    Action,
}

/// One search. A replay of any candidate is an evaluation under the same revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchRecord {
    /// Its name.
    pub id: DecisionId,
    /// When it began.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: Tenant,
    /// The engine that made it.
    pub engine: String,
    /// The policy revision, and with it the entity directory.
    pub revision: Revision,
    /// What was searched for.
    pub search: SearchKind,
    /// The question; what is searched for has the name `*` in it.
    pub request: AccessRequest,
    /// The page began after this candidate; `""` is the beginning.
    pub after: String,
    /// How many candidates were looked at.
    pub looked_at: usize,
    /// How many were told.
    pub found: usize,
    /// Their names, as far as a record has room.
    pub names: Vec<String>,
    /// Nothing is left to be looked at after this page.
    pub complete: bool,
}

impl fmt::Display for SearchRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let searched = match self.search {
            SearchKind::Subject => "subjects",
            SearchKind::Resource => "resources",
            SearchKind::Action => "actions",
        };
        writeln!(f, "{}: a search for {searched} by `{}`", self.id, self.request.pep)?;
        writeln!(f, "  at       {}, policy revision `{}`", rfc3339(self.at), self.revision)?;
        let end = if self.complete { "then none was left" } else { "and the caller was told that there is more" };
        write!(f, "  told     {} of the {} that were looked at, {end}: {}", self.found, self.looked_at, self.names.join(", "))
    }
}

/// The bytes of names that a record has room for.
const ROOM: usize = 64 * 1024;

/// What was told.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The page began after this candidate; `""` is the beginning.
    pub after: &'a str,
    /// The names, in order.
    pub names: &'a [&'a str],
    /// How many candidates were looked at.
    pub looked_at: usize,
    /// Nothing is left.
    pub complete: bool,
}

impl SearchRecord {
    /// Records a search.
    #[must_use]
    pub fn new(id: DecisionId, at: Timestamp, snapshot: &Snapshot, search: SearchKind, request: AccessRequest, told: Told<'_>) -> Self {
        let mut room = ROOM;
        let mut fits = |name: &&str| {
            room = room.saturating_sub(name.len());
            room > 0
        };
        Self {
            id,
            at,
            tenant: request.tenant().clone(),
            engine: ENGINE.to_owned(),
            revision: snapshot.revision.clone(),
            search,
            request,
            after: told.after.to_owned(),
            looked_at: told.looked_at,
            found: told.names.len(),
            names: told.names.iter().take_while(|name| fits(name)).map(|name| (*name).to_owned()).collect(),
            complete: told.complete,
        }
    }
}
