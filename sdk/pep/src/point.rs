//! Whoever decides: a remote decision point through the client, or another one.

use std::future::Future;

use countersign_sdk_client::{Allow, Answer, Client, Error, Question};

/// Answers questions. An [`Answer`] is only ever read from a response ([`Answer::from_response`]).
///
/// ```
/// use countersign_sdk_client::{Allow, Answer, Error, ErrorKind, Question};
/// use countersign_sdk_pep::DecisionPoint;
///
/// /// Nothing passes here.
/// #[derive(Clone)]
/// struct Closed;
///
/// impl DecisionPoint for Closed {
///     async fn evaluate(&self, _question: &Question) -> Result<Answer, Error> {
///         Err(Error::new(ErrorKind::Unavailable, "closed"))
///     }
///
///     async fn ended(&self, _allow: &Allow) {}
/// }
/// ```
pub trait DecisionPoint: Clone + Send + Sync + 'static {
    /// Answers one question. Once an allow has [ended](Self::ended), it is not the answer to a later question.
    fn evaluate(&self, question: &Question) -> impl Future<Output = Result<Answer, Error>> + Send;

    /// Waits until an allow must not be relied on any longer without asking again. That time runs from the answer, not from this call.
    fn ended(&self, allow: &Allow) -> impl Future<Output = ()> + Send;
}

impl DecisionPoint for Client {
    async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        Self::evaluate(self, question).await
    }

    async fn ended(&self, allow: &Allow) {
        Self::ended(self, allow).await;
    }
}
