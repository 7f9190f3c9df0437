//! What edges are given, and what they tell: signed snapshots, and the lines of what they decided by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_pdp_engine::identify::{Identified, Issuers, ProofRules};
use countersign_pdp_engine::record::{ENGINE, EdgeBatch, EdgeGap, EdgeKnown, EdgeLine, EdgeRecord, edge_id};
use countersign_pdp_engine::request::{Pep, RequestRules};
use countersign_pdp_engine::sealed::{EdgeTerms, Parts, Sealed};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_store::AuditMode;
use countersign_risk::Sighting;
use countersign_sdk_types::{Consistency, DecisionId, Millis, PepId, Revision, RiskLevel, Tenant, Timestamp};
use moka::sync::Cache;

use crate::config::{ClaimMap, LeaseTerms, SnapshotTerms};
use crate::pipeline::{Pdp, Shown};

/// Facts that were given to edges and are remembered, so that what rests on them is known to be somebody's.
const MOST_ISSUED: u64 = 50_000;
/// How long lines may come after the facts have ended.
const LATE: Duration = Duration::from_secs(600);
/// Lives of edges whose batches are told from those that were told before.
const MOST_LIVES: u64 = 10_000;

/// What a decision point remembers of its edges.
#[derive(Debug)]
pub struct Edges {
    terms: SnapshotTerms,
    issued: Cache<DecisionId, Arc<Issued>>,
    told: Cache<(PepId, String), u64>,
    sealed: Mutex<BTreeMap<PepId, Arc<Document>>>,
}

/// Facts that were given to an edge.
#[derive(Debug)]
struct Issued {
    edge: PepId,
    identified: Identified,
    sighting: Sighting,
    revision: Revision,
}

/// A signed snapshot.
#[derive(Debug)]
pub struct Document {
    /// The compact JWS.
    pub text: String,
    /// Its entity tag.
    pub tag: String,
    content: blake3::Hash,
    made: Timestamp,
}

/// Why lines were not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotKept {
    /// They are not of their form.
    Malformed(&'static str),
    /// The journal did not take them in time.
    Unavailable,
}

/// What a snapshot is made of beside the policy, wherever it is made.
#[derive(Debug)]
pub struct Around<'a> {
    /// Whose it is.
    pub tenant: &'a Tenant,
    /// How requests are read.
    pub rules: &'a RequestRules,
    /// What claims stand in for.
    pub claims: &'a BTreeMap<String, ClaimMap>,
    /// On which terms decisions are leased.
    pub lease: &'a LeaseTerms,
    /// The types of obligations beside those of the profile.
    pub obligations: &'a std::collections::BTreeSet<String>,
    /// Whether a decision waits for its record.
    pub audit: AuditMode,
    /// How much of the log of changes is known.
    pub consistency: Option<Consistency>,
    /// Which life of a server makes it.
    pub server: Option<u64>,
}

impl Around<'_> {
    /// The document for an enforcement point.
    #[must_use]
    pub fn seal(
        &self,
        snapshot: &Snapshot,
        pep: &Pep,
        issuers: Issuers,
        proofs: ProofRules,
        terms: &SnapshotTerms,
        made: Timestamp,
    ) -> Sealed {
        let edge = EdgeTerms {
            risk_below: self.lease.risk_below,
            never: self.lease.never.clone(),
            audit_required: self.audit == AuditMode::Required,
        };
        let parts = Parts {
            tenant: self.tenant.clone(),
            pep: pep.clone(),
            rules: self.rules.clone(),
            issuers,
            claims: self.claims.clone(),
            proofs,
            obligations: self.obligations.clone(),
            edge,
            consistency: self.consistency,
            server: self.server,
            made,
            life: terms.life,
        };
        Sealed::new(snapshot, parts)
    }
}

impl Edges {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(terms: SnapshotTerms) -> Self {
        let kept = Duration::from_millis(terms.facts.0) + LATE;
        Self {
            terms,
            issued: Cache::builder().max_capacity(MOST_ISSUED).time_to_live(kept).build(),
            told: Cache::builder().max_capacity(MOST_LIVES).time_to_idle(LATE).build(),
            sealed: Mutex::default(),
        }
    }

    /// On which terms.
    #[must_use]
    pub const fn terms(&self) -> &SnapshotTerms {
        &self.terms
    }

    /// The snapshot for an enforcement point: the last one as long as nothing changed and half of its life is left.
    ///
    /// # Errors
    /// When there is no key, or signing fails, in words for an operator.
    pub fn snapshot(&self, pdp: &Pdp, pep: &Pep, obligations: &std::collections::BTreeSet<String>) -> Result<Arc<Document>, String> {
        let key = self.terms.signing_key.as_ref().ok_or("`snapshot.signing_key_file` names no key")?;
        let now = pdp.clock.now();
        let around = Around {
            tenant: &pdp.tenant,
            rules: &pdp.rules,
            claims: &pdp.claim_maps,
            lease: &pdp.lease,
            obligations,
            audit: pdp.audit,
            consistency: Some(pdp.position()),
            server: Some(pdp.hub.epoch().life),
        };
        let issuers = Issuers::clone(&pdp.key_sets.current());
        // The time that nonces and the beginning of the book are of would make each document another one.
        let proofs = ProofRules { nonces: None, since: Timestamp(0), ..pdp.proofs.rules(now) };
        let sealed = around.seal(pdp.served.load().general(), pep, issuers, proofs, &self.terms, now);
        let content = blake3::hash(&serde_json::to_vec(&sealed.timeless()).map_err(|error| error.to_string())?);
        let mut all = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |document: &&Arc<Document>| document.content == content && now.since(document.made).0 < self.terms.life.0 * 500;
        if let Some(document) = all.get(&pep.id).filter(is_good) {
            return Ok(Arc::clone(document));
        }
        let text = sealed.sign(key).map_err(|error| error.to_string())?;
        let tag = format!("\"{}\"", blake3::hash(text.as_bytes()).to_hex());
        let document = Arc::new(Document { text, tag, content, made: now });
        all.insert(pep.id.clone(), Arc::clone(&document));
        Ok(document)
    }

    /// Remembers that facts were given to an edge.
    pub fn issue(&self, edge: &PepId, id: &str, revision: Revision, shown: Shown) {
        if let Ok(id) = DecisionId::new(id) {
            let Shown { identified, sighting, .. } = shown;
            self.issued.insert(id, Arc::new(Issued { edge: edge.clone(), identified, sighting, revision }));
        }
    }

    /// Keeps the lines of an edge, each once, and follows the sessions that they are of.
    ///
    /// # Errors
    /// When they are malformed, or the journal does not take them: then all of them may be told again.
    pub async fn keep(&self, pdp: &Pdp, edge: &PepId, batch: EdgeBatch) -> Result<usize, NotKept> {
        let now = pdp.clock.now();
        batch.check(now).map_err(NotKept::Malformed)?;
        edge_id(&pdp.tenant, edge, &batch.life, u64::MAX).ok_or(NotKept::Malformed("its names are too long"))?;
        let life = (edge.clone(), batch.life.clone());
        if self.told.get(&life).is_some_and(|told| told >= batch.batch) {
            return Ok(0);
        }
        let mut receipts = Vec::with_capacity(batch.lines.len() + 1);
        let id = |number: u64| edge_id(&pdp.tenant, edge, &batch.life, number).ok_or(NotKept::Malformed("its names are too long"));
        if batch.lost > 0 {
            let id = edge_id(&pdp.tenant, edge, &format!("{}.lost", batch.life), batch.batch);
            let id = id.ok_or(NotKept::Malformed("its names are too long"))?;
            let gap = EdgeGap { id: id.clone(), at: now, tenant: pdp.tenant.clone(), edge: edge.clone(), lost: batch.lost };
            receipts.push(pdp.store.append_decision(&id, &gap, pdp.audit));
        }
        let kept = batch.lines.len();
        for line in batch.lines {
            let under = batch.of.get(line.of).ok_or(NotKept::Malformed("a line rests on nothing"))?;
            let (id, issued) = (id(line.number)?, self.issued.get(under).filter(|issued| issued.edge == *edge));
            let at = batch.at.after(Millis(line.after.into()));
            if let Some(issued) = &issued {
                follow(pdp, issued, at, &line);
            }
            let known = issued.map(|issued| EdgeKnown { subject: issued.identified.subject().clone(), revision: issued.revision.clone() });
            let EdgeLine { action, resource, count, lasted, risk, .. } = line;
            let (tenant, engine, edge, under) = (pdp.tenant.clone(), ENGINE.to_owned(), edge.clone(), under.clone());
            let record =
                EdgeRecord { id: id.clone(), at, told: now, tenant, engine, edge, under, known, action, resource, count, lasted, risk };
            receipts.push(pdp.store.append_decision(&id, &record, pdp.audit));
        }
        if pdp.audit == AuditMode::Required {
            let all = async {
                for receipt in receipts {
                    receipt.await.map_err(|_| NotKept::Unavailable)?;
                }
                Ok(())
            };
            tokio::time::timeout(pdp.deadline, all).await.map_err(|_| NotKept::Unavailable)??;
        }
        self.told.insert(life, batch.batch);
        Ok(kept)
    }
}

/// A session that goes on at an edge is seen there.
fn follow(pdp: &Pdp, issued: &Issued, at: Timestamp, line: &EdgeLine) {
    // An edge's clock may be ahead: a session is never seen in what is yet to come.
    let last = at.after(Millis(line.lasted.into())).min(pdp.clock.now());
    if line.risk.level() == RiskLevel::Low && last > issued.sighting.at {
        pdp.trails.goes_on(&issued.identified, &Sighting { at: last, ..issued.sighting.clone() });
    }
}
