//! What is asked, by an enforcement point that says what it can carry out and how fresh the answer must be.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_sdk_types::{Consistency, EvaluationRequest};

/// One question.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    asked: EvaluationRequest,
    supported: Arc<BTreeSet<String>>,
    at_least: Option<Consistency>,
}

impl Question {
    /// A question by an enforcement point that can carry out no obligation.
    #[must_use]
    pub fn new(asked: EvaluationRequest) -> Self {
        Self { asked, supported: Arc::default(), at_least: None }
    }

    /// The types of obligations that the enforcement point carries out. An allow with any other is a deny (AuthZEN Obligations profile).
    #[must_use]
    pub fn supporting<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.supported = Arc::new(types.into_iter().map(Into::into).collect());
        self
    }

    /// Refuses an answer that is less fresh: after a change, the consistency that came with it.
    #[must_use]
    pub const fn at_least(mut self, floor: Consistency) -> Self {
        self.at_least = Some(floor);
        self
    }

    /// What is asked.
    #[must_use]
    pub const fn asked(&self) -> &EvaluationRequest {
        &self.asked
    }

    /// How fresh the answer must be.
    #[must_use]
    pub const fn floor(&self) -> Option<Consistency> {
        self.at_least
    }

    /// Whether the enforcement point carries out obligations of this type.
    #[must_use]
    pub fn supports(&self, kind: &str) -> bool {
        self.supported.contains(kind)
    }

    /// The types of obligations that the enforcement point carries out.
    #[must_use]
    pub fn supported(&self) -> &BTreeSet<String> {
        &self.supported
    }
}

impl From<EvaluationRequest> for Question {
    fn from(asked: EvaluationRequest) -> Self {
        Self::new(asked)
    }
}
