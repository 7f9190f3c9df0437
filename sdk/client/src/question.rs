//! What is asked, by an enforcement point that says what it can carry out and how fresh the answer must be.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use countersign_sdk_types::{Consistency, EvaluationRequest};
use serde_json::Value;

use crate::key::Key;

/// One question.
///
/// A question that is asked again is cheapest asked as the same value, or a clone of it: it is written out once.
///
/// ```
/// use countersign_sdk_client::Question;
/// use countersign_sdk_types::{Action, Entity, EvaluationRequest};
///
/// let entity = |kind: &str, id: &str| Entity { kind: kind.into(), id: id.into(), properties: Default::default() };
/// let action = Action { name: "read".into(), properties: Default::default() };
/// let asked = EvaluationRequest { subject: entity("user", "alice"), action, resource: entity("record", "7"), context: Default::default() };
/// let question = Question::new(asked).supporting(["notification"]);
/// assert!(question.supports("notification"));
/// ```
#[derive(Debug, Clone)]
pub struct Question {
    asked: EvaluationRequest,
    supported: Arc<BTreeSet<String>>,
    at_least: Option<Consistency>,
    keeping: Keeping,
    key: OnceLock<Option<Key>>,
}

/// Whether a kept allow may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Usual,
    Afresh,
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        let of = |question: &Self| (question.at_least, question.keeping);
        self.asked == other.asked && self.supported == other.supported && of(self) == of(other)
    }
}

impl Eq for Question {}

impl Question {
    /// A question by an enforcement point that can carry out no obligation.
    ///
    /// ```
    /// # use countersign_sdk_client::Question;
    /// # fn ask(asked: countersign_sdk_types::EvaluationRequest) {
    /// let question = Question::new(asked);
    /// assert!(question.supported().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn new(asked: EvaluationRequest) -> Self {
        Self { asked, supported: Arc::default(), at_least: None, keeping: Keeping::Usual, key: OnceLock::new() }
    }

    /// The types of obligations that the enforcement point carries out. An allow with any other is a deny (AuthZEN Obligations profile).
    ///
    /// ```
    /// # fn ask(question: countersign_sdk_client::Question) {
    /// let question = question.supporting(["notification", "watermark"]);
    /// assert!(question.supports("watermark") && !question.supports("escort"));
    /// # }
    /// ```
    #[must_use]
    pub fn supporting<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.supported = Arc::new(types.into_iter().map(Into::into).collect());
        self.key = OnceLock::new();
        self
    }

    /// Refuses an answer that is less fresh: after a change, the consistency that came with it. What is kept answers only when it is fresh enough.
    ///
    /// ```
    /// # fn ask(question: countersign_sdk_client::Question, changed: countersign_sdk_types::Consistency) {
    /// let question = question.at_least(changed);
    /// assert_eq!(question.floor(), Some(changed));
    /// # }
    /// ```
    #[must_use]
    pub const fn at_least(mut self, floor: Consistency) -> Self {
        self.at_least = Some(floor);
        self
    }

    /// Asks the decision point, whatever is kept. The answer is kept as usual.
    ///
    /// ```no_run
    /// # async fn ask(client: countersign_sdk_client::Client, question: countersign_sdk_client::Question) -> Result<(), countersign_sdk_client::Error> {
    /// let answer = client.evaluate(&question.afresh()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn afresh(mut self) -> Self {
        self.keeping = Keeping::Afresh;
        self
    }

    /// What is asked.
    ///
    /// ```
    /// # fn ask(question: countersign_sdk_client::Question) {
    /// println!("{} on {}", question.asked().action.name, question.asked().resource.id);
    /// # }
    /// ```
    #[must_use]
    pub const fn asked(&self) -> &EvaluationRequest {
        &self.asked
    }

    /// How fresh the answer must be.
    ///
    /// ```
    /// # fn ask(asked: countersign_sdk_types::EvaluationRequest) {
    /// assert_eq!(countersign_sdk_client::Question::new(asked).floor(), None);
    /// # }
    /// ```
    #[must_use]
    pub const fn floor(&self) -> Option<Consistency> {
        self.at_least
    }

    /// Whether the enforcement point carries out obligations of this type.
    ///
    /// ```
    /// # fn ask(question: countersign_sdk_client::Question) {
    /// assert!(!question.supports("escort"));
    /// # }
    /// ```
    #[must_use]
    pub fn supports(&self, kind: &str) -> bool {
        self.supported.contains(kind)
    }

    /// The types of obligations that the enforcement point carries out.
    ///
    /// ```
    /// # fn ask(question: countersign_sdk_client::Question) {
    /// assert_eq!(question.supporting(["a"]).supported().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn supported(&self) -> &BTreeSet<String> {
        &self.supported
    }

    /// Whether what is kept may answer.
    pub(crate) fn takes_what_is_kept(&self) -> bool {
        self.keeping == Keeping::Usual
    }

    /// Whether an answer may be kept: not when the question brings a proof that is good for one use (RFC 9449), whatever the answer says.
    pub(crate) fn may_be_kept(&self) -> bool {
        !is_single_use(&self.asked)
    }

    /// Every byte of what is asked, but not how fresh the answer must be. None for what cannot be written.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.get_or_init(|| Key::of(&self.asked, &self.supported)).as_ref()
    }
}

/// A `DPoP` header, or a token that is bound to such a proof.
fn is_single_use(asked: &EvaluationRequest) -> bool {
    let headers = asked.context.get("http").and_then(|http| http.get("headers")).and_then(Value::as_array);
    let is_proof = |header: &Value| {
        let text = |at: usize| header.get(at).and_then(Value::as_str).unwrap_or_default();
        let is_bound = || text(1).trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop "));
        text(0).eq_ignore_ascii_case("dpop") || (text(0).eq_ignore_ascii_case("authorization") && is_bound())
    };
    headers.is_some_and(|all| all.iter().any(is_proof))
}

impl From<EvaluationRequest> for Question {
    fn from(asked: EvaluationRequest) -> Self {
        Self::new(asked)
    }
}
