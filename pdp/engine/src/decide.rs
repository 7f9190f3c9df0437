//! Settles a request: evidence, score, policy, remedy, and the one maker of a [`Permit`].

use std::collections::BTreeSet;

use countersign_risk::{Assessment, BindingState, Known, RawSighting, Sighting, Weights, observe, score};
use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::{Acr, DenialCode, Digest, Effect, Obligation, Reason, Revision, RiskScore, Seconds, SubjectId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::facts::Facts;
use crate::identify::Identified;
use crate::input;
use crate::remedy::{self, Attempt, Remedy};
use crate::snapshot::Snapshot;

#[cfg(test)]
pub(crate) mod tests;

/// The proof that a request was allowed. Only `decide` makes one; the allow arm of every adapter takes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    subject: SubjectId,
    roles: Vec<String>,
    request: Digest,
    obligations: Vec<Obligation>,
    revision: Revision,
}

impl Permit {
    /// Who may.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// Their roles, as the policy saw them.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// What they may, as the request's digest.
    #[must_use]
    pub const fn request(&self) -> Digest {
        self.request
    }

    /// What the enforcement point must do.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// The policy revision that allowed it.
    #[must_use]
    pub const fn revision(&self) -> &Revision {
        &self.revision
    }
}

/// What a step-up asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The least burdensome level that makes it an allow.
    pub acr: Acr,
    /// How old the proof may be.
    pub max_age: Seconds,
    /// Why, for the subject's own page. Never on the wire to an anonymous client.
    pub reasons: Vec<Reason>,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request may pass.
    Allow(Permit),
    /// Not like this; prove it again.
    StepUp(Demand),
    /// No.
    Deny(Denial),
}

/// An answer as it is recorded and compared. It permits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// It was allowed, with these obligations.
    Allow(Vec<Obligation>),
    /// A step-up was demanded.
    StepUp(Demand),
    /// It was denied.
    Deny(Denial),
}

impl Decision {
    /// The effect.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self {
            Self::Allow(_) => Effect::Allow,
            Self::StepUp(_) => Effect::StepUp,
            Self::Deny(_) => Effect::Deny,
        }
    }

    /// The answer without its power.
    #[must_use]
    pub fn summary(&self) -> Summary {
        match self {
            Self::Allow(permit) => Summary::Allow(permit.obligations.clone()),
            Self::StepUp(demand) => Summary::StepUp(demand.clone()),
            Self::Deny(denial) => Summary::Deny(denial.clone()),
        }
    }
}

/// How the answer came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What the request showed, keyed.
    pub sighting: Sighting,
    /// The score and its reasons.
    pub assessment: Assessment,
    /// What remained of the score after live grants.
    pub remaining: RiskScore,
    /// The digest of the input document.
    pub input: Digest,
    /// What the policy said; `None` when it was not asked or gave nothing.
    pub verdict: Option<Verdict>,
    /// Which proofs were tried as a remedy, and what each would have led to.
    pub tried: Vec<Attempt>,
    /// The evidence that a passkey would answer: what a grant made now must carry.
    pub answerable: BTreeSet<Digest>,
}

/// An answer and how it came about.
#[derive(Debug, PartialEq)]
pub struct Decided {
    /// The answer.
    pub decision: Decision,
    /// How it came about.
    pub trace: Trace,
}

/// What a request shows of its subject and how that scores, with no policy asked: the circumstances under which a ceremony was performed.
#[derive(Debug, Clone, PartialEq)]
pub struct Witness {
    /// What the request shows, keyed.
    pub sighting: Sighting,
    /// The score and its reasons.
    pub assessment: Assessment,
}

/// Looks at a request as [`decide`] would, and permits nothing.
#[must_use]
pub fn witness(identified: &Identified, facts: &Facts, snapshot: &Snapshot, now: Timestamp) -> Witness {
    let sighting = sight(identified, facts, now);
    let assessment = assess(&sighting, facts, &snapshot.weights);
    Witness { sighting, assessment }
}

/// Decides. Pure: the same arguments always give the same answer, and every failure is a deny.
#[must_use]
pub fn decide(identified: &Identified, facts: &Facts, snapshot: &Snapshot, now: Timestamp) -> Decided {
    decide_on(sight(identified, facts, now), identified, facts, snapshot, now)
}

/// The same from a recorded sighting: the salt that keyed it need not exist any more.
pub(crate) fn decide_on(sighting: Sighting, identified: &Identified, facts: &Facts, snapshot: &Snapshot, now: Timestamp) -> Decided {
    let assessment = assess(&sighting, facts, &snapshot.weights);
    let case = Case { identified, facts, snapshot, now, sighting: &sighting, assessment: &assessment };
    let input = case.input(facts);
    let (decision, verdict, tried) = case.settle(&input);
    let trace = Trace {
        remaining: input.context.risk_score,
        input: digest(&input),
        verdict,
        tried,
        answerable: assessment.answerable(),
        sighting,
        assessment,
    };
    Decided { decision, trace }
}

/// What the risk and the obligations of an allow would be at an instant; `None` where the answer would be another. What would make it yes is not looked for.
pub(crate) fn allowed(identified: &Identified, facts: &Facts, snapshot: &Snapshot, at: Timestamp) -> Option<(RiskScore, Vec<Obligation>)> {
    let sighting = sight(identified, facts, at);
    let assessment = assess(&sighting, facts, &snapshot.weights);
    let case = Case { identified, facts, snapshot, now: at, sighting: &sighting, assessment: &assessment };
    if case.barred().is_some() {
        return None;
    }
    let input = case.input(facts);
    let verdict = snapshot.ask(&input).ok().filter(|verdict| case.effect(verdict) == Effect::Allow)?;
    Some((input.context.risk_score, case.obligations(&verdict)))
}

/// Settles with a risk that was assessed before: what another policy would have said of the same evidence.
pub(crate) fn settle_assessed(
    (sighting, assessment): (&Sighting, &Assessment),
    identified: &Identified,
    facts: &Facts,
    snapshot: &Snapshot,
    now: Timestamp,
) -> (Decision, Option<Verdict>) {
    let case = Case { identified, facts, snapshot, now, sighting, assessment };
    let (decision, verdict, _) = case.settle(&case.input(facts));
    (decision, verdict)
}

/// What a request shows of its subject, keyed.
#[must_use]
pub fn sight(identified: &Identified, facts: &Facts, now: Timestamp) -> Sighting {
    let inventory = facts.device.inventory.unwrap_or_default();
    let raw = RawSighting {
        at: now,
        address: identified.request.client_address,
        place: &facts.place,
        user_agent: identified.request.agent.user_agent.as_deref(),
        hints: identified.request.agent.hints(),
        components: facts.components,
        cookie: identified.device.as_ref().filter(|_| identified.binding != BindingState::Proved),
        key: identified.device.as_ref().filter(|_| identified.binding == BindingState::Proved),
        session: &identified.session,
        binding: identified.binding,
        counter_regressed: facts.counter_regressed,
        posture: countersign_risk::Posture { compliant: inventory.compliant, managed: inventory.managed },
        failures: facts.failures,
    };
    Sighting::new(&raw, &facts.salts)
}

pub(crate) fn assess(sighting: &Sighting, facts: &Facts, weights: &Weights) -> Assessment {
    let is_privileged = facts.user.as_ref().is_some_and(|user| user.roles.iter().any(|role| weights.privileged_roles.contains(role)));
    let known = Known {
        baseline: &facts.baseline,
        organisation: facts.organisation,
        trail: facts.trail.as_ref(),
        behavior: facts.behavior.as_ref(),
        is_asked_when_unknown: is_privileged || !facts.reachable.is_empty(),
    };
    score(observe(sighting, &known, weights), &weights.calibration)
}

fn digest(input: &Input) -> Digest {
    let bytes = serde_json::to_vec(input).unwrap_or_default();
    Digest(*blake3::Hasher::new_derive_key("countersign input 1").update(&bytes).finalize().as_bytes())
}

/// One request with everything that its decision depends on.
pub(crate) struct Case<'a> {
    pub(crate) identified: &'a Identified,
    pub(crate) facts: &'a Facts,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Timestamp,
    pub(crate) sighting: &'a Sighting,
    pub(crate) assessment: &'a Assessment,
}

impl Case<'_> {
    pub(crate) fn input(&self, facts: &Facts) -> Input {
        let mut input = input::build(self.identified, facts, self.sighting, self.assessment, &self.snapshot.ladder, self.now);
        self.snapshot.policy.entities().complete(&mut input);
        input
    }

    /// What the verdict comes to at this enforcement point: an allow that it cannot carry out is a deny.
    pub(crate) fn effect(&self, verdict: &Verdict) -> Effect {
        let unsupported = verdict.effect == Effect::Allow && self.unsupported(&self.obligations(verdict)).is_some();
        if unsupported { Effect::Deny } else { verdict.effect }
    }

    /// The first obligation that the enforcement point says it does not support. One that says nothing may support all.
    fn unsupported<'o>(&self, obligations: &'o [Obligation]) -> Option<&'o Obligation> {
        let supported = self.identified.request.supported_obligations.as_ref()?;
        obligations.iter().find(|obligation| !supported.contains(&obligation.kind))
    }

    fn settle(&self, input: &Input) -> (Decision, Option<Verdict>, Vec<Attempt>) {
        if let Some(denial) = self.barred() {
            return (Decision::Deny(denial), None, Vec::new());
        }
        let verdict = match self.snapshot.ask(input) {
            Ok(verdict) => verdict,
            Err(error) => return (Decision::Deny(error.into()), None, Vec::new()),
        };
        if verdict.effect == Effect::Allow {
            return (self.allow(&verdict), Some(verdict), Vec::new());
        }
        let obliged = |denial: Denial| Decision::Deny(denial.obliging(verdict.obligations.clone()));
        if verdict.is_final {
            return (obliged(Denial::new(DenialCode::PolicyDenied, "the policy's no is final")), Some(verdict), Vec::new());
        }
        let (remedy, tried) = remedy::look(self, &verdict);
        let decision = match remedy {
            Remedy::Level(acr) => Decision::StepUp(self.demand(acr, &verdict)),
            Remedy::None(denial) => obliged(denial),
        };
        (decision, Some(verdict), tried)
    }

    /// An enforcement point denies what it cannot carry out; one that forgets to must not let it pass either.
    fn allow(&self, verdict: &Verdict) -> Decision {
        let obligations = self.obligations(verdict);
        if let Some(obligation) = self.unsupported(&obligations) {
            let why = format!("the enforcement point does not support the obligation `{}`", obligation.kind);
            return Decision::Deny(Denial::new(DenialCode::ObligationUnsupported, why));
        }
        Decision::Allow(self.permit(obligations))
    }

    /// What no policy is asked about.
    pub(crate) fn barred(&self) -> Option<Denial> {
        let revoked = self.facts.revoked.as_ref().map(|what| Denial::new(DenialCode::Revoked, what.clone()));
        let locked = || self.facts.locked_until.filter(|until| *until > self.now);
        let stolen = self.identified.unproved();
        revoked.or(stolen).or_else(|| locked().map(|_| Denial::new(DenialCode::Locked, "the session is locked for a while")))
    }

    /// What comes with an allow.
    pub(crate) fn obligations(&self, verdict: &Verdict) -> Vec<Obligation> {
        let mut obligations = verdict.obligations.clone();
        if self.facts.break_glass {
            let properties = serde_json::Map::new();
            obligations.push(Obligation { id: "break-glass".to_owned(), kind: "break-glass".to_owned(), properties });
        }
        obligations
    }

    fn permit(&self, obligations: Vec<Obligation>) -> Permit {
        Permit {
            subject: self.identified.subject.clone(),
            roles: self.facts.user.as_ref().map(|user| user.roles.iter().cloned().collect()).unwrap_or_default(),
            request: self.identified.request.digest(),
            obligations,
            revision: self.snapshot.revision.clone(),
        }
    }

    fn demand(&self, acr: Acr, verdict: &Verdict) -> Demand {
        let reasons = self.assessment.reasons().into_iter().filter(|reason| reason.points > 0).collect();
        Demand { acr, max_age: verdict.max_age.map_or(self.snapshot.max_age, Seconds), reasons }
    }
}
