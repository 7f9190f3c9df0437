//! What an evaluation response means to an enforcement point.

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Acr, Consistency, DecisionId, DenialCode, EvaluationResponse, Lease, Obligation, Seconds};
use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};
use crate::question::Question;

/// The largest answer that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 16, values: 4_000 };

/// What a decision point answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The request may pass.
    Allow(Allow),
    /// Not like this: prove it again.
    StepUp(StepUp),
    /// No.
    Deny(Deny),
}

/// An allow: `decision: true`, with nothing to do that the enforcement point did not say it can. Only reading a response makes one.
#[derive(Debug, Clone)]
pub struct Allow {
    decision_id: Option<DecisionId>,
    obligations: Vec<Obligation>,
    lease: Option<Lease>,
    consistency: Option<Consistency>,
}

/// What would make the answer yes.
#[derive(Debug, Clone)]
pub struct StepUp {
    decision_id: Option<DecisionId>,
    acr: Acr,
    max_age: Option<Seconds>,
    ceremony: Option<Uri>,
    dpop_nonce: Option<String>,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Deny {
    decision_id: Option<DecisionId>,
    code: Option<DenialCode>,
    dpop_nonce: Option<String>,
}

impl Allow {
    /// The id of the decision, for `countersign why`.
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision_id.as_ref()
    }

    /// An operator let this subject pass in an emergency. There is nothing to do but to say so where somebody looks.
    #[must_use]
    pub fn glass_is_broken(&self) -> bool {
        self.obligations.iter().any(|obligation| obligation.kind == BREAK_GLASS)
    }

    /// What the enforcement point must carry out before the request passes; each is of a type that it supports.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// Leave to repeat this allow without asking.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// How fresh the decision is.
    #[must_use]
    pub const fn consistency(&self) -> Option<Consistency> {
        self.consistency
    }
}

impl StepUp {
    /// The id of the decision.
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision_id.as_ref()
    }

    /// The level that is asked for.
    #[must_use]
    pub const fn acr(&self) -> &Acr {
        &self.acr
    }

    /// How old the proof may be.
    #[must_use]
    pub const fn max_age(&self) -> Option<Seconds> {
        self.max_age
    }

    /// Where a browser performs the ceremony: an absolute `http` or `https` URL.
    #[must_use]
    pub const fn ceremony(&self) -> Option<&Uri> {
        self.ceremony.as_ref()
    }

    /// What the client's next proof of its key must name (RFC 9449 §9), where the decision point says it.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.dpop_nonce.as_deref()
    }
}

impl Deny {
    /// The id of the decision.
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision_id.as_ref()
    }

    /// Why, where the decision point said so in a code that this version knows.
    #[must_use]
    pub const fn code(&self) -> Option<DenialCode> {
        self.code
    }

    /// What the client's next proof of its key must name (RFC 9449 §9), where the decision point says it.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.dpop_nonce.as_deref()
    }
}

impl Answer {
    /// Reads a response.
    ///
    /// `decision: true` is an allow only where the question supports every obligation that comes with it, `break-glass` apart; what is not supported is a
    /// deny (AuthZEN Obligations profile). `decision: false` is a step-up when its only obligation is a `step-up`.
    ///
    /// # Errors
    /// When the obligations or the step-up are not of their shape.
    pub fn from_response(response: &EvaluationResponse, question: &Question) -> Result<Self, Error> {
        let context = &response.context;
        let obligations: Vec<Obligation> = member(context, "obligations")?.unwrap_or_default();
        let decision_id = member(context, "id")?;
        let is_supported = |obligation: &Obligation| obligation.kind == BREAK_GLASS || question.supports(&obligation.kind);
        match (response.decision, obligations.as_slice()) {
            (true, all) if all.iter().all(is_supported) => {
                let (lease, consistency) = (member(context, "lease")?, member(context, "consistency")?);
                Ok(Self::Allow(Allow { decision_id, obligations, lease, consistency }))
            }
            (false, [only]) if only.kind == "step-up" => Ok(Self::StepUp(step_up(decision_id, only, context)?)),
            // A code of a later version is still a denial, so an unknown one is no error.
            _ => {
                let (code, dpop_nonce) = (member(context, "reason").unwrap_or_default(), member(context, "dpop_nonce")?);
                Ok(Self::Deny(Deny { decision_id, code, dpop_nonce }))
            }
        }
    }

    pub(crate) fn parse(body: &[u8], question: &Question) -> Result<Self, Error> {
        let response: EvaluationResponse =
            strict::from_slice(body, LIMITS).map_err(|cause| Error::because(ErrorKind::Malformed, "answer is not an evaluation", cause))?;
        Self::from_response(&response, question)
    }
}

/// There is nothing to carry out: somebody lets the subject pass in an emergency.
const BREAK_GLASS: &str = "break-glass";

/// The part of a step-up that only a browser needs: `context.step_up`.
#[derive(Deserialize)]
struct Ceremony {
    url: String,
}

fn step_up(decision_id: Option<DecisionId>, obligation: &Obligation, context: &Map<String, Value>) -> Result<StepUp, Error> {
    let acr = member(&obligation.properties, "acr_value")?.ok_or(Error::new(ErrorKind::Malformed, "step-up names no level"))?;
    let max_age = member(&obligation.properties, "max_age")?;
    let ceremony = member(context, "step_up")?.map(|ceremony: Ceremony| ceremony_url(&ceremony.url)).transpose()?;
    Ok(StepUp { decision_id, acr, max_age, ceremony, dpop_nonce: member(context, "dpop_nonce")? })
}

fn ceremony_url(text: &str) -> Result<Uri, Error> {
    let url: Uri = text.parse().map_err(|cause| Error::because(ErrorKind::Malformed, "ceremony address is not a URL", cause))?;
    let web = matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some_and(|host| !host.is_empty());
    if web { Ok(url) } else { Err(Error::new(ErrorKind::Malformed, "ceremony address is not an absolute web address")) }
}

fn member<T: DeserializeOwned>(object: &Map<String, Value>, name: &str) -> Result<Option<T>, Error> {
    let read = |value: &Value| serde_json::from_value(value.clone());
    object
        .get(name)
        .map(read)
        .transpose()
        .map_err(|cause| Error::because(ErrorKind::Malformed, "member of the answer has the wrong shape", cause))
}

#[cfg(test)]
mod tests;
