//! Whoever decides: a remote decision point through the client, or another one.

use std::future::Future;

use countersign_sdk_client::{Allow, Answer, Client, Error, Question};

/// Answers questions. An [`Answer`] is only ever read from a response ([`Answer::from_response`]).
pub trait DecisionPoint: Clone + Send + Sync + 'static {
    /// Answers one question.
    fn evaluate(&self, question: &Question) -> impl Future<Output = Result<Answer, Error>> + Send;

    /// Waits until an allow must not be relied on any longer without asking again.
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
