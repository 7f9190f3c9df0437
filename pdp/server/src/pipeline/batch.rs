//! Many questions at once: one deadline, one look at each subject, one wait for all records, and a record of each decision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_engine::Denial;
use countersign_pdp_engine::decide::Decision;
use countersign_pdp_engine::facts::Facts;
use countersign_pdp_engine::identify::Identified;
use countersign_pdp_engine::request::{Credentials, RawCheck};
use countersign_sdk_types::{DenialCode, SubjectId};

use super::{Answer, Patient, Pdp};
use crate::clock::Stopwatch;
use crate::metrics::Door;

/// What the questions of a batch share. The facts are looked up once, so that the order of the questions changes no answer, and refusals are charged once: a
/// list of what a page may show is no series of attempts.
pub(super) struct Batch {
    last: Option<Look>,
    is_shared: bool,
    charged: BTreeSet<SubjectId>,
}

struct Look {
    identified: Identified,
    grant: Option<String>,
    facts: Arc<Facts>,
}

impl Batch {
    /// One question, which shares nothing.
    pub(super) const fn of_one() -> Self {
        Self { last: None, is_shared: false, charged: BTreeSet::new() }
    }

    const fn of_many() -> Self {
        Self { last: None, is_shared: true, charged: BTreeSet::new() }
    }

    /// The facts of the last question, where this one is about the same subject in the same place.
    pub(super) fn look_up(
        &mut self,
        identified: &Identified,
        credentials: &Credentials,
        look: impl FnOnce() -> Result<Facts, Denial>,
    ) -> Result<Arc<Facts>, Denial> {
        let same = |last: &&Look| last.grant == credentials.grant && last.identified.presents_as(identified);
        if let Some(last) = self.last.as_ref().filter(same) {
            return Ok(Arc::clone(&last.facts));
        }
        let facts = Arc::new(look()?);
        // Whether a demand comes again is a fact of the one question.
        if self.is_shared && facts.grants.is_empty() {
            let (identified, grant) = (identified.clone(), credentials.grant.clone());
            self.last = Some(Look { identified, grant, facts: Arc::clone(&facts) });
        }
        Ok(facts)
    }

    /// Whether a refusal of this subject counts.
    pub(super) fn charges(&mut self, subject: &SubjectId) -> bool {
        !self.is_shared || self.charged.insert(subject.clone())
    }
}

impl Pdp {
    /// Decides questions in order, as long as `goes_on` says so of each decision, and records each. After the deadline, the rest is denied unseen.
    pub async fn check_all(
        &self,
        door: Door,
        questions: impl IntoIterator<Item = Result<RawCheck, Denial>>,
        goes_on: impl Fn(&Decision) -> bool,
        deadline: Duration,
    ) -> Vec<Answer> {
        let patience = Patient { watch: Stopwatch::start(), deadline };
        let (mut batch, mut pending) = (Batch::of_many(), Vec::new());
        for question in questions {
            let late = || Denial::new(DenialCode::Deadline, "the batch took too long before its turn came");
            let question = if patience.is_over() { Err(late()) } else { question };
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
}
