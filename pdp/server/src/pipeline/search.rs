//! Who may, with what, or what: each candidate of the entity directory is asked about as an evaluation would be, and one record says what was told.
//!
//! A search changes nothing: no ceremony, no counter, no trail, no lesson, no salt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::record::{SearchKind, SearchRecord, Told};
use countersign_pdp_engine::request::{AccessRequest, Credentials, RawCheck, normalize};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_engine::standing::Standing;
use countersign_pdp_store::AuditMode;
use countersign_sdk_types::{Action, DenialCode, Entity, Fault, Obligation, Timestamp};

use super::identify::denied;
use super::{Patient, Pdp, Written, written};
use crate::clock::Stopwatch;
use crate::metrics::SearchOutcome;

/// What is searched for, and from where.
#[derive(Debug)]
pub struct Search {
    /// Subjects, resources or actions.
    pub kind: SearchKind,
    /// The question. What is searched for has a type in it, and any name.
    pub raw: RawCheck,
    /// The candidate after which this page begins; `""` is the beginning.
    pub after: String,
}

/// What a page of a search may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Results.
    pub results: usize,
    /// Candidates that are looked at.
    pub candidates: usize,
    /// The time that it takes. One candidate is looked at in any case, so that the next page comes further.
    pub deadline: Duration,
}

/// Something that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its id, or the action's name.
    pub name: String,
    /// What comes with its allow.
    pub obligations: Vec<Obligation>,
}

/// Why a page ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every candidate was looked at.
    Complete,
    /// As many were found as were wanted, and there are more.
    Results,
    /// As many were looked at as may be.
    Candidates,
    /// It took as long as it may.
    Deadline,
}

/// A page of a search.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The name of its record.
    pub id: String,
    /// What was found, in order.
    pub hits: Vec<Hit>,
    /// Why it ends.
    pub ended: Ended,
    /// Where the next page begins, unless this was the last.
    pub next: Option<String>,
    looked_at: usize,
}

impl Found {
    /// A page that is not recorded yet.
    #[must_use]
    pub fn new(hits: Vec<Hit>, ended: Ended, next: Option<&str>) -> Self {
        Self { id: String::new(), looked_at: hits.len(), hits, ended, next: next.map(ToOwned::to_owned) }
    }
}

impl Pdp {
    /// Searches one page and records it.
    ///
    /// # Errors
    /// When the question is malformed, when facts cannot be read, or when the record is required and cannot be written: then nothing is told.
    pub async fn search(&self, search: Search, bounds: Bounds) -> Result<Found, Denial> {
        let found = self.search_uncounted(search, bounds).await;
        self.metrics.searched(match &found {
            Ok(found) if found.next.is_none() => SearchOutcome::Complete,
            Ok(_) => SearchOutcome::Partial,
            Err(_) => SearchOutcome::Refused,
        });
        found
    }

    async fn search_uncounted(&self, search: Search, bounds: Bounds) -> Result<Found, Denial> {
        let patience = Patient { watch: Stopwatch::start(), deadline: bounds.deadline };
        let now = self.clock.now();
        let serving = self.served.load_full();
        let (request, credentials) = normalize(search.raw, &self.rules)?;
        let snapshot = serving.general();
        let mut question = Question { pdp: self, kind: search.kind, request: &request, credentials: &credentials, snapshot, now };
        let looked_up = if search.kind == SearchKind::Subject { None } else { question.look_up(request.clone())? };
        if let Some((identified, _)) = &looked_up {
            // As an evaluation of the same subject would be.
            question.snapshot = serving.of(identified.subject());
        }
        let after = search.after.as_str();
        let mut found = question.page(looked_up, after, bounds, patience).await?;
        found.id = self.record_search(&question, after, &found).await?;
        Ok(found)
    }

    async fn record_search(&self, question: &Question<'_>, after: &str, found: &Found) -> Result<String, Denial> {
        let id = self.next_id()?;
        let names: Vec<&str> = found.hits.iter().map(|hit| hit.name.as_str()).collect();
        let told = Told { after, names: &names, looked_at: found.looked_at, complete: found.next.is_none() };
        let record = SearchRecord::new(id.clone(), question.now, question.snapshot, question.kind, question.request.clone(), told);
        let receipt = self.store.append_decision(&id, &record, self.audit);
        if self.audit == AuditMode::BestEffort {
            return Ok(id.to_string());
        }
        match written(Some(receipt), self.deadline).await {
            Written::InTime => Ok(id.to_string()),
            Written::Late => Err(Denial::new(DenialCode::Deadline, "the record was not written before the deadline")),
            Written::Never => {
                self.metrics.audit_lost();
                Err(Denial::new(DenialCode::AuditUnavailable, "the record could not be written"))
            }
        }
    }
}

/// One search, looked at once.
struct Question<'a> {
    pdp: &'a Pdp,
    kind: SearchKind,
    request: &'a AccessRequest,
    credentials: &'a Credentials,
    snapshot: &'a Snapshot,
    now: Timestamp,
}

impl<'a> Question<'a> {
    async fn page(&self, looked_up: Option<(Identified, Facts)>, after: &str, bounds: Bounds, patience: Patient) -> Result<Found, Denial> {
        let mut found = Found::new(Vec::new(), Ended::Complete, None);
        let mut standing = looked_up.as_ref().map(|(identified, facts)| Standing::of(identified.clone(), facts, self.snapshot, self.now));
        let mut position = after;
        for name in self.candidates(after)? {
            let exhausted = match () {
                () if found.looked_at >= bounds.candidates => Some(Ended::Candidates),
                () if found.looked_at > 0 && patience.is_over() => Some(Ended::Deadline),
                () => None,
            };
            if let Some(ended) = exhausted {
                return Ok(Found { ended, next: Some(position.to_owned()), ..found });
            }
            found.looked_at += 1;
            let hit = self.ask(name, standing.as_mut())?.map(|obligations| Hit { name: name.clone(), obligations });
            // One more than is wanted is looked for, so that the last page is known to be the last.
            if hit.is_some() && found.hits.len() >= bounds.results {
                return Ok(Found { ended: Ended::Results, next: Some(position.to_owned()), ..found });
            }
            found.hits.extend(hit);
            position = name;
            // Other requests take turns with a long search.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    /// The names to look at, in order. Of a type that the directory does not know there are none.
    fn candidates(&self, after: &str) -> Result<Box<dyn Iterator<Item = &'a String> + Send + 'a>, Denial> {
        let (entities, resource) = (self.snapshot.policy.entities(), &self.request.resource().kind);
        Ok(match self.kind {
            SearchKind::Resource => Box::new(entities.resources.ids_after(resource, after)),
            SearchKind::Action => Box::new(entities.actions_after(resource, after)),
            SearchKind::Subject => {
                let stated = self.request.asserted_subject();
                let stated = stated.ok_or_else(|| Denial::new(DenialCode::MalformedRequest, "a search for subjects presents none"))?;
                Box::new(entities.subjects.ids_after(&stated.kind, after))
            }
        })
    }

    /// What an allow of this candidate would oblige to; `None` when it would be none.
    fn ask(&self, name: &str, standing: Option<&mut Standing<'_>>) -> Result<Option<Vec<Obligation>>, Denial> {
        let asked = catch_unwind(AssertUnwindSafe(|| self.ask_unguarded(name, standing)));
        asked.unwrap_or_else(|_| Err(Denial::new(DenialCode::Internal, "a step panicked")))
    }

    fn ask_unguarded(&self, name: &str, standing: Option<&mut Standing<'_>>) -> Result<Option<Vec<Obligation>>, Denial> {
        let named = |entity: &Entity| Entity { id: name.to_owned(), ..entity.clone() };
        let (action, resource) = (self.request.action(), self.request.resource());
        match (self.kind, self.request.asserted_subject(), standing) {
            (SearchKind::Subject, Some(subject), _) => self.ask_about(named(subject)),
            (SearchKind::Resource, _, Some(standing)) => Ok(standing.would_allow(action.clone(), named(resource))),
            (SearchKind::Action, _, Some(standing)) => {
                Ok(standing.would_allow(Action { name: name.to_owned(), ..action.clone() }, resource.clone()))
            }
            // Nobody is identified, so nothing would be allowed.
            _ => Ok(None),
        }
    }

    fn ask_about(&self, subject: Entity) -> Result<Option<Vec<Obligation>>, Denial> {
        let Some((identified, facts)) = self.look_up(self.request.about(subject)?)? else { return Ok(None) };
        let mut standing = Standing::of(identified, &facts, self.snapshot, self.now);
        Ok(standing.would_allow(self.request.action().clone(), self.request.resource().clone()))
    }

    /// Who it is and what is known; `None` where an evaluation would deny before any policy is asked.
    fn look_up(&self, request: AccessRequest) -> Result<Option<(Identified, Facts)>, Denial> {
        let identified = self.pdp.identify(request, self.credentials, self.now);
        let looked_up = identified.and_then(|identified| {
            let facts = self.pdp.look_up_for_search(&identified, self.credentials, &self.snapshot.ladder, self.now)?;
            Ok((identified, facts))
        });
        match looked_up {
            Ok(looked_up) => Ok(Some(looked_up)),
            Err(error) => match denied(error) {
                denial if matches!(denial.fault(), Fault::Unavailable | Fault::Malformed) => Err(denial),
                _ => Ok(None),
            },
        }
    }
}
