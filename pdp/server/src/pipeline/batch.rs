//! Many questions at once: one deadline, one look at each subject, one wait for all records, and a record of each decision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::Decision;
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::{Identified, IdentifyError};
use countersign_pdp_engine::request::{AccessRequest, Credentials};
use countersign_sdk_types::{DenialCode, SubjectId};

use super::lease::Seen;
use super::{Answer, Patient, Pdp, Question, Serving, Shown};
use crate::clock::Stopwatch;
use crate::metrics::Door;

/// What the questions of a batch share. Who asks is found out once, so that a proof that is good for one request is good for its whole batch; the facts are
/// looked up once, so that the order of the questions changes no answer; and what is refused is charged once: a list of what a page may show is no series of
/// attempts.
pub(super) struct Batch {
    is_shared: bool,
    /// How long a lease of one of its answers may be held.
    pub(super) leases: Option<Duration>,
    /// What all of it is decided by, and what had been told before that was looked at.
    begun: Option<(Seen, Arc<Serving>)>,
    last: Option<Look>,
    refused: BTreeSet<SubjectId>,
    is_forged: bool,
    shows: bool,
    shown: Option<Box<Shown>>,
}

/// A subject, as the last question presented it.
struct Look {
    identified: Identified,
    credentials: Credentials,
    facts: Option<Arc<Facts>>,
    /// Before anything of it was read. What is told or written later may be missing in it.
    seen: Seen,
}

impl Batch {
    /// One question, which shares nothing.
    pub(super) fn of_one(leases: Option<Duration>) -> Self {
        Self { is_shared: false, ..Self::of_many(leases) }
    }

    pub(super) fn of_many(leases: Option<Duration>) -> Self {
        Self { is_shared: true, leases, begun: None, last: None, refused: BTreeSet::new(), is_forged: false, shows: false, shown: None }
    }

    /// What decides, and what was seen before that was looked at: found out once for all questions, so that no batch is answered by two revisions.
    pub(super) fn begin(&mut self, look: impl FnOnce() -> (Seen, Arc<Serving>)) -> (Seen, Arc<Serving>) {
        match &self.begun {
            Some((seen, serving)) => (*seen, Arc::clone(serving)),
            None => {
                let begun = look();
                self.begun = Some(begun.clone()).filter(|_| self.is_shared);
                begun
            }
        }
    }

    /// The same, of which it is to be shown what its decision was made of.
    pub(super) fn showing(self) -> Self {
        Self { shows: true, ..self }
    }

    /// Keeps what a decision was made of, where that is wanted.
    pub(super) fn show(&mut self, shown: impl FnOnce() -> Shown) {
        if self.shows {
            self.shown = Some(Box::new(shown()));
        }
    }

    /// What the decision was made of.
    pub(super) fn take_shown(self) -> Option<Box<Shown>> {
        self.shown
    }

    /// Who asks: whoever asked the last question, where the same is presented; and what was seen before that was found out.
    pub(super) fn identify(
        &mut self,
        request: AccessRequest,
        credentials: &Credentials,
        seen: Seen,
        identify: impl FnOnce(AccessRequest) -> Result<Identified, IdentifyError>,
    ) -> Result<(Identified, Seen), IdentifyError> {
        let last = self.last.as_ref().filter(|last| last.credentials == *credentials);
        if let Some(again) = last.and_then(|last| last.identified.asking(&request).map(|again| (again, last.seen))) {
            return Ok(again);
        }
        self.last = None;
        let identified = identify(request)?;
        if self.is_shared {
            self.last = Some(Look { identified: identified.clone(), credentials: credentials.clone(), facts: None, seen });
        }
        Ok((identified, seen))
    }

    /// What is known of whom [`Batch::identify`] found.
    pub(super) fn look_up(&mut self, look: impl FnOnce() -> Result<Facts, Denial>) -> Result<Arc<Facts>, Denial> {
        if let Some(facts) = self.last.as_ref().and_then(|last| last.facts.clone()) {
            return Ok(facts);
        }
        let facts = Arc::new(look()?);
        // Whether a demand comes again is a fact of the one question.
        if let Some(last) = self.last.as_mut().filter(|_| facts.grants.is_empty()) {
            last.facts = Some(Arc::clone(&facts));
        }
        Ok(facts)
    }

    /// Whether a refusal of this subject counts.
    pub(super) fn charges(&mut self, subject: &SubjectId) -> bool {
        !self.is_shared || self.refused.insert(subject.clone())
    }

    /// Whether a forged token counts.
    pub(super) const fn charges_forgery(&mut self) -> bool {
        !self.is_shared || !std::mem::replace(&mut self.is_forged, true)
    }
}

impl Pdp {
    /// Decides questions in order, as long as `goes_on` says so of each decision, and records each. After the deadline, the rest is denied unseen.
    pub async fn check_all(
        &self,
        door: Door,
        questions: Vec<Question>,
        goes_on: impl Fn(&Decision) -> bool,
        deadline: Duration,
    ) -> Vec<Answer> {
        let patience = Patient { watch: Stopwatch::start(), deadline };
        let questions = self.all_fresh(questions, deadline / 2).await;
        let leases = self.leases(questions.iter().map(|question| &question.wanted), deadline);
        let (mut batch, mut pending) = (Batch::of_many(leases), Vec::new());
        for question in questions {
            let late = || Denial::new(DenialCode::Deadline, "the batch took too long before its turn came");
            let question = if patience.is_over() { Question { raw: Err(late()), ..question } } else { question };
            let settled = self.settle(question, patience, &mut batch).await;
            let ends = !goes_on(&settled.answer.decision);
            pending.push(settled);
            if ends {
                break;
            }
            // Other requests take turns with a long batch.
            tokio::task::yield_now().await;
        }
        // What was decided in time waits for its record as long as a single answer would.
        let patience = Patient { deadline: deadline + self.deadline, ..patience };
        let mut answers = Vec::with_capacity(pending.len());
        for settled in pending {
            let answer = self.finish(door, settled, patience).await;
            // A record that is missing makes a deny of an allow: what came after it was not to be seen.
            let ends = !goes_on(&answer.decision);
            answers.push(answer);
            if ends {
                break;
            }
        }
        answers
    }

    /// Waits once, before anything is looked up that questions share, and for some of the time only: what cannot be answered as freshly as it wants takes
    /// nothing from the others.
    async fn all_fresh(&self, questions: Vec<Question>, within: Duration) -> Vec<Question> {
        let patience = Patient { watch: Stopwatch::start(), deadline: within };
        let mut fresh = Vec::with_capacity(questions.len());
        for question in questions {
            fresh.push(self.fresh(question, patience.left()).await);
        }
        fresh
    }
}
