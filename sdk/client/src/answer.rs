//! What an evaluation response means to an enforcement point.

use std::sync::Arc;

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Acr, Consistency, DecisionId, DenialCode, EvaluationResponse, Lease, Obligation, Seconds};
use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clock::Tick;
use crate::error::{Error, ErrorKind};
use crate::lease::Held;
use crate::question::Question;

/// The largest answer that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 16, values: 4_000 };

/// What a decision point answered.
///
/// ```
/// use countersign_sdk_client::Answer;
///
/// fn say(answer: &Answer) -> &'static str {
///     match answer {
///         Answer::Allow(_) => "come in",
///         Answer::StepUp(_) => "prove it again",
///         Answer::Deny(_) => "no",
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub enum Answer {
    /// The request may pass.
    Allow(Allow),
    /// Not like this: prove it again.
    StepUp(StepUp),
    /// No.
    Deny(Deny),
}

/// An allow: `decision: true`, with nothing to do that the enforcement point did not say it can. Only reading a response makes one. A clone is the same allow.
///
/// ```
/// fn log(allow: &countersign_sdk_client::Allow) {
///     println!("allowed by {:?}, leased: {}", allow.decision_id(), allow.lease().is_some());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Allow(Arc<Said>);

/// What was said with an allow, and what became of its lease.
#[derive(Debug)]
struct Said {
    decision_id: Option<DecisionId>,
    obligations: Vec<Obligation>,
    consistency: Option<Consistency>,
    held: Arc<Held>,
    size: usize,
}

/// What would make the answer yes.
///
/// ```
/// fn log(step_up: &countersign_sdk_client::StepUp) {
///     println!("{} is wanted, not older than {:?}", step_up.acr(), step_up.max_age());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct StepUp {
    decision_id: Option<DecisionId>,
    consistency: Option<Consistency>,
    acr: Acr,
    max_age: Option<Seconds>,
    ceremony: Option<Uri>,
    dpop_nonce: Option<String>,
}

/// A refusal.
///
/// ```
/// fn log(deny: &countersign_sdk_client::Deny) {
///     println!("refused: {:?}", deny.code());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Deny {
    decision_id: Option<DecisionId>,
    consistency: Option<Consistency>,
    code: Option<DenialCode>,
    dpop_nonce: Option<String>,
}

impl Allow {
    /// The id of the decision, for `countersign why`.
    ///
    /// ```
    /// # fn show(allow: &countersign_sdk_client::Allow) {
    /// let id = allow.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub fn decision_id(&self) -> Option<&DecisionId> {
        self.0.decision_id.as_ref()
    }

    /// An operator let this subject pass in an emergency. There is nothing to do but to say so where somebody looks.
    ///
    /// ```
    /// # fn show(allow: &countersign_sdk_client::Allow) {
    /// if allow.glass_is_broken() {
    ///     eprintln!("an emergency access was used");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn glass_is_broken(&self) -> bool {
        self.0.obligations.iter().any(|obligation| obligation.kind == BREAK_GLASS)
    }

    /// What the enforcement point must carry out before the request passes; each is of a type that it supports.
    ///
    /// ```
    /// # fn show(allow: &countersign_sdk_client::Allow) {
    /// for obligation in allow.obligations() {
    ///     println!("to do: {}", obligation.kind);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.0.obligations
    }

    /// Leave to repeat this allow without asking. [`Client`](crate::Client) does so by itself where it is built to.
    ///
    /// ```
    /// # fn show(allow: &countersign_sdk_client::Allow) {
    /// let milliseconds = allow.lease().map(|lease| lease.ttl.0);
    /// # }
    /// ```
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.0.held.lease()
    }

    /// How fresh the decision is.
    ///
    /// ```
    /// # fn ask(allow: &countersign_sdk_client::Allow, question: countersign_sdk_client::Question) {
    /// // The next question is answered from no older state than this one.
    /// let next = match allow.consistency() {
    ///     Some(fresh) => question.at_least(fresh),
    ///     None => question,
    /// };
    /// # }
    /// ```
    #[must_use]
    pub fn consistency(&self) -> Option<Consistency> {
        self.0.consistency
    }

    /// What became of the lease.
    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.0.held
    }

    /// How many bytes are held, about.
    pub(crate) fn size(&self) -> usize {
        self.0.size
    }
}

impl StepUp {
    /// The id of the decision.
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let id = step_up.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision_id.as_ref()
    }

    /// The level that is asked for.
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let level = step_up.acr().as_str();
    /// # }
    /// ```
    #[must_use]
    pub const fn acr(&self) -> &Acr {
        &self.acr
    }

    /// How old the proof may be.
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let seconds = step_up.max_age().map(|age| age.0);
    /// # }
    /// ```
    #[must_use]
    pub const fn max_age(&self) -> Option<Seconds> {
        self.max_age
    }

    /// Where a browser performs the ceremony: an absolute `http` or `https` URL.
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let location = step_up.ceremony().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub const fn ceremony(&self) -> Option<&Uri> {
        self.ceremony.as_ref()
    }

    /// How fresh the decision is.
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let fresh = step_up.consistency();
    /// # }
    /// ```
    #[must_use]
    pub const fn consistency(&self) -> Option<Consistency> {
        self.consistency
    }

    /// What the client's next proof of its key must name (RFC 9449 §9), where the decision point says it (`context.dpop_nonce`).
    ///
    /// ```
    /// # fn show(step_up: &countersign_sdk_client::StepUp) {
    /// let header = step_up.dpop_nonce().map(|nonce| ("DPoP-Nonce", nonce));
    /// # }
    /// ```
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.dpop_nonce.as_deref()
    }
}

impl Deny {
    /// The id of the decision.
    ///
    /// ```
    /// # fn show(deny: &countersign_sdk_client::Deny) {
    /// let id = deny.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision_id.as_ref()
    }

    /// Why, where the decision point said so in a code that this version knows.
    ///
    /// ```
    /// # fn show(deny: &countersign_sdk_client::Deny) {
    /// let code = deny.code().map_or("unknown", |code| code.as_str());
    /// # }
    /// ```
    #[must_use]
    pub const fn code(&self) -> Option<DenialCode> {
        self.code
    }

    /// How fresh the decision is.
    ///
    /// ```
    /// # fn show(deny: &countersign_sdk_client::Deny) {
    /// let fresh = deny.consistency();
    /// # }
    /// ```
    #[must_use]
    pub const fn consistency(&self) -> Option<Consistency> {
        self.consistency
    }

    /// What the client's next proof of its key must name (RFC 9449 §9), where the decision point says it (`context.dpop_nonce`).
    ///
    /// ```
    /// # fn show(deny: &countersign_sdk_client::Deny) {
    /// let header = deny.dpop_nonce().map(|nonce| ("DPoP-Nonce", nonce));
    /// # }
    /// ```
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.dpop_nonce.as_deref()
    }
}

impl Answer {
    /// Reads a response.
    ///
    /// `decision: true` is an allow only where the question supports every obligation that comes with it, `break-glass` apart; what is not supported is a
    /// deny (AuthZEN Obligations profile), and so is a `step-up` that comes with an allow. `decision: false` is a step-up when its only obligation is a `step-up`.
    ///
    /// ```
    /// use countersign_sdk_client::{Answer, Question};
    /// use countersign_sdk_types::EvaluationResponse;
    ///
    /// # fn read(question: &Question) -> Result<(), countersign_sdk_client::Error> {
    /// let response = EvaluationResponse { decision: false, context: Default::default() };
    /// assert!(matches!(Answer::from_response(&response, question)?, Answer::Deny(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the obligations or the step-up are not of their shape.
    pub fn from_response(response: &EvaluationResponse, question: &Question) -> Result<Self, Error> {
        Self::read(response, question, None)
    }

    /// The id of the decision.
    ///
    /// ```
    /// # fn show(answer: &countersign_sdk_client::Answer) {
    /// let id = answer.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub fn decision_id(&self) -> Option<&DecisionId> {
        match self {
            Self::Allow(allow) => allow.decision_id(),
            Self::StepUp(step_up) => step_up.decision_id(),
            Self::Deny(deny) => deny.decision_id(),
        }
    }

    /// How fresh the decision is: a floor for the next question ([`Question::at_least`]).
    ///
    /// ```
    /// # fn show(answer: &countersign_sdk_client::Answer) {
    /// let fresh = answer.consistency();
    /// # }
    /// ```
    #[must_use]
    pub fn consistency(&self) -> Option<Consistency> {
        match self {
            Self::Allow(allow) => allow.consistency(),
            Self::StepUp(step_up) => step_up.consistency(),
            Self::Deny(deny) => deny.consistency(),
        }
    }

    /// As [`Answer::from_response`], for a question that was asked at a known instant: its lease counts from then.
    pub(crate) fn read(response: &EvaluationResponse, question: &Question, asked: Option<Tick>) -> Result<Self, Error> {
        let context = &response.context;
        let obligations: Vec<Obligation> = member(context, "obligations")?.unwrap_or_default();
        let (decision_id, consistency) = (member(context, "id")?, member(context, "consistency")?);
        // Nobody carries out a step-up with an allow: it would be one that a careless caller lets pass.
        let is_supported = |obligation: &Obligation| match obligation.kind.as_str() {
            BREAK_GLASS => true,
            STEP_UP => false,
            kind => question.supports(kind),
        };
        match (response.decision, obligations.as_slice()) {
            (true, all) if all.iter().all(is_supported) => {
                let held = Arc::new(Held::new(member(context, "lease")?, asked));
                let size = 512 + size_of_all(&obligations) + held.lease().map_or(0, |lease| lease.depends_on.len() * 80);
                Ok(Self::Allow(Allow(Arc::new(Said { decision_id, obligations, consistency, held, size }))))
            }
            (false, [only]) if only.kind == STEP_UP => Ok(Self::StepUp(step_up(decision_id, consistency, only, context)?)),
            // A code of a later version is still a denial, so an unknown one is no error.
            _ => {
                let (code, dpop_nonce) = (member(context, "reason").unwrap_or_default(), member(context, "dpop_nonce")?);
                Ok(Self::Deny(Deny { decision_id, consistency, code, dpop_nonce }))
            }
        }
    }
}

/// About twice as many bytes as they are written with.
fn size_of_all(obligations: &[Obligation]) -> usize {
    if obligations.is_empty() { 0 } else { serde_json::to_vec(obligations).map_or(MAX_BYTES, |written| 2 * written.len()) }
}

/// Reads the body of an evaluation.
pub(crate) fn response(body: &[u8]) -> Result<EvaluationResponse, Error> {
    strict::from_slice(body, LIMITS).map_err(|cause| Error::because(ErrorKind::Malformed, "answer is not an evaluation", cause))
}

/// There is nothing to carry out: somebody lets the subject pass in an emergency.
const BREAK_GLASS: &str = "break-glass";
/// What comes with a no.
const STEP_UP: &str = "step-up";

/// The part of a step-up that only a browser needs: `context.step_up`.
#[derive(Deserialize)]
struct Ceremony {
    url: String,
}

fn step_up(
    decision_id: Option<DecisionId>,
    consistency: Option<Consistency>,
    obligation: &Obligation,
    context: &Map<String, Value>,
) -> Result<StepUp, Error> {
    let acr = member(&obligation.properties, "acr_value")?.ok_or(Error::new(ErrorKind::Malformed, "step-up names no level"))?;
    let max_age = member(&obligation.properties, "max_age")?;
    let ceremony = member(context, "step_up")?.map(|ceremony: Ceremony| ceremony_url(&ceremony.url)).transpose()?;
    Ok(StepUp { decision_id, consistency, acr, max_age, ceremony, dpop_nonce: member(context, "dpop_nonce")? })
}

fn ceremony_url(text: &str) -> Result<Uri, Error> {
    let url: Uri = text.parse().map_err(|cause| Error::because(ErrorKind::Malformed, "ceremony address is not a URL", cause))?;
    let web = matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some_and(|host| !host.is_empty());
    if web { Ok(url) } else { Err(Error::new(ErrorKind::Malformed, "ceremony address is not an absolute web address")) }
}

fn member<T: DeserializeOwned>(object: &Map<String, Value>, name: &str) -> Result<Option<T>, Error> {
    object
        .get(name)
        .map(T::deserialize)
        .transpose()
        .map_err(|cause| Error::because(ErrorKind::Malformed, "member of the answer has the wrong shape", cause))
}

#[cfg(test)]
mod tests;
